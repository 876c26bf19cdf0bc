"""Networks that somebody's own code makes: called, filled, named; what fails is one sentence."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import se_viz
from se_viz.errors import CheckpointError, DataError, NetworkError, NoSEBlocksError
from se_viz.networks import list_networks, load_network
from se_viz.networks.loading import load_listed
from se_viz.networks.sources import Form, form_of, make_source, read_input, split_make
from tests.support.own_code import write_net


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code of one's own; what is imported of it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path)
    path, modules = [*sys.path], {*sys.modules}
    yield tmp_path
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    "name", ["net.py:make", "net:make", "net.py:Zoo.small", "net.py:model", "./net.py:make"]
)
def test_code_of_ones_own_is_a_network(name: str):
    """A file or a module, a function, a method or the model itself: all give the same network."""
    network = load_network(name, "cpu", input=64)
    assert [site.channels for site in network.inspection.sites] == [16, 32]
    assert network.classes == tuple(f"class {number}" for number in range(5))
    assert network.card.input_size == 64
    torch.manual_seed(0)
    weight = nn.Conv2d(3, 16, 3, 2).weight
    assert torch.equal(network.model.get_parameter("0.weight"), weight)
    assert not any(value.requires_grad for value in network.model.parameters())


def test_the_public_name_loads_code_too():
    """`se_viz.load_network` is what a notebook calls; a whole path works from anywhere."""
    network = se_viz.load_network(f"{Path('net.py').absolute()}:make", "cpu", input="3x48x48")
    assert (network.card.name, network.card.title) == ("net.make", "net.py:make")
    assert str(Path.cwd()) not in repr(network.card)


def test_a_network_that_code_has_made_keeps_what_it_says():
    """Whoever makes a `Network` has named classes and input; options say otherwise one by one."""
    network = load_network("net.py:network", "cpu")
    assert (network.classes, network.card.input_size) == (("ant", "bee"), 48)
    other = load_network("net.py:network", "cpu", labels=["cat", "dog"], input=32)
    assert (other.classes, other.card.input_size) == (("cat", "dog"), 32)


def test_a_model_that_is_named_itself_is_left_as_it_is():
    """It may be loaded again, to another device, and an engine frees what it moves out."""
    write_net(Path(), "mine/__init__.py", "from net import make\n\nmodel = make()\n")
    network = load_network("mine:model", "cpu", input=64)
    network.model.to("meta")
    assert load_network("mine:model", "cpu", input=64).model.get_parameter("0.weight").is_cpu
    assert all(value.requires_grad for value in sys.modules["mine"].model.parameters())


def test_weights_fill_the_model_that_code_makes():
    """Under a prefix too, as training programs write them; another network's are refused."""
    model = load_network("net.py:make", "cpu", input=64).model
    state = {
        f"model.{name}": torch.full_like(value, 0.5) for name, value in model.state_dict().items()
    }
    torch.save({"state_dict": state, "epoch": 3}, "half.ckpt")
    network = load_network("net.py:make", "cpu", weights="half.ckpt", input=64)
    assert all(bool((value == 0.5).all()) for value in network.model.state_dict().values())
    torch.save({"weight": torch.ones(3, 3)}, "other.pt")
    with pytest.raises(CheckpointError, match=r"^other.pt holds other weights than net.py:make: "):
        load_network("net.py:make", "cpu", weights="other.pt", input=64)
    torch.save({**model.state_dict(), "6.bias": torch.ones(7)}, "wide.pt")
    with pytest.raises(CheckpointError, match=r"6\.bias has shape \(7,\) instead of \(5,\)"):
        load_network("net.py:make", "cpu", weights="wide.pt", input=64)


