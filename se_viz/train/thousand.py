"""One whole run of ``python -m se_viz train --recipe se_efficientnet_lite0``."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from tqdm import tqdm

from se_viz.files import told
from se_viz.networks import load_network
from se_viz.networks.card import View
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.train.beginnings import begin_unchanged, fill_plain, plain_twin, spread_squeezes
from se_viz.train.data import find_data, normalise
from se_viz.train.distillation import MEAN, STD, Distillation, Distilling
from se_viz.train.photos import Photos, Views, read_folders, read_list
from se_viz.train.progress import among, answer, compare, log

VIEW = View(224, 256, "centre", "bicubic")
"""How the plain network was trained to see a photo."""
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
    """Train, or go on from where the run's folder stands; stop after the last step."""
    recipe = Distilling(seed=arguments.seed)
    folder = arguments.run
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    student = build_se_efficientnet(ARCHITECTURE)
    fill_plain(student, arguments.plain)
    teacher = plain_twin(student)
    begin_unchanged(student)
    ten = find_data(arguments.data)
    views = _read_views(ten, arguments.more, recipe)
    student.eval()
    spread_squeezes(student, islice(_inputs(views), 20), seed=recipe.seed)
    if arguments.initial:
        initial = load_network(arguments.initial, "cpu", folder=arguments.out)
        student.load_state_dict(initial.model.state_dict())
    state = Distillation(recipe, folder, student=student, teacher=teacher)
    sights = _read_sights(ten, arguments.more, state.teacher)
    _train(state, views, sights)


def _train(state: Distillation, views: Views, sights: dict[str, Sight]) -> None:
    started = saved = time.monotonic()
    if state.step == 0:
        log(state.folder / "log.jsonl", {"step": 0, **look(state.student, sights)})
    teacher = labels = 0.0
    first = state.step
    for _ in tqdm(range(state.step, state.recipe.steps), mininterval=30):
        losses = state.train_step(views)
        teacher += losses.teacher
        labels += losses.labels
        due = state.step % LOOK_STEPS == 0 or state.step == state.recipe.steps
        if due:
            count = state.step - first
            row = {
                "step": state.step,
                "seconds": round(time.monotonic() - started, 1),
                "seed": state.recipe.seed,
                "teacher_loss": round(teacher / count, 4),
                "label_loss": round(labels / count, 4),
            }
            log(state.folder / "log.jsonl", {**row, **look(state.average.module, sights)})
            started = time.monotonic()
            teacher = labels = 0.0
            first = state.step
        if due or time.monotonic() - saved > SAVE_SECONDS:
            state.save()
            saved = time.monotonic()


def look(model: nn.Module, sights: dict[str, Sight]) -> dict[str, Any]:
    """Compare with the plain network: in a thousand ways, and among the ten classes."""
    thousand = answer(model, sights["thousand"].photos, gates=True)
    ten = answer(model, sights["ten"].photos, gates=False)
    truth = sights["ten"].photos.labels
    return {
        "thousand": compare(
            thousand.logits, sights["thousand"].plain, sights["thousand"].photos.labels
        ),
        "ten": compare(among(ten.logits, truth), among(sights["ten"].plain, truth), truth),
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


def _inputs(views: Views) -> Iterator[Tensor]:
    """Yield views as they are trained on, unmixed."""
    for step in range(views.steps):
        images, _ = views.at(step)
        yield normalise(images, MEAN, STD)


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
