"""Networks of one's own that are listed: in se_viz.toml, and by packages that are installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from se_viz.errors import CheckpointError, DataError, NetworkError
from se_viz.networks import list_networks, load_network
from se_viz.networks.architectures import build
from se_viz.networks.checkpoints import read_cards
from se_viz.networks.config import CONFIG
from se_viz.networks.zoo import damaged_networks, find_card, list_on_disk
from tests.support.own_code import write_net

BUNDLED = "se_resnet50_half_imagenette"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code; what is imported of it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG, raising=False)
    write_net(tmp_path)
    path, modules = [*sys.path], {*sys.modules}
    yield tmp_path
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(text: str, place: str = "se_viz.toml") -> Path:
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names() -> list[str]:
    """Return the names before those of the catalogue; of the bundled ones the first alone."""
    rest = {card.name for card in read_cards()[1:]}
    return [card.name for card in list_networks() if "/" not in card.name and card.name not in rest]


FULL = """
[networks.mine]
make = "net.py:make"
labels = "labels.txt"
input = "3x48x48"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
title = "Five of *mine*"
multi_label = true

[networks."two.1"]
make = "net:network"
"""


def test_a_list_in_the_working_directory_comes_first():
    """Whoever writes one means these, and a network is chosen by its name as any other."""
    write(FULL)
    write("ant\nbee\ncat\ndog\nelk\n", "labels.txt")
    assert names()[:3] == ["mine", "two.1", BUNDLED]
    assert list_networks()[0] == list_on_disk()[0] == find_card("mine")
    network = load_network("mine", "cpu")
    card = network.card
    assert card.classes == ("ant", "bee", "cat", "dog", "elk")
    assert (card.name, card.title, card.architecture) == ("mine", "Five of *mine*", "net.py:make")
    assert (card.mean, card.std, card.input_size) == ((0.5,) * 3, (0.25,) * 3, 48)
    assert (card.multi_label, card.blocks) == (True, 2)
    assert card.parameters == sum(value.numel() for value in network.model.parameters())
    assert load_network("two.1", "cpu").classes == ("ant", "bee")


def test_listing_runs_nothing():
    """A server lists networks at every click; code runs when its network is chosen."""
    write_net(Path(), "touch.py", "open('ran', 'w').close()\n\nfrom net import make\n")
    write('[networks.mine]\nmake = "touch.py:make"\n')
    assert names()[0] == "mine"
    assert find_card("mine").parameters == 0
    assert not Path("ran").exists()
    load_network("mine", "cpu")
    assert Path("ran").exists()


def test_paths_are_those_of_the_files_folder(monkeypatch: pytest.MonkeyPatch):
    """A list travels with its code; it is named from anywhere, or by an environment variable."""
    write_net(Path("work"), "deep/other.py", "from net import make\n")
    write_net(Path("work"), "net.py", Path("net.py").read_text())
    path = write('[networks.mine]\nmake = "deep/other.py:make"\n', "work/nets.toml")
    assert names() == [BUNDLED]
    assert list_networks(config=path)[0].name == "mine"
    assert load_network("mine", "cpu", config=path).card.architecture == "other.py:make"
    monkeypatch.setenv(CONFIG, str(path))
    assert names() == ["mine", BUNDLED]
    assert load_network("mine", "cpu").card.data == "nets.toml"


def test_weights_for_a_listed_architecture_can_be_listed():
    """What the command line takes as --architecture and --weights."""
    architecture = "torchvision/mobilenet_v3_small"
    torch.save(build(find_card(architecture), num_classes=3).state_dict(), "w.pt")
    table = f'[networks.mine]\narchitecture = "{architecture}"\nweights = "w.pt"\n'
    write(table + "input = 96\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n")
    network = load_network("mine", "cpu")
    assert (network.card.name, len(network.classes)) == ("mine", 3)
    white = network.preprocess(Image.new("RGB", (100, 100), "white"))
    assert white.shape == (1, 3, 96, 96)
    assert white.unique().tolist() == [2.0]


def test_a_changed_list_is_read_again():
    """A server goes on while its owner adds a network."""
    write('[networks.one]\nmake = "net.py:make"\n')
    assert names()[0] == "one"
    write('[networks.another]\nmake = "net.py:make"\n')
    assert names()[0] == "another"
    Path("se_viz.toml").unlink()
    assert names() == [BUNDLED]


WRONG = {
    'make = "net.py"': "networks.a.make: 'net.py' names no callable. Write file.py:callable or "
    "package.module:callable, e.g. net.py:make.",
    'make = "timm/seresnet50"': "networks.a.make: 'timm/seresnet50' names no callable. ",
    "make = 3": 'networks.a.make is 3. Give what makes it, e.g. "net.py:callable".',
    'title = "A"': "networks.a has neither make nor architecture. Give one: ",
    'make = "net.py:make"\narchitecture = "se_resnet50"': "networks.a has both make and "
    "architecture. Give one: ",
    'architecture = "se_resnet50"': "networks.a.weights is missing. Name the file for its ",
    'make = "net.py:make"\ninputs = 3': "networks.a.inputs is no key. Did you mean input?",
    'make = "net.py:make"\nqqq = 3': "networks.a.qqq is no key. Choose one of: make, ",
    'make = "net.py:make"\ninput = "3x"': "networks.a.input is '3x'. Give the side of an RGB ",
    'make = "net.py:make"\nmean = 0.5': "networks.a.mean is 0.5. Give a list of numbers, one for "
    "each channel.",
    'make = "net.py:make"\nmulti_label = 1': "networks.a.multi_label is 1. Give true or false.",
    'make = "net.py:make"\nweights = ""': "networks.a.weights is ''. Give the name of a file.",
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_in_a_table_is_one_sentence(text: str, sentence: str):
    """It names file, key and step; the other networks of the file are listed all the same."""
    write(f'[networks.a]\n{text}\n\n[networks.b]\nmake = "net.py:make"\n')
    problem = damaged_networks()["a"]
    assert problem.startswith(f"se_viz.toml: {sentence}")
    assert "\n" not in problem
    assert names() == ["b", BUNDLED]
    with pytest.raises(CheckpointError, match=r"^se_viz\.toml: networks\.a"):
        load_network("a", "cpu")


@pytest.mark.parametrize("name", ['"../a"', '"a:b"', '"a b"', '".a"', '"a.py"', '"a.onnx"'])
def test_a_name_is_no_path_and_no_code(name: str):
    """It goes into addresses and files, and by its form alone nothing may be run."""
    write(f'[networks.{name}]\nmake = "net.py:make"\n')
    (problem,) = damaged_networks().values()
    assert "is no name of letters, digits, and _ - + . between them. Rename the table." in problem
    assert names() == [BUNDLED]


FILES = {
    "[networks.a\n": "Expected ']' at the end of a table declaration (at line 1, column 12)",
    "[network.a]\nmake = 'net.py:make'\n": "network is no table that se_viz knows",
    "networks = 3\n": "networks holds something else than tables",
    "[networks]\na = 'net.py:make'\n": "networks holds something else than tables",
}


@pytest.mark.parametrize(("text", "words"), FILES.items(), ids=FILES)
def test_a_file_that_is_no_list_is_one_sentence(text: str, words: str):
    """Listed networks go on; whoever asks for a name that may be in the file reads of it."""
    write(text)
    sentence = f"se_viz.toml: {words}. Correct the file: [networks.NAME] begins a network"
    assert damaged_networks()["se_viz.toml"].startswith(sentence)
    assert names() == [BUNDLED]
    with pytest.raises(CheckpointError, match=r"^se_viz\.toml: "):
        find_card("a")


def test_a_file_that_was_named_has_to_be_there():
    """The one in the working directory need not be."""
    assert damaged_networks() == {}
    with pytest.raises(CheckpointError, match=r"^nets\.toml cannot be read: No such file"):
        find_card("a", config="nets.toml")


def test_a_name_that_another_network_has_is_refused():
    """Which of the two a link or a bundle means nobody could tell."""
    write(f'[networks.{BUNDLED}]\nmake = "net.py:make"\n')
    assert names() == [BUNDLED]
    assert damaged_networks()[BUNDLED] == (
        f"se_viz.toml: the network {BUNDLED} has the name of another one. Rename it."
    )
    assert find_card(BUNDLED).library == "se_viz"


def test_a_listed_file_that_is_missing_is_told_when_its_network_is_loaded():
    """The list itself is right, and the other networks of it can be used."""
    write('[networks.a]\nmake = "net.py:make"\nlabels = "none.txt"\n')
    with pytest.raises(DataError, match=r"^none\.txt cannot be read: No such file or directory"):
        load_network("a", "cpu")
    write('[networks.a]\nmake = "none.py:make"\n')
    with pytest.raises(NetworkError, match=r"^none\.py cannot be read: No such file or directory"):
        load_network("a", "cpu")


POINTS = """[console_scripts]
plug = plug:main

