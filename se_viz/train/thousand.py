"""One whole run of ``python -m se_viz train --recipe se_efficientnet_lite0``."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from se_viz.devices import choose_device
from se_viz.networks import load_network
from se_viz.networks.checkpoints import FOLDER
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.train.beginnings import begin_unchanged, fill_plain, plain_twin, spread_squeezes
from se_viz.train.command import alone, check_folders
from se_viz.train.data import find_data, normalise
from se_viz.train.distillation import MEAN, STD, Distillation, Distilling
from se_viz.train.gates import watching
from se_viz.train.photos import Photos, Views, read_folders, read_list
from se_viz.train.pretrained_card import VIEW, export_run
from se_viz.train.progress import among, answer, compare, log

SAVE_SECONDS = 180
LOOK_STEPS = 250
"""Steps between two looks at the validation photos."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Validation photos with the plain network's answers to them."""

    photos: Photos
    """As the network sees them."""
    plain: Tensor
    """(photos, 1000)."""


def run(arguments: argparse.Namespace) -> None:
    """Train to the last step, or go on from where the run's folder stands, then write weights and
    card; with ``--export`` write them at once.

    Raises:
        CheckpointError: the file of the plain network does not fit.
        DataError: the photos cannot be trained on, or the folder holds another run.
        DeviceError: the device is not on this machine.
    """
    out = arguments.out or FOLDER
    if "name" not in arguments.option_names:
        arguments.name = ARCHITECTURE
    check_folders(arguments, out)
    if not arguments.export:
        with alone(arguments.run):
            _train(_begin(arguments), arguments)
    card = export_run(arguments, out)
    print(f"{card.name}: top-1 {card.top1:.2%} in a thousand ways; written to {out}")


def _begin(arguments: argparse.Namespace) -> Distillation:
    """Return a run whose student answers as the plain network does, or what was saved of it."""
    recipe = Distilling(seed=arguments.seed)
    torch.manual_seed(recipe.seed)
    student = build_se_efficientnet(ARCHITECTURE)
    fill_plain(student, arguments.plain)
    teacher = plain_twin(student)
    begin_unchanged(student)
    if arguments.initial:
        initial = load_network(arguments.initial, "cpu", folder=arguments.out)
        student.load_state_dict(initial.model.state_dict())
    device = choose_device(arguments.device).device
    return Distillation(recipe, arguments.run, student=student, teacher=teacher, device=device)


def _train(state: Distillation, arguments: argparse.Namespace) -> None:
    ten = find_data(arguments.data)
    views = _read_views(ten, arguments.more, state.recipe)
    sights = _read_sights(ten, arguments.more, state.teacher)
    path = state.folder / "log.jsonl"
    if state.step == 0:
        if not arguments.initial:
            batches = islice(_inputs(views, state), 20)
            spread_squeezes(state.student, batches, seed=state.recipe.seed)
        log(path, {"step": 0, **look(state.student, sights)})
    if state.step == state.recipe.steps:
        return
    with watching(
        state.student, state.folder, lambda: state.step, size=state.recipe.size, eval_mode=True
    ):
        _train_steps(state, views, sights)


def _train_steps(state: Distillation, views: Views, sights: dict[str, Sight]) -> None:
    path = state.folder / "log.jsonl"
    started = saved = time.monotonic()
    losses: list[tuple[float, float]] = []
    for _ in tqdm(range(state.step, state.recipe.steps), mininterval=30):
        losses.append(state.train_step(views))
        due = state.step % LOOK_STEPS == 0 or state.step == state.recipe.steps
        if due:
            row = _summary(state, losses, time.monotonic() - started)
            log(path, {**row, **look(state.average.module, sights)})
            started = time.monotonic()
            losses = []
        if due or time.monotonic() - saved > SAVE_SECONDS:
            state.save()
            saved = time.monotonic()


def _summary(
    state: Distillation, losses: list[tuple[float, float]], seconds: float
) -> dict[str, Any]:
    """Return what the steps since the last look were like; after a kill, those since it."""
    teacher, labels = (sum(values) / len(losses) for values in zip(*losses, strict=True))
    return {
        "step": state.step,
        "steps": len(losses),
        "seconds": round(seconds, 1),
        "seed": state.recipe.seed,
        "teacher_loss": round(teacher, 4),
        "label_loss": round(labels, 4),
    }


def look(model: nn.Module, sights: dict[str, Sight]) -> dict[str, Any]:
    """Compare with the plain network: in a thousand ways, and among the ten classes."""
    thousand = answer(model, sights["thousand"].photos, gates=True)
    ten = answer(model, sights["ten"].photos, gates=False)
    labels = sights["thousand"].photos.labels
    truth = sights["ten"].photos.labels
    plain = among(sights["ten"].plain, truth)
    return {
        "thousand": compare(thousand.logits, sights["thousand"].plain, labels),
        "ten": compare(among(ten.logits, truth), plain, truth),
        "spread": {block: round(value, 4) for block, value in thousand.spreads.items()},
    }


def _read_views(ten: Path, more: Path, recipe: Distilling) -> Views:
    folders = read_folders(ten / "train")
    others = read_list(more)
    return Views(
        Photos([*folders.images, *others.images], [*folders.labels, *others.labels]),
        [1] * len(folders) + [recipe.repeats] * len(others),
        recipe.batch,
        recipe.size,
        recipe.crop,
        recipe.seed,
    )


def _inputs(views: Views, state: Distillation) -> Iterator[Tensor]:
    """Yield views as they are trained on, unmixed."""
    for step in range(views.steps):
        _, damaged, _ = views.at(step)
        yield normalise(damaged.to(state.device), MEAN, STD)


def _read_sights(ten: Path, more: Path, teacher: nn.Module) -> dict[str, Sight]:
    photos = {
        "thousand": read_list(more, view=VIEW, first=1),
        # One in eight: a look should not take as long as what it looks at.
        "ten": read_folders(ten / "val", view=VIEW, every=8),
    }
    return {
        name: Sight(value, answer(teacher, value, gates=False).logits)
        for name, value in photos.items()
    }
