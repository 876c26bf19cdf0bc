"""Names of classes in the forms that people have them in; what is ambiguous is refused."""

import json
from pathlib import Path

import pytest

from se_viz.errors import DataError
from se_viz.networks.labels import parse_labels, read_labels

NAMES = ("tench", "goldfish", "great white shark")

FORMS: dict[str, tuple[str, bytes]] = {
    "one a line": ("labels.txt", b"tench\ngoldfish\n\n great white shark \n"),
    "with a byte order mark": ("labels.txt", "\ufefftench\ngoldfish\ngreat white shark".encode()),
    "with line ends of Windows": ("labels.txt", b"tench\r\ngoldfish\r\ngreat white shark\r\n"),
    "a JSON list": ("labels.json", json.dumps(NAMES).encode()),
    "a JSON list with a mark": ("labels.json", b"\xef\xbb\xbf" + json.dumps(NAMES).encode()),
    "ImageNet's JSON": (
        "index.json",
        b'{"0": ["n01440764", "tench"], "2": ["n01484850", "great white shark"], '
        b'"1": ["n01443537", "goldfish"]}',
    ),
    "names by number": (
        "labels.json",
        b'{"0": "tench", "1": "goldfish", "2": "great white shark"}',
    ),
    "numbers by name": ("classes.json", b'{"goldfish": 1, "tench": 0, "great white shark": 2}'),
    "Hugging Face's configuration": (
        "config.json",
        b'{"model_type": "x", "id2label": {"0": "tench", "1": "goldfish", "2": "great white '
        b'shark"}}',
    ),
    "JSON in a text file": ("labels.txt", json.dumps(NAMES).encode()),
    "CSV": ("labels.csv", b"index,name\n0,tench\n1,goldfish\n2,great white shark\n"),
    "CSV in another order": (
        "labels.csv",
        b"name;class_id\r\ngoldfish;1\r\ngreat white shark;2\r\ntench;0\r\n",
    ),
    "CSV with quotes and more columns": (
        "labels.csv",
        b'wnid,class,label\nn1,0,tench\nn2,1,goldfish\nn3,2,"great white shark"\n',
    ),
    "CSV of one column": ("labels.csv", b"label\ntench\ngoldfish\ngreat white shark\n"),
    "tabs": ("labels.tsv", b"id\tlabel\n0\ttench\n1\tgoldfish\n2\tgreat white shark\n"),
    "a table in a text file": ("l.txt", b"index,label\n0,tench\n1,goldfish\n2,great white shark\n"),
}


@pytest.mark.parametrize(("name", "content"), FORMS.values(), ids=FORMS)
def test_names_are_read_in_the_form_that_people_have(tmp_path: Path, name: str, content: bytes):
    """Every form here is one that a library or a course hands out; the order is that of numbers."""
    path = tmp_path / name
    path.write_bytes(content)
    assert read_labels(path) == NAMES


def test_a_line_is_a_name_whatever_is_in_it():
    """Synonyms of ImageNet have commas, and a bracket is no JSON."""
    text = "tench, Tinca tinca\n[other]\n{odd}\n7\nname\n"
    assert parse_labels(text) == ("tench, Tinca tinca", "[other]", "{odd}", "7", "name")
    assert parse_labels("[other]\ntench") == ("[other]", "tench")
    assert parse_labels("0\n1\n2") == ("0", "1", "2")


WRONG = {
    "a gap": ("l.json", b'{"0": "a", "2": "b"}', "l.json has no class 1 among 2. Write a list"),
    "from one on": ("l.json", b'{"1": "a", "2": "b"}', "l.json has no class 0 among 2."),
    "a number twice": ("l.json", b'{"a": 0, "b": 0}', "l.json has no class 1 among 2."),
    "nothing": ("l.json", b"[]", "l.json holds no names. Write a list"),
    "no name": ("l.json", b'["a", null]', "l.json: 'None' is no name."),
    "settings": ("l.json", b'{"lr": 0.1, "epochs": 3}', "l.json has no class 0 among 2."),
    "half of it": ("l.json", b'["a", "b"', "l.json is no readable JSON (Expecting"),
    "no header": ("l.csv", b"0,a\n1,b\n", "l.csv has no column of names. Give it a header, e.g. "),
    "a gap in a table": ("l.csv", b"id,name\n0,a\n2,b\n", "l.csv has no class 1 among 2."),
    "an empty cell": ("l.csv", b"id,name\n0,a\n1,\n", "l.csv: '' is no name."),
}


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG.values(), ids=WRONG)
def test_what_could_be_read_in_two_ways_is_refused(
    tmp_path: Path, name: str, content: bytes, sentence: str
):
    """A wrong name at a class is never found out afterwards."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".")