[se_viz.networks]
plugged = plug.nets:make
broken = plug.nets:broken
whole = plug.nets
a/b = plug.nets:make
mine = plug.nets:make
"""


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as an installer leaves it, in a folder that Python looks in."""
    site = folder / "site"
    write_net(site, "plug/__init__.py", "")
    write_net(site, "plug/nets.py")
    info = site / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_package_that_is_installed_brings_networks(package: Path):
    """After the bundled ones, because nobody named them; the package is imported when one is
    loaded.
    """
    assert names() == [BUNDLED, "plugged", "broken", "mine"]
    assert "plug" not in sys.modules
    card = find_card("plugged")
    assert (card.title, card.data) == ("plug.nets:make", "package plug")
    network = load_network("plugged", "cpu")
    assert len(network.classes) == 5
    assert "plug" in sys.modules


def test_what_is_wrong_with_a_package_is_one_sentence(package: Path):
    """Its author is who can mend it; the line that is named is the package's."""
    problems = damaged_networks()
    assert problems["whole"] == (
        "The network whole of package plug: 'plug.nets' names no callable. Write file.py:callable "
        "or package.module:callable, e.g. net.py:make."
    )
    assert problems["a/b"].startswith("The network 'a/b' of package plug has no name of letters")
    with pytest.raises(NetworkError, match=r"ValueError: the weights are lost \(nets\.py:32\)"):
        load_network("broken", "cpu")


def test_ones_own_list_comes_before_a_package(package: Path):
    """Its name is taken, and it is said where the other one went."""
    write('[networks.mine]\nmake = "net.py:make"\n')
    assert names() == ["mine", BUNDLED, "plugged", "broken"]
    assert find_card("mine").data == "se_viz.toml"
    assert damaged_networks()["mine"] == (
        "An installed package: the network mine has the name of another one. Rename it."
    )
