"""Every command takes code of one's own in the place of a listed network."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from se_viz.__main__ import main
from se_viz.commands.app import environment_of
from se_viz.commands.arguments import parse
from se_viz.images.reading import list_samples
from se_viz.networks import given, list_networks, load_network
from se_viz.networks.config import CONFIG
from se_viz.networks.sources import source_from_json
from se_viz.replay import make_bundle, write_bundle
from tests.support.own_code import write_net
from tests.support.photos import noise

pytestmark = pytest.mark.slow

CAT = str(list_samples()[0].path)
OWN = ["--network", "net.py:make", "--input", "48", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code and a list of labels."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path)
    Path("labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    path = [*sys.path]
    yield tmp_path
    sys.path[:] = path


def test_gates_of_ones_own_code(capsys: pytest.CaptureFixture[str]):
    """The classes have the names of the list, and the table those of the network's two blocks."""
    assert main(["gates", CAT, *OWN, "--labels", "labels.txt", "--out", "gates.csv"]) == 0
    assert capsys.readouterr().out.split(": ")[1].split()[0] in ("ant", "bee", "cat", "dog", "elk")
    table = pd.read_csv("gates.csv")
    assert table["block"].value_counts().to_dict() == {"SE_1_1": 16, "SE_2_1": 32}


def test_weights_go_into_ones_own_code(capsys: pytest.CaptureFixture[str]):
    """Each gate is the sigmoid of 0 where all weights are, and what was chosen is said."""
    state = load_network("net.py:make", "cpu", input=48).model.state_dict()
    zero = {name: torch.zeros_like(value) for name, value in state.items()}
    torch.save({"model": zero, "model_ema": state}, "both.pth")
    assert main(["gates", CAT, *OWN, "--weights", "both.pth", "--out", "gates.csv"]) == 0
    assert set(pd.read_csv("gates.csv")["gate"]) == {0.5}
    assert "Read from 'model.'; 'model_ema.' would fit too" in capsys.readouterr().err


COMMANDS: dict[str, tuple[list[str], str]] = {
    "health": ([CAT], "net.make, 1 image: "),
    "counterfactuals": ([CAT, "--kinds", "ones"], "SE_2_1"),
    "score": ([CAT, "--methods", "saliency"], "Saliency"),
    "attribute": ([CAT, "--method", "saliency", "--out", "maps"], "1 maps written to"),
    "methods": ([], "On net.py:make:"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_code_of_ones_own(command: str, capsys: pytest.CaptureFixture[str]):
    """One way to name a network, in every command that takes one."""
    words, answer = COMMANDS[command]
    assert main([command, *words, *OWN]) == 0
    assert answer in capsys.readouterr().out


def test_evaluation_of_ones_own_code(capsys: pytest.CaptureFixture[str]):
    """Folders that are named as the labels are."""
    for name in ("ant", "bee", "cat", "dog", "elk"):
        for part in ("train", "val"):
            (Path("data") / part / name).mkdir(parents=True)
        noise().save(f"data/val/{name}/1.png")
    assert main(["evaluate", "--data", "data", *OWN, "--labels", "labels.txt"]) == 0
    # One and the same picture under five names: one of them is right.
    assert "net.make: top-1 20.00% on 5 images at 48 px" in capsys.readouterr().out


def test_a_bundle_of_ones_own_code_is_run_again(capsys: pytest.CaptureFixture[str]):
    """The weights are compared as those of any network; by the name alone nothing is found."""
    network = load_network("net.py:make", "cpu", input=48)
    bundle = make_bundle(network, CAT, with_photo=True)
    write_bundle("cat.zip", bundle)
    assert main(["replay", "cat.zip", *OWN]) == 0
    assert "The same" in capsys.readouterr().out
    assert main(["replay", "cat.zip", "--device", "cpu"]) == 2
    assert "There is no network 'net.make'" in capsys.readouterr().err


def test_a_bundle_that_names_code_runs_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A bundle is a file of a stranger's, and its network is a name that they wrote."""
    write_net(Path(), "touch.py", "open('ran', 'w')\n\nfrom net import make\n")
    network = load_network("net.py:make", "cpu", input=48)
    bundle = make_bundle(network, CAT, with_photo=True)
    settings = replace(bundle.settings, network="touch.py:make")
    write_bundle("cat.zip", replace(bundle, settings=settings))
    assert main(["replay", "cat.zip", "--device", "cpu"]) == 2
    assert "There is no network 'touch.py:make'" in capsys.readouterr().err
    assert not Path("ran").exists()


IDLE = {
    "gates CAT --network net.py:make --architecture timm/seresnet50": "--network and "
    "--architecture name two networks for the weights. Give one of them.",
    "gates CAT --network net.py:make --checkpoints c": "--checkpoints is where names of networks "
    "are looked for, and --network brings the network itself. Leave --checkpoints out.",
    "gates CAT --network tiny --input 48": "--input belongs to code of your own, and none is ",
    "gates CAT --weights w.pt --architecture timm/seresnet50 --input 48": "--input belongs to code "
    "of your own, and --architecture knows its input. Leave --input out.",
    "evaluate --labels l.txt": "--labels belongs to a file of your own weights",
    "app --labels l.txt": "--labels belongs to a file of your own weights",
    "gates CAT --config a.toml --checkpoints c": "--config and --checkpoints are two lists",
}


@pytest.mark.parametrize(("words", "sentence"), IDLE.items(), ids=IDLE)
def test_options_that_count_for_nothing_beside_code_are_refused(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
):
    """The answer of another network than the one meant looks like any other answer."""
    assert main(words.replace("CAT", CAT).split()) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


def test_a_shape_is_read_before_anything_runs(capsys: pytest.CaptureFixture[str]):
    """A slip of the pen is answered with the usage, as any other."""
    with pytest.raises(SystemExit, match="2"):
        main(["gates", CAT, "--network", "net.py:make", "--input", "3xx4"])
    assert "argument --input: The input 3xx4 is no shape. " in capsys.readouterr().err


def test_the_app_begins_with_the_network_that_was_named(monkeypatch: pytest.MonkeyPatch):
    """First in the list, under a name without the path, and with its files in full."""
    words = ["app", "--network", "net.py:make", "--labels", "labels.txt", "--input", "48"]
    environment = environment_of(parse(words))
    source = source_from_json(environment[given.NETWORK])
    assert (source.make, source.labels) == (f"{Path.cwd()}/net.py:make", f"{Path.cwd()}/labels.txt")
    monkeypatch.setenv(given.NETWORK, environment[given.NETWORK])
    card = list_networks()[0]
    assert (card.name, card.title, card.parameters) == ("net.make", "net.py:make", 0)
    assert load_network("net.make", "cpu").classes == ("ant", "bee", "cat", "dog", "elk")


def test_the_app_can_begin_with_a_listed_network(monkeypatch: pytest.MonkeyPatch):
    """The same option, and the network stands once in the list."""
    environment = environment_of(parse(["app", "--network", "torchvision/efficientnet_b0"]))
    monkeypatch.setenv(given.NETWORK, environment[given.NETWORK])
    names = [card.name for card in list_networks()]
    assert names[0] == "torchvision/efficientnet_b0"
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--network nett.py:make", "nett.py cannot be read: No such file or directory."),
        ("--network net.py", "'net.py' names no callable."),
        ("--network alexnet", "There is no network 'alexnet'."),
        ("--network net.py:make --weights none.pt", "none.pt cannot be read"),
    ],
)
def test_the_app_does_not_start_for_a_network_that_is_not_there(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
):
    """A page could only say it later, to somebody else."""
    assert main(["app", *words.split()]) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


