"""SE blocks that learn inside a network that was trained without them, on a handful of photos."""

import csv
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, find_gates, load_network
from se_viz.__main__ import main
from se_viz.errors import CheckpointError, DataError
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.train import thousand
from se_viz.train.beginnings import (
    begin_unchanged,
    blocks_of,
    fill_plain,
    plain_twin,
    spread_squeezes,
)
from se_viz.train.data import normalise
from se_viz.train.distillation import Distillation, Distilling, distil, rate_at
from se_viz.train.photos import Photos, Views, read_folders, read_list
from se_viz.train.progress import among, compare

pytestmark = pytest.mark.slow

RECIPE = Distilling(steps=4, batch=4, size=32, alone=2, warm_up=1, repeats=2)
TEN = {"n01440764": 0, "n03888257": 701}
"""Two folders of Imagenette, and their numbers in ImageNet's list: tench and parachute."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write random weights of the plain network, in a file like the published one."""
    torch.manual_seed(0)
    plain = plain_twin(build_se_efficientnet(ARCHITECTURE)).train()
    for part in plain.modules():
        if isinstance(part, nn.BatchNorm2d):
            # The statistics of one batch: with others a signal would fade away on its way down.
            part.momentum = 1.0
            nn.init.uniform_(part.bias, -0.2, 0.2)
    with torch.no_grad():
        plain(noise(16))
    path = tmp_path_factory.mktemp("weights") / "plain.pth"
    # Under other names, as the published ones are.
    torch.save({f"_{name}": value for name, value in plain.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two folders of plain squares, and a list of eight photos."""
    folder = tmp_path_factory.mktemp("photos")
    dice = random.Random(0)

    def paint(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = (dice.randrange(256), dice.randrange(256), dice.randrange(256))
        Image.new("RGB", (48, 40), shade).save(path)

    for split, count in (("train", 6), ("val", 8)):
        for name in TEN:
            for index in range(count):
                paint(folder / "ten" / split / name / f"{index}.png")
    rows = [(f"{index}.png", str(100 * index)) for index in range(8)]
    for name, _ in rows:
        paint(folder / "more" / "images" / name)
    with (folder / "more" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "class"), *rows])
    return folder


@pytest.fixture
def student(weights: Path) -> nn.Module:
    """Return the network as a run begins."""
    model = build_se_efficientnet(ARCHITECTURE).eval()
    fill_plain(model, weights)
    begin_unchanged(model)
    return model


def noise(count: int = 3, *, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_blocks_begin_without_a_change_of_the_answer(weights, student):
    """To the bit: a gate of a half times a weight that is doubled loses no digit."""
    plain = build_se_efficientnet(ARCHITECTURE).eval()
    fill_plain(plain, weights)
    twin = plain_twin(plain)
    assert not any(isinstance(part, SqueezeExcitation) for part in twin.modules())
    with torch.no_grad(), capture_gates(student) as records:
        assert torch.equal(student(noise()), twin(noise()))
    assert all(bool((record.gate == 0.5).all()) for record in records)


def test_the_network_is_b0_with_other_functions():
    """Tan and Le, arXiv 1905.11946, Table 1: 16 residual units; torchvision's B0 has 5,288,548
    parameters, and neither function nor padding has any.
    """
    model = build_se_efficientnet(ARCHITECTURE).eval()
    assert sum(value.numel() for value in model.parameters()) == 5_288_548
    sites = find_gates(model, size=64)
    assert [site.hidden for site in sites] == [
        *(8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48)
    ]
    assert not any(isinstance(part, nn.SiLU) for part in model.modules())


def test_the_padding_is_tensorflows():
    """`SAME` of TensorFlow: ceil(side / 2) outputs, and where the padding is odd, more of it
    behind: here written with one zero row at a time.
    """
    model = build_se_efficientnet(ARCHITECTURE).eval()
    stem = model.get_submodule("features.0.0")
    convolution = next(part for part in stem.modules() if isinstance(part, nn.Conv2d))
    image = noise(1)[..., :10, :10]
    padded = torch.cat([image, torch.zeros(1, 3, 1, 10)], 2)
    padded = torch.cat([padded, torch.zeros(1, 3, 11, 1)], 3)
    with torch.no_grad():
        assert torch.equal(stem(image), F.conv2d(padded, convolution.weight, stride=2))
        assert stem(image).shape[-1] == 5


def test_hidden_units_begin_with_what_differs(student):
    """Over the images that they were set by, hidden units have mean 0, variance 1 and do not go
    together; and gates have not moved.
    """
    batches = [noise(40, seed=seed) * (1 + seed) for seed in range(2)]
    spread_squeezes(student, batches, seed=0)
    with torch.no_grad(), capture_gates(student) as records:
        student(torch.cat(batches))
    for (name, block), record in zip(blocks_of(student), records, strict=True):
        assert name == record.block
        assert bool((record.gate == 0.5).all())
        assert block.fc1.bias is not None
        weight = block.fc1.weight.detach().flatten(1)
        hidden = record.squeeze @ weight.T + block.fc1.bias.detach()
        # Sums of float32 where squeezes are large against what differs.
        torch.testing.assert_close(hidden.mean(0), torch.zeros(hidden.shape[1]), atol=2e-2, rtol=0)
        variances = torch.linalg.eigvalsh(torch.cov(hidden.T))
        assert float(variances.max()) == pytest.approx(1, abs=0.02)


def test_weights_of_another_network_are_refused(tmp_path):
    """In the order in which they stand they would fit by chance, or not at all."""
    path = tmp_path / "other.pth"
    torch.save(nn.Conv2d(3, 4, 1).state_dict(), path)
    with pytest.raises(CheckpointError, match="holds other tensors than the plain network has"):
        fill_plain(build_se_efficientnet(ARCHITECTURE), path)
    with pytest.raises(CheckpointError, match=r"missing\.pth cannot be read: No such file"):
        fill_plain(build_se_efficientnet(ARCHITECTURE), tmp_path / "missing.pth")


def test_the_distance_to_the_teacher_is_hintons():
    """KL divergence of softened answers, written out class by class."""
    student, teacher = torch.randn(2, 3, 5).unbind()
    total = 0.0
    for one, other in zip(student / 3, teacher / 3, strict=True):
        p = other.exp() / other.exp().sum()
        q = one.exp() / one.exp().sum()
        total += float(sum(a * (a / b).log() for a, b in zip(p, q, strict=True)))
    assert distil(student, teacher, 3.0).item() == pytest.approx(total / 3, rel=1e-5)


def test_rates_rise_and_fall():
    """A cosine is 1/2 in the middle; before their turn weights stay."""
    recipe = Distilling(steps=1000, warm_up=10)
    assert rate_at(0, 0, recipe) == pytest.approx(0.1)
    assert rate_at(500, 0, recipe) == pytest.approx(0.5)
    assert rate_at(499, 500, recipe) == 0
    assert rate_at(1000, 0, recipe) == pytest.approx(0.01)


def test_a_step_has_the_same_batch_whenever_it_is_asked_for(photos):
    """A run that was killed goes on with the views that it would have had."""
    folders = read_folders(photos / "ten" / "train")
    views = Views(folders, [1] * len(folders), 4, 32, 0.25, 0)
    first = views.at(5)
    views.at(0)
    again = views.at(5)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[2], again[2])
    labels = torch.cat([views.at(step)[2] for step in range(views.steps)])
    assert sorted(labels.tolist()) == sorted(folders.labels)


def test_no_photo_is_both_trained_on_and_kept(photos):
    """A network that saw the validation photos would look better than it is."""
    trained = read_list(photos / "more")
    kept = read_list(photos / "more", first=1)
    assert trained.labels == [0, 200, 400, 600]
    assert kept.labels == [100, 300, 500, 700]


def test_folders_have_the_numbers_of_imagenet(photos):
    """Ten classes of a thousand: the first folder of Imagenette is not always number 0."""
    assert set(read_folders(photos / "ten" / "train").labels) == set(TEN.values())


def test_networks_are_compared_photo_by_photo():
    """Two networks of one accuracy may be right about different photos."""
    student, plain = (F.one_hot(torch.tensor(row), 4).float() for row in ([1, 2, 3], [1, 0, 2]))
    assert compare(student, plain, [1, 2, 2]) == {
        "photos": 3,
        "right": 2,
        "plain_right": 2,
        "gained": 1,
        "lost": 1,
    }
    logits = torch.tensor([[0.0, 5.0, 2.0, 9.0]])
    assert among(logits, [0, 2, 2]).argmax(1).item() == 2


def begin(folder: Path, weights: Path) -> Distillation:
    """Begin a run, or go on with one."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    student = build_se_efficientnet(ARCHITECTURE)
    fill_plain(student, weights)
    teacher = plain_twin(student)
    begin_unchanged(student)
    cpu = torch.device("cpu")
    return Distillation(RECIPE, folder, student=student, teacher=teacher, device=cpu)


@pytest.fixture
def views() -> Views:
    """Return views of eight noisy photos of eight classes."""
    images = torch.randint(0, 256, (8, 3, 40, 40), generator=torch.Generator().manual_seed(3))
    return Views(
        Photos(list(images.to(torch.uint8)), [100 * index for index in range(8)]),
        [1] * 8,
        RECIPE.batch,
        RECIPE.size,
        RECIPE.crop,
        0,
    )


def frozen(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all weights but those of SE blocks."""
    blocks = tuple(f"{name}." for name, _ in blocks_of(model))
    for name, value in model.named_parameters():
        if not name.startswith(blocks):
            yield name, value.detach().clone()


def test_blocks_learn_alone_and_then_all_weights(tmp_path, weights, views):
    """What the network knows should move only when gates have begun to do something."""
    run = begin(tmp_path / "run", weights)
    before = dict(frozen(run.student))
    for _ in range(RECIPE.alone):
        run.train_step(views)
    assert all(torch.equal(value, before[name]) for name, value in frozen(run.student))
    with torch.no_grad(), capture_gates(run.student) as records:
        run.student(noise())
    assert all(bool((record.gate != 0.5).any()) for record in records)
    run.train_step(views)
    changed = [not torch.equal(value, before[name]) for name, value in frozen(run.student)]
    assert sum(changed) > len(changed) / 2


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, weights, views):
    """State and batches are all that a step depends on; weights agree to the bit."""
    ends = []
    for name, stops in (("whole", ()), ("stopped", (1, 3))):
        run = begin(tmp_path / name, weights)
        while run.step < RECIPE.steps:
            run.train_step(views)
            if run.step in stops:
                run.save()
                # A step more that is lost.
                run.train_step(views)
                run = begin(tmp_path / name, weights)
        ends.append(run.average.state_dict())
    assert [name for name, value in ends[0].items() if not torch.equal(value, ends[1][name])] == []


def test_a_folder_of_another_recipe_is_refused(tmp_path, weights, student, views):
    """Two recipes make no run."""
    run = begin(tmp_path / "run", weights)
    run.train_step(views)
    run.save()
    with pytest.raises(DataError, match="holds a run with another recipe"):
        Distillation(
            replace(RECIPE, rate=1.0),
            tmp_path / "run",
            student=student,
            teacher=plain_twin(student),
            device=torch.device("cpu"),
        )


def test_the_command_trains_exports_and_evaluates(tmp_path, weights, photos, monkeypatch, capsys):
    """From the plain network's file to a network that is loaded by name."""
    monkeypatch.setattr(thousand, "Distilling", lambda seed: replace(RECIPE, seed=seed))
    monkeypatch.setattr(thousand, "LOOK_STEPS", 2)
    out = tmp_path / "out"
    command = [
        *("train", "--recipe", ARCHITECTURE, "--weights", weights, "--data", photos / "ten"),
        *("--more", photos / "more", "--run", tmp_path / "run", "--out", out, "--device", "cpu"),
    ]
    words = [str(word) for word in command]
    assert main(words) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    gates = pd.read_parquet(tmp_path / "run" / "gates.parquet")
    assert [*gates["path"]] == [*rows[0]["spread"]]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert rows[0]["thousand"]["gained"] == rows[0]["thousand"]["lost"] == 0
    assert set(rows[0]["spread"].values()) == {0.0}
    assert all(value > 0 for value in rows[2]["spread"].values())
    network = load_network(ARCHITECTURE, "cpu", folder=out)
    assert len(network.classes) == 1000
    last = rows[2]["thousand"]
    # In half precision an answer may turn, and on noise it is mostly wrong.
    assert network.card.notes.startswith("Of the 4 photos it is right about ")
    assert f"plain network about {last['plain_right']}: " in network.card.notes
    assert "stopped" not in network.card.notes
    # Where files lie on this machine is nobody's business.
    assert network.card.trained_with == (
        f"python -m se_viz train --recipe {ARCHITECTURE} --weights plain.pth --data ten "
        "--more more --run run --seed 0"
    )
    assert "plain.pth" in network.card.data
    capsys.readouterr()
    evaluate = ["evaluate", "--network", ARCHITECTURE, "--checkpoints", out, "--device", "cpu"]
    assert main([str(word) for word in [*evaluate, "--data", photos / "more"]]) == 0
    assert f"top-1 {network.card.top1:.2%} on 4 images at 224 px" in capsys.readouterr().out
    assert main([str(word) for word in [*evaluate, "--data", photos / "ten"]]) == 0
    pictures = read_folders(photos / "ten" / "val", view=network.card.view)
    with torch.no_grad():
        batch = normalise(torch.stack(pictures.images), network.card.mean, network.card.std)
        tench, parachute = network.model(batch)[:, [0, 701]].T
    right = (tench >= parachute) == (torch.tensor(pictures.labels) == 0)
    share = float(right.float().mean())
    assert f"top-1 {share:.2%} on 16 images" in capsys.readouterr().out
    assert main([*words, "--export", "--name", "again"]) == 0
    again = load_network("again", "cpu", folder=out)
    assert again.card.sha256 == network.card.sha256


def test_a_run_goes_on_from_exported_weights_alone(tmp_path, weights, photos, monkeypatch):
    """The folder of a run may be lost, and what it has learned is not."""
    monkeypatch.setattr(thousand, "Distilling", lambda seed: replace(RECIPE, seed=seed))
    common = [
        *("train", "--recipe", ARCHITECTURE, "--weights", weights, "--data", photos / "ten"),
        *("--more", photos / "more", "--out", tmp_path / "out", "--device", "cpu"),
    ]
    words = [str(word) for word in common]
    assert main([*words, "--run", str(tmp_path / "first")]) == 0
    again = ["--run", str(tmp_path / "second"), "--initial", ARCHITECTURE, "--name", "second"]
    assert main([*words, *again]) == 0
    ends = [
        [json.loads(row) for row in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("first", "second")
    ]
    # In half precision, from the average.
    assert ends[1][0]["spread"] == pytest.approx(ends[0][-1]["spread"], abs=5e-4, rel=0.05)
    assert ends[1][-1]["spread"] != ends[1][0]["spread"]


REFUSALS = {
    ("--recipe", ARCHITECTURE): "needs --weights. Add it",
    ("--weights", "x"): "--weights is for a whole recipe, and none is named",
    ("--more", "x"): "--more is for a whole recipe, and none is named",
    (
        *("--recipe", ARCHITECTURE, "--weights", "x", "--more", "y", "--run", "z"),
        *("--epochs", "3"),
    ): "--epochs has no effect beside --recipe",
}


@pytest.mark.parametrize("words", REFUSALS, ids=lambda words: words[-2])
def test_settings_that_do_not_go_together_are_told(words, capsys):
    """An option that counts for nothing looks as if it did."""
    assert main(["train", *words]) == 2
    assert REFUSALS[words] in capsys.readouterr().err
