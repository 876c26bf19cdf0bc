"""Pairs of networks with and without SE blocks: what is compared, and runs that are stopped."""

import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import SqueezeExcitation
from torchvision.transforms import v2

from se_viz import find_gates
from se_viz.__main__ import main
from se_viz.experiments import read_gates, read_runs, unpack_flags
from se_viz.train import trials
from se_viz.train.data import normalise
from se_viz.train.pairs import PAIRS, Pair, count_parameters
from se_viz.train.recipe import Recipe
from se_viz.train.trials import Trial, list_trials, read_manifest, train_trial

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=2, batch=4, sizes=(32,), mixup=0.0, erasing=0.0)
ORIGINALS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: ResNet(Bottleneck, [2, 2, 2, 2], num_classes=10),
    "vgg": lambda: models.vgg11_bn().features,
    "googlenet": lambda: models.googlenet(num_classes=10, aux_logits=False, init_weights=False),
    "mobilenet": lambda: models.mobilenet_v2(num_classes=10),
}
"""torchvision's own networks; of VGG without the classifier, which is another one here."""


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_at_width_one_a_family_is_torchvisions(pair: Pair):
    """The papers' tables, written down a second time by somebody else."""
    with torch.device("meta"):
        ours = pair.build(1.0, 10)
        theirs = ORIGINALS[pair.name]()
    extra = 512 * 10 + 10 if pair.name == "vgg" else 0
    assert count_parameters(ours) == count_parameters(theirs) + extra
    shapes = [tuple(value.shape) for value in theirs.parameters() if value.ndim == 4]
    assert [tuple(value.shape) for value in ours.parameters() if value.ndim == 4] == shapes


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_se_blocks_are_all_that_the_second_of_a_pair_has_more(pair: Pair):
    """Anything else would be compared too; and the third has as many parameters as the second."""
    plain, se, wide = (pair.make(variant, 10) for variant in ("plain", "se", "wide"))
    blocks = [part for part in se.modules() if isinstance(part, SqueezeExcitation)]
    added = 0
    for block in blocks:
        channels = block.fc1.in_channels
        hidden = channels // pair.reduction
        added += 2 * channels * hidden + hidden + channels
    assert count_parameters(se) == count_parameters(plain) + added
    assert count_parameters(wide) == pytest.approx(count_parameters(se), rel=0.004)
    assert count_parameters(wide) > count_parameters(plain)
    assert len(find_gates(se, size=64)) == len(blocks)