def test_labels_name_the_classes():
    """A file, or a list in Python; another number of them is refused."""
    Path("labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    network = load_network("net.py:make", "cpu", labels="labels.txt", input=64)
    assert network.classes == ("ant", "bee", "cat", "dog", "elk")
    with pytest.raises(NetworkError, match="returns 5 values for 2 class names"):
        load_network("net.py:make", "cpu", labels=("ant", "bee"), input=64)


FAILS = {
    "net.py": "'net.py' names no callable. Write file.py:callable or package.module:callable, "
    "e.g. net.py:make.",
    "net.py:": "'net.py:' names no callable. ",
    ":make": "':make' names no callable. ",
    "https://example.org/net:make": "'https://example.org/net:make' names no callable. ",
    "nett.py:make": "nett.py cannot be read: No such file or directory. Check the name.",
    "net.py:mak": "net.py has no 'mak'. Did you mean make? Name a function that returns the "
    "network.",
    "net.py:Zoo.big": "net.py has no 'big'. Name a function that returns the network.",
    "nett:make": "There is no module 'nett', which nett:make is in. Install it, start in the "
    "folder that it lies in, or name a file: file.py:callable.",
    "net.py:needy": "net.py:needy takes width, and is called without arguments. Name one that "
    "needs none, e.g. a function of your own that calls it.",
    "os:system": "os:system takes command, and is called without arguments. ",
    "net.py:broken": "net.py:broken failed: ValueError: the weights are lost (net.py:32). Correct "
    "it there, and try again.",
    "net:broken": "net:broken failed: ValueError: the weights are lost (net.py:32). ",
    "net.py:deep": "net.py:deep failed: RuntimeError: ",
    "net.py:ends": "net.py:ends failed: SystemExit: 3 (net.py:40). ",
    "net.py:wrong": "net.py:wrong returns a str. Let it return a torch.nn.Module with its weights "
    "loaded, or a se_viz.Network.",
    "net.py:number": "net.py:number is a int. Name a function without arguments ",
    "net.onnx": "net.onnx cannot be read: No such file or directory. Check the name.",
}


@pytest.mark.parametrize(("name", "sentence"), FAILS.items(), ids=FAILS)
def test_what_fails_is_one_sentence_with_a_step(name: str, sentence: str):
    """A page shows it as it is: type, message, file and line of their code; no traceback."""
    with pytest.raises(NetworkError, match=f"^{re.escape(sentence)}") as caught:
        load_network(name, "cpu")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_the_line_that_is_named_is_theirs_where_a_library_raised():
    """A line of PyTorch's tells nobody what to correct."""
    with pytest.raises(NetworkError, match=r"\(net\.py:36\)\. Correct it there"):
        load_network("net.py:deep", "cpu")


def test_a_file_that_python_cannot_read_is_named_with_its_line():
    """A slip of the pen in the file is the first thing that goes wrong."""
    write_net(Path(), "slip.py", "import torch\n\ndef make(:\n    pass\n")
    with pytest.raises(NetworkError, match=r"slip\.py:make failed: SyntaxError: .* \(slip\.py:3\)"):
        load_network("slip.py:make", "cpu")


def test_a_module_that_code_lacks_is_not_taken_for_the_code_itself():
    """The step is another one: to install what is missing."""
    write_net(Path(), "lacking.py", "import nowhere_at_all\n")
    sentence = r"No module named 'nowhere_at_all' \(lacking\.py:1\)"
    for name in ("lacking.py:make", "lacking:make"):
        with pytest.raises(NetworkError, match=sentence):
            load_network(name, "cpu")


def test_code_without_se_blocks_is_refused_as_any_model():
    """What `Network.from_model` says of a model holds for one that code makes."""
    with pytest.raises(NoSEBlocksError, match="Sequential has no squeeze-and-excitation block"):
        load_network("net.py:plain", "cpu", input=64)


def test_code_finds_the_modules_beside_it_first():
    """As a script does: an installed package of the same name is not what its author means."""
    write_net(Path("work"), "layers.py", "from net import make\n")
    write_net(Path("work"), "net.py", Path("net.py").read_text())
    write_net(
        Path("work"), "train.py", "import layers\n\n\ndef build():\n    return layers.make()\n"
    )
    before = [*sys.path]
    network = load_network("work/train.py:build", "cpu", input=64)
    assert network.card.name == "train.build"
    assert Path(sys.modules["layers"].__file__ or "").parent.name == "work"
    assert sys.path[: len(before)] == before


def test_a_missing_label_file_or_weights_are_told_before_code_runs():
    """Building may take minutes."""
    write_net(Path(), "slow.py", "raise RuntimeError('it ran')\n")
    with pytest.raises(CheckpointError, match=r"none\.pt cannot be read"):
        load_network("slow.py:make", "cpu", weights="none.pt")
    with pytest.raises(DataError, match=r"none\.txt cannot be read"):
        load_network("slow.py:make", "cpu", labels="none.txt")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (224, (3, 224, 224)),
        ("224", (3, 224, 224)),
        ("3x224x224", (3, 224, 224)),
        ("1x256", (1, 256)),
        ("1x64x500", (1, 64, 500)),
        ((1, 8, 8, 8), (1, 8, 8, 8)),
    ],
)
def test_a_shape_is_read_as_it_is_written(value: object, shape: tuple[int, ...]):
    """A side alone is that of a photo; other shapes are channels and sides."""
    assert read_input(value) == shape


@pytest.mark.parametrize(
    "value", ["", "x", "0", "3x0x4", "1.5", "-3", True, 1.5, "1x1x1x1x1", "9x99999999"]
)
def test_what_is_no_shape_is_refused(value: object):
    """Before any code runs."""
    with pytest.raises(NetworkError, match=r"is no shape\. Give the side of an RGB square"):
        read_input(value)


def test_a_listed_network_takes_no_weights_of_ones_own():
    """Its card says what they are: other weights would go by its name."""
    with pytest.raises(NetworkError, match="is a listed network, with weights and classes"):
        load_network("se_resnet50_half_imagenette", "cpu", weights="w.pt")


def test_no_listed_name_has_the_form_of_code():
    """By its form alone it is decided whether a name is run."""
    assert {form_of(card.name) for card in list_networks()} == {Form.LISTED}
    assert form_of("net.py:make") is form_of("a.b:c") is form_of("net.py") is Form.CODE
    assert form_of("net.onnx") is form_of("a:b.onnx") is Form.ONNX


@pytest.mark.parametrize(
    "name", ["os:system", "net.py:make", "touch.py:make", "/etc/passwd", "net.onnx"]
)
def test_a_name_that_is_looked_up_is_never_run(name: str):
    """Pages and bundles ask for names that strangers wrote."""
    write_net(Path(), "touch.py", "open('ran', 'w')\n\n\ndef make():\n    pass\n")
    with pytest.raises(NetworkError, match=f"There is no network '{name}'"):
        load_listed(name, "cpu")
    assert not Path("ran").exists()


def test_a_source_is_split_and_named_without_its_folder():
    """Names go into links and tables, and a path is nobody else's business."""
    assert split_make("/home/ann/net.py:Zoo.small") == ("/home/ann/net.py", "Zoo.small")
    source = make_source("/home/ann/my net.py:make")
    assert (source.name, source.plain) == ("my_net.make", "my net.py:make")
