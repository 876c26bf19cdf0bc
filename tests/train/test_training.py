"""A whole training run on coloured squares: resumed after kills, exported, evaluated."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import SqueezeExcitation

from se_viz.__main__ import main
from se_viz.commands.arguments import parse
from se_viz.errors import DataError
from se_viz.files import hold
from se_viz.images.reading import open_image
from se_viz.networks import list_networks, load_network
from se_viz.train.command import _name_data
from se_viz.train.data import READABLE, Pictures
from se_viz.train.evaluate import evaluate
from se_viz.train.export import Naming, export
from se_viz.train.loop import Run
from se_viz.train.recipe import Recipe
from tests import ROOT

pytestmark = pytest.mark.slow

COLOURS = {"blue": (40, 40, 200), "red": (200, 40, 40)}
EPOCHS = 2
BATCH = 4


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of plain squares, eight each to train on and three each to validate."""
    folder = tmp_path_factory.mktemp("squares")
    dice = random.Random(0)
    for split, count in (("train", 8), ("val", 3)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                shade = tuple(value + dice.randrange(-40, 40) for value in colour)
                Image.new("RGB", (40, 36), shade).save(folder / split / name / f"{index}.png")
    return folder


def words(squares: Path, place: Path, **changes: object) -> list[str]:
    """Return the command that trains a small network; an argument can be changed."""
    arguments = {
        "data": squares,
        "run": place / "run",
        "out": place / "out",
        "name": "squares",
        "title": "Squares",
        "data-name": "Plain squares",
        "input-size": 32,
        "width": 0.25,
        "epochs": EPOCHS,
        "batch": BATCH,
        "sizes": 32,
        "workers": 0,
        "device": "cpu",
        **changes,
    }
    return [
        "train",
        *(str(word) for name, value in arguments.items() for word in (f"--{name}", value)),
    ]


@pytest.fixture(scope="module")
def finished(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold one run that nothing disturbed, and the network it made."""
    place = tmp_path_factory.mktemp("finished")
    assert main(words(squares, place)) == 0
    return place


# Every file of a run is written beside and renamed: gates, log and state of epoch 1, of epoch 2,
# weights, card. Forks, because importing PyTorch anew for each kill is most of the time.
KILL = """
import json, os, signal, sys
import se_viz.train.command
from se_viz.__main__ import main

def die_before(rename, place):
    def watch(event, details):
        nonlocal rename
        if event == "os.rename" and str(details[1]).startswith(place):
            rename -= 1
            if rename == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)

for rename, place, words in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        die_before(rename, place)
        os._exit(main(words))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
RENAMES = {1: 0, 2: 0, 4: 1, 5: 1, 7: 2}
"""Which renaming is prevented, and how many epochs are safe by then."""


@pytest.fixture(scope="module")
def killed(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Run the command once for each renaming, and kill it with SIGKILL just before."""
    places = {rename: tmp_path_factory.mktemp("killed") for rename in RENAMES}
    plan = [(rename, str(place), words(squares, place)) for rename, place in places.items()]
    command = [sys.executable, "-c", KILL, json.dumps(plan)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert process.stdout.split().count(str(-signal.SIGKILL)) == len(plan)
    return places


def test_the_gates_of_a_run_lie_beside_its_log(finished):
    """Every hundredth step of the whole run, from the first on: here of eight steps that one."""
    gates = pd.read_parquet(finished / "run" / "gates.parquet")
    assert [*gates["step"]] == [0] * 16
    assert [*gates["images"]] == [BATCH] * 16
    # New blocks halve every channel, more or less.
    assert gates["mean"].between(0.3, 0.7).all()


@pytest.mark.parametrize("rename", RENAMES)
def test_a_killed_run_ends_as_if_it_had_not_been_killed(squares, finished, killed, rename):
    """A kill just before a file is put in its place loses that epoch only; weights agree to the
    bit on the CPU.
    """
    place = killed[rename]
    last = place / "run" / "last.pt"
    assert (torch.load(last, weights_only=True)["epoch"] if last.exists() else 0) == RENAMES[rename]
    assert main(words(squares, place)) == 0
    epochs = [row.split(",")[0] for row in (place / "run" / "log.csv").read_text().splitlines()]
    assert epochs == ["epoch", "1", "2"]
    ours, theirs = (
        pd.read_parquet(folder / "run" / "gates.parquet") for folder in (place, finished)
    )
    pd.testing.assert_frame_equal(ours, theirs)
    weights = [
        (folder / "out" / "squares.safetensors").read_bytes() for folder in (place, finished)
    ]
    assert weights[0] == weights[1]


def test_the_log_has_what_one_plots(finished):
    """One row an epoch; accuracy where it was measured, which includes the last epoch."""
    header, first, last = [
        row.split(",") for row in (finished / "run" / "log.csv").read_text().splitlines()
    ]
    assert header == [
        "epoch",
        "size",
        "learning_rate",
        "training_loss",
        "validation_top1",
        "seconds",
    ]
    assert (first[:2], last[:2]) == (["1", "32"], ["2", "32"])
    assert float(first[3]) > 0
    assert first[4] == ""
    assert 0 <= float(last[4]) <= 1


def test_the_card_of_a_finished_run_is_complete(squares, finished):
    """Whoever finds the weights has to learn what they are, how they were made and how good they
    are.
    """
    (card,) = list_networks(finished / "out")
    network = load_network("squares", "cpu", folder=finished / "out")
    assert (card.title, card.architecture, card.arguments) == (
        "Squares",
        "se_resnet50",
        {"width": 0.25, "reduction": 16},
    )
    assert (card.classes, card.input_size) == (("blue", "red"), 32)
    assert card.parameters == sum(value.numel() for value in network.model.parameters())
    assert card.data == "Plain squares: 16 training and 6 validation images"
    assert card.trained_with == shlex.join(["python", "-m", "se_viz", *words(squares, finished)])
    assert date.fromisoformat(card.date) <= date.today()
    assert (card.licence, card.notes) == ("Apache-2.0", "")


def test_the_accuracy_on_the_card_is_the_share_of_right_answers(squares, finished):
    """Counted here one image at a time, through the preprocessing of the app."""
    network = load_network("squares", "cpu", folder=finished / "out")
    right = 0
    for index, name in enumerate(COLOURS):
        for path in (squares / "val" / name).iterdir():
            right += network.model(network.preprocess(open_image(path))).argmax().item() == index
    assert network.card.top1 == round(right / 6, 4)


def test_evaluate_prints_the_number_on_the_card(squares, finished, capsys):
    """A reader who doubts the card can run the command that stands on it."""
    folder = finished / "out"
    (card,) = list_networks(folder)
    assert card.evaluated_with == "python -m se_viz evaluate --network squares"
    arguments = card.evaluated_with.split()[3:]
    assert (
        main([*arguments, "--checkpoints", str(folder), "--data", str(squares), "--device", "cpu"])
        == 0
    )
    assert capsys.readouterr().out == f"squares: top-1 {card.top1:.2%} on 6 images at 32 px (cpu)\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rate": 0.01},
            r"holds a run with another recipe \(.*\)\. Continue it with the same arguments",
        ),
        (
            {"batch": 17},
            r"train holds 16 images, fewer than one batch of 17\. Add images, or name a smaller "
            r"--batch\.",
        ),
        ({"architecture": "vgg"}, r"There is no architecture 'vgg'\. .*or one of: se_resnet18"),
        ({"device": "tpu"}, r"There is no device 'tpu' on this machine\."),
        ({"data": "nowhere"}, r"nowhere has no folders train and val\."),
    ],
)
def test_what_cannot_be_trained_is_said(squares, finished, capsys, changes, message):
    """One sentence and exit code 2; the finished run in the folder stays as it is."""
    before = (finished / "run" / "last.pt").stat().st_mtime_ns
    assert main(words(squares, finished, **changes)) == 2
    assert re.search(rf"^se_viz: .*{message}", capsys.readouterr().err, re.MULTILINE)
    assert (finished / "run" / "last.pt").stat().st_mtime_ns == before


def test_an_architecture_of_timm_is_trained(squares, tmp_path, capsys):
    """Also one that nobody has published weights of: it is found, trained, written and loaded."""
    command = words(squares, tmp_path, architecture="timm/efficientnet_b0_gn", epochs=1)
    place = command.index("--width")
    assert main(command) == 2
    assert "--width is for se_viz's own architectures" in capsys.readouterr().err
    del command[place : place + 2]
    assert main(command) == 0
    network = load_network("squares", "cpu", folder=tmp_path / "out")
    assert (network.card.library, network.card.architecture) == ("timm", "efficientnet_b0_gn")
    assert network.classes == ("blue", "red")
    assert len(network.inspection.sites) == 16
    # As everywhere: gates have a step of their own, and no value is left out or trained twice.
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    groups = [len(group["params"]) for group in state["optimiser"]["param_groups"]]
    assert sum(groups) == len([*network.model.parameters()])
    assert groups[2] == 4 * 16


def test_an_architecture_that_cannot_run_at_a_size_is_said(squares, tmp_path, capsys):
    """Some of timm's run at one size alone: told before the first step."""
    command = words(squares, tmp_path, architecture="timm/coatnet_nano_cc_224", epochs=1)
    place = command.index("--width")
    del command[place : place + 2]
    assert main(command) == 2
    assert "does not run at 32 pixels" in capsys.readouterr().err


def test_a_damaged_state_is_said(squares, finished, tmp_path, capsys):
    """A disk that was full, a copy that broke off, a file of another program: the run's folder is
    named.
    """
    (tmp_path / "run").mkdir()
    whole = (finished / "run" / "last.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no pickle"):
        (tmp_path / "run" / "last.pt").write_bytes(content)
        assert main(words(squares, tmp_path)) == 2
        assert re.search(
            r"last\.pt is damaged or no state of a run \(.*\)\. Delete it to",
            capsys.readouterr().err,
        )
        assert (tmp_path / "run" / "last.pt").read_bytes() == content


def test_where_nothing_can_be_written_no_training_begins(squares, tmp_path, capsys):
    """Found at the end of a night, it would cost the night."""
    (tmp_path / "out").write_text("a file")
    assert main(words(squares, tmp_path)) == 2
    assert "squares.safetensors cannot be written: File exists." in capsys.readouterr().err
    (tmp_path / "out").unlink()
    (tmp_path / "run" / "last.pt").mkdir(parents=True)
    assert main(words(squares, tmp_path)) == 2
    assert "last.pt cannot be written: it is a folder." in capsys.readouterr().err


def test_two_processes_do_not_share_a_run(squares, tmp_path, capsys):
    """Each would go on from the other's epochs, and the log would hold both."""
    (tmp_path / "run").mkdir()
    with hold(tmp_path / "run"):
        assert main(words(squares, tmp_path)) == 2
    assert f"Another process trains in {tmp_path / 'run'}. Wait for it" in capsys.readouterr().err


def test_the_card_names_other_data_by_their_folder(squares):
    """Weights of other photos must not pass for the bundled network's; a name that is given comes
    first.
    """
    arguments = words(squares, squares)
    plain = [word for word in arguments if word not in ("--data-name", "Plain squares")]
    assert _name_data(parse(arguments), ("blue", "red")) == "Plain squares"
    assert _name_data(parse(plain), ("blue", "red")) == squares.name
    assert _name_data(parse(plain), tuple(READABLE.values())) == "Imagenette v2"


def test_a_run_does_not_go_on_with_other_data(squares, finished, tmp_path, capsys):
    """More images make more steps, and the schedule of the learning rate would end too early."""
    for split in ("train", "val"):
        for name in COLOURS:
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(4):
                Image.new("RGB", (40, 36)).save(tmp_path / split / name / f"{index}.png")
    assert main(words(tmp_path, finished)) == 2
    assert (
        "holds a run on data with other classes or another number of images."
        in capsys.readouterr().err
    )
    (tmp_path / "val" / "red").rename(tmp_path / "val" / "green")
    assert main(words(tmp_path, finished)) == 2
    assert "has green, red in only one of train and val." in capsys.readouterr().err


def test_a_state_of_other_parts_is_said(squares, finished, tmp_path, capsys):
    """A folder from somewhere else: PyTorch's reader takes any number of bytes that a file asks
    for.
    """
    (tmp_path / "run").mkdir()
    state = torch.load(finished / "run" / "last.pt", weights_only=True)
    changes = {"note": bytearray(3)}, {"average": {}}, {"model": {}}
    messages = (
        r"is damaged or no state of a run \(TypeError\)",
        "holds other parts than a run",
        "holds other parts than",
    )
    for change, message in zip(changes, messages, strict=True):
        torch.save({**state, **change}, tmp_path / "run" / "last.pt")
        assert main(words(squares, tmp_path)) == 2
        assert re.search(message, capsys.readouterr().err)


def test_a_run_can_begin_with_a_trained_network(squares, finished, tmp_path, capsys):
    """Without a step that moves them, the weights stay those of the first run; both commands stand
    on the card.
    """
    shutil.copytree(finished / "out", tmp_path / "out")
    card = tmp_path / "out" / "squares.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "notes": "It was warm."}))
    first = load_network("squares", "cpu", folder=finished / "out")
    changes = {"initial": "squares", "rate": 1e-12, "gate-rate": 1e-12, "epochs": 1}
    assert main(words(squares, tmp_path, **changes)) == 0
    second = load_network("squares", "cpu", folder=tmp_path / "out")
    for name, value in first.model.named_parameters():
        assert torch.equal(second.model.get_parameter(name), value), name
    command = shlex.join(["python", "-m", "se_viz", *words(squares, tmp_path, **changes)])
    assert second.card.trained_with == f"{first.card.trained_with} && {command}"
    assert second.card.notes == "The run it began with: It was warm."
    assert main(words(squares, tmp_path, **changes, run=tmp_path / "other", width=0.5)) == 2
    assert (
        "The weights of squares do not fit the network to be trained. Give the"
        in capsys.readouterr().err
    )


def test_evaluation_refuses_other_classes(network, squares):
    """Labels of another data set would be counted as wrong answers."""
    with pytest.raises(
        DataError,
        match=r"^The folder has the classes blue, red; the network has the classes ant, .*elk\. "
        r"Eval",
    ):
        evaluate(network, Pictures(squares / "val"))


def test_an_unfinished_run_says_so_on_its_card(squares, finished, tmp_path):
    """Weights of an early epoch are useful, and must not pass for the finished ones."""
    (tmp_path / "run").mkdir()
    state = torch.load(finished / "run" / "last.pt", weights_only=True)
    torch.save({**state, "epoch": 1}, tmp_path / "run" / "last.pt")
    naming = Naming("early", "Early", "Squares", "by hand", 32)
    validation = Pictures(squares / "val")
    card = export(
        tmp_path / "run", tmp_path / "out", naming, validation, device=torch.device("cpu")
    )
    assert card.notes == "Training was stopped after epoch 1 of 2."
    with pytest.raises(
        DataError, match=r"nothing holds no run\. Train one with `python -m se_viz train`\.$"
    ):
        export(
            tmp_path / "nothing", tmp_path / "out", naming, validation, device=torch.device("cpu")
        )


def test_the_size_of_crops_grows_over_equal_parts_of_the_run():
    """Two fifths at 96, two at 128 and one at 160: 20, 20 and 10 of 50 epochs."""
    recipe = Recipe(epochs=50, sizes=(96, 96, 128, 128, 160))
    assert [recipe.size_at(epoch) for epoch in range(50)] == [96] * 20 + [128] * 20 + [160] * 10


def test_every_weight_is_trained_once_with_the_step_meant_for_it(tmp_path):
    """Gates get a smaller step than the rest, and norms and biases no decay."""
    recipe = Recipe(width=0.25)
    run = Run(recipe, tmp_path, classes=2, steps=3, device=torch.device("cpu"))
    step = {id(value): group for group in run.optimiser.param_groups for value in group["params"]}
    assert len(step) == sum(len(group["params"]) for group in run.optimiser.param_groups)
    assert len(step) == len(list(run.model.parameters()))
    gates = [module for module in run.model.modules() if isinstance(module, SqueezeExcitation)]
    norms = [module for module in run.model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {step[id(value)]["max_lr"] for block in gates for value in block.parameters()} == {
        recipe.gate_rate
    }
    assert {step[id(value)]["weight_decay"] for norm in norms for value in norm.parameters()} == {
        0.0
    }
    weight = run.model.get_parameter("fc.weight")
    assert step[id(weight)]["max_lr"] == recipe.rate
    assert step[id(weight)]["weight_decay"] == recipe.decay