LIST = """
[networks.mine]
make = "net.py:make"
input = 48

[networks.odd]
make = "net.py:make"
imput = 48
"""


def test_a_listed_network_of_ones_own_is_the_default(capsys: pytest.CaptureFixture[str]):
    """`se_viz networks` has it first, and without --network the first is meant."""
    Path("se_viz.toml").write_text(LIST.partition("[networks.odd]")[0])
    assert main(["networks"]) == 0
    first = capsys.readouterr().out.splitlines()[1].split()
    assert first == ["mine", "-", "-", "-", "-", "-", "net.py:make,", "from", "se_viz.toml"]
    assert main(["gates", CAT, "--device", "cpu", "--out", "gates.csv"]) == 0
    assert set(pd.read_csv("gates.csv")["block"]) == {"SE_1_1", "SE_2_1"}


def test_a_mistake_in_the_list_is_told_where_it_may_count(capsys: pytest.CaptureFixture[str]):
    """The network that is left out may be the one that is meant, unless another one is named."""
    Path("nets.toml").write_text(LIST)
    sentence = "nets.toml: networks.odd.imput is no key. Did you mean input?"
    words = ["--config", "nets.toml"]
    assert main(["gates", CAT, *words]) == 2
    assert capsys.readouterr().err == f"se_viz: {sentence} Or name a network with --network.\n"
    assert main(["gates", CAT, *words, "--network", "odd"]) == 2
    assert capsys.readouterr().err == f"se_viz: {sentence}\n"
    assert main(["networks", "odd", *words]) == 2
    assert main(["networks", "mine", *words]) == 0
    assert main(["networks", *words]) == 0
    assert f"odd is left out: {sentence}" in capsys.readouterr().err
    assert main(["health", CAT, *words, "--network", "mine", "--device", "cpu"]) == 0


def test_a_list_that_cannot_be_read_ends_the_command(capsys: pytest.CaptureFixture[str]):
    """Whoever names a list, or starts the app beside one, means what is in it."""
    assert main(["networks", "--config", "none.toml"]) == 2
    assert "none.toml cannot be read: No such file or directory." in capsys.readouterr().err
    Path("se_viz.toml").write_text("[networks\n")
    assert main(["app"]) == 2
    assert capsys.readouterr().err.startswith("se_viz: se_viz.toml: Expected")


def test_the_app_reads_the_list_that_was_named():
    """Its pages are scripts of their own, and may run in another folder."""
    environment = environment_of(parse(["app", "--config", "nets.toml"]))
    assert environment == {CONFIG: f"{Path.cwd()}/nets.toml"}