def test_every_network_has_its_run_with_every_seed():
    """Three seeds, four families, three variants; the first twelve runs are of the first seed."""
    names = [trial.name for trial in list_trials()]
    assert len(names) == len(set(names)) == 36
    assert {name.rpartition("_")[2] for name in names[:12]} == {"0"}
    assert len({trial.recipe.seed for trial in list_trials()}) >= 3


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two classes of plain squares."""
    folder = tmp_path_factory.mktemp("squares")
    dice = random.Random(0)
    for split in ("train", "val"):
        for name, colour in (("blue", (40, 40, 200)), ("red", (200, 40, 40))):
            (folder / split / name).mkdir(parents=True)
            for index in range(6):
                shade = tuple(value + dice.randrange(-30, 30) for value in colour)
                Image.new("RGB", (40, 36), shade).save(folder / split / name / f"{index}.png")
    return folder


class StoppedError(Exception):
    """Ends a run where a test wants it."""


def test_runs_that_were_stopped_end_as_if_they_had_not_been(
    tmp_path, squares, monkeypatch: pytest.MonkeyPatch
):
    """A run goes on after its last whole epoch, and a folder after its last whole run; what ended
    is not trained again.
    """
    monkeypatch.setattr(trials, "RECIPE", RECIPE)
    monkeypatch.setattr(trials, "SEEDS", (0, 1))
    monkeypatch.setattr(trials, "PAIRS", (Pair("toy", "Toy", PAIRS[0].build, 0.25),))
    words = ["train", "--all", "--data", str(squares), "--device", "cpu", "--workers", "0"]
    assert main([*words, "--run", str(tmp_path / "whole")]) == 0
    whole = read_manifest(tmp_path / "whole")
    assert [row["name"] for row in whole] == [
        *("toy_plain_0", "toy_se_0", "toy_wide_0", "toy_plain_1", "toy_se_1", "toy_wide_1")
    ]
    assert whole[0]["parameters"] < whole[1]["parameters"]
    assert whole[0]["flops"] < whole[1]["flops"] < whole[2]["flops"]
    assert all(len(row["curve"]) == RECIPE.epochs for row in whole)
    assert whole[0]["curve"] != whole[3]["curve"]
    # Networks with SE blocks have their gates, of step 0, beside their state.
    assert [row["gates"] for row in whole[:3]] == [None, "toy_se_0/gates.parquet", None]
    gates = pd.read_parquet(tmp_path / "whole" / whole[1]["gates"])
    assert {*gates["step"]} == {0}
    assert gates["block"].is_unique
    # What the app shows of them.
    out = tmp_path / "shown"
    export = ["train", "--all", "--run", str(tmp_path / "whole"), "--export", "--out", str(out)]
    assert main(export) == 0
    shown = read_runs(out)
    assert [run.name for run in shown] == [row["name"] for row in whole]
    assert [round(run.top1, 4) for run in shown] == [row["top1"] for row in whole]
    assert {run.steps for run in shown} == {6}
    assert len(read_gates(out, "toy_se_1")) == len(gates)
    original = trials._State.step
    steps = 0

    def stop(state, images, labels):
        nonlocal steps
        steps += 1
        # Each run has 2 epochs of 3 steps: in the middle of one, and in the first of another.
        if steps in (4, 12):
            raise StoppedError
        return original(state, images, labels)

    monkeypatch.setattr(trials._State, "step", stop)
    for _ in range(2):
        with pytest.raises(StoppedError):
            main([*words, "--run", str(tmp_path / "stopped")])
    assert main([*words, "--run", str(tmp_path / "stopped")]) == 0
    # Lost are the steps of an epoch that did not end: one, then two.
    assert steps == 36 + 1 + 2
    assert without_times(read_manifest(tmp_path / "stopped")) == without_times(whole)
    before = steps
    assert main([*words, "--run", str(tmp_path / "stopped")]) == 0
    assert steps == before


def without_times(rows: list[dict]) -> list[dict]:
    return [
        {
            **{name: value for name, value in row.items() if name != "seconds"},
            "curve": [(point["loss"], point["top1"]) for point in row["curve"]],
        }
        for row in rows
    ]


def test_a_network_learns(tmp_path, squares):
    """Blue and red squares are told apart after some epochs, or nothing is trained."""
    recipe = Recipe(epochs=24, batch=4, sizes=(32,), rate=0.004, mixup=0.0, erasing=0.0)
    pictures = [trials.read_data(squares, batch=4)[index] for index in range(2)]
    row = train_trial(
        Trial(PAIRS[0], "se", recipe), tmp_path, *pictures, device=torch.device("cpu"), workers=0
    )
    assert row["curve"][-1]["loss"] < row["curve"][0]["loss"]
    # By chance it is a half.
    assert row["top1"] > 0.8
    right = unpack_flags(row["right"], row["images"])
    assert row["top1"] == round(right.mean(), 4)
    # Image by image: the same network, asked again, is right about the same ones.
    model = PAIRS[0].make("se", 2)
    model.load_state_dict(torch.load(tmp_path / row["name"] / "last.pt")["model"])
    with torch.no_grad():
        inputs = normalise(torch.stack([small(image) for image in pictures[1].images]))
        answers = model.eval()(inputs).argmax(1)
    assert right.tolist() == [
        int(answer == label) for answer, label in zip(answers, pictures[1].labels, strict=True)
    ]


def small(image: torch.Tensor) -> torch.Tensor:
    return v2.functional.center_crop(v2.functional.resize(image, [32], antialias=True), [32])


REFUSALS = {
    ("--all",): "--all needs --run",
    ("--all", "--run", "x", "--out", "y"): "--out has no effect beside --all",
    ("--all", "--run", "nothing-there", "--export"): "No run of nothing-there has ended.",
    ("--all", "--run", "x", "--epochs", "3"): "--epochs has no effect beside --all",
    ("--all", "--run", "x", "--weights", "y"): "--weights has no effect beside --all",
}


@pytest.mark.parametrize("words", REFUSALS, ids=" ".join)
def test_settings_beside_all_are_told(words, capsys):
    """An option that counts for nothing looks as if it did."""
    assert main(["train", *words]) == 2
    assert REFUSALS[words] in capsys.readouterr().err
