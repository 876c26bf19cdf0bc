"""Every network of `PAIRS` from scratch, by one recipe and several seeds: ``train --all``."""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from se_viz.devices import choose_device
from se_viz.errors import DataError
from se_viz.experiments import GATES_FILE, RUNS_FILE, VARIANTS, Variant, pack_flags
from se_viz.files import told, write_file
from se_viz.names import show_path
from se_viz.networks.checkpoints import FOLDER
from se_viz.train.command import alone, read_data
from se_viz.train.data import (
    Pictures,
    find_data,
    normalise,
    training_batches,
    validation_batches,
)
from se_viz.train.gates import FILE, watching
from se_viz.train.loop import read_state
from se_viz.train.pairs import PAIRS, Pair, count_parameters
from se_viz.train.recipe import Recipe

SEEDS = (0, 1, 2)
RECIPE = Recipe(epochs=10, batch=64, sizes=(128,), rate=0.004, mixup=0.0, crop=0.35, erasing=0.0)
"""One for all: what differs between two networks is then the network."""
MANIFEST = "manifest.jsonl"
"""One line for each run that has ended."""
_PARTS = ("model", "optimiser", "schedule", "epoch", "curve")


@dataclass(frozen=True, slots=True)
class Trial:
    """One run to be done."""

    pair: Pair
    """Its family."""
    variant: Variant
    """Plain, with SE blocks, or wide."""
    recipe: Recipe
    """How it is trained, seed and all."""

    @property
    def name(self) -> str:
        """Return what its folder is called."""
        return f"{self.pair.name}_{self.variant}_{self.recipe.seed}"


def list_trials(recipe: Recipe = RECIPE) -> list[Trial]:
    """Return all runs, one seed after the other: stopped early, every network has as many runs."""
    return [
        Trial(pair, variant, replace(recipe, seed=seed))
        for seed in SEEDS
        for pair in PAIRS
        for variant in VARIANTS
    ]


def run(arguments: argparse.Namespace) -> None:
    """Train every network that the manifest of the folder lacks, and add a line for each.

    Raises:
        DataError: the images cannot be trained on, or another process trains in the folder.
        DeviceError: the device is not on this machine.
    """
    folder = arguments.run
    if arguments.export:
        export_runs(folder, arguments.out or FOLDER / "trials")
        return
    device = choose_device(arguments.device).device
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        training, validation = read_data(find_data(arguments.data), batch=RECIPE.batch)
        ended = {row["name"] for row in read_manifest(folder)}
        for trial in list_trials(RECIPE):
            if trial.name not in ended:
                row = train_trial(
                    trial, folder, training, validation, device=device, workers=arguments.workers
                )
                _add(folder, row)
                tqdm.write(f"{trial.name}: top-1 {row['top1']:.2%}")


def export_runs(folder: Path, out: Path) -> None:
    """Write what the page *What SE buys* shows: a line for each run that has ended, and the gates
    of all over their steps.

    Raises:
        DataError: no run has ended, or the folder cannot be written.
    """
    rows = read_manifest(folder)
    if not rows:
        raise DataError(f"No run of {folder} has ended. Start it without --export.")
    lines = [json.dumps({name: row[name] for name in row if name != "gates"}) for row in rows]
    tables = [
        pd.read_parquet(folder / row["gates"]).assign(run=row["name"])
        for row in rows
        if row["gates"]
    ]
    with told(out):
        out.mkdir(parents=True, exist_ok=True)
        write_file(out / RUNS_FILE, "\n".join([*lines, ""]).encode())
        if tables:
            content = BytesIO()
            pd.concat(tables).to_parquet(content, index=False)
            write_file(out / GATES_FILE, content.getbuffer())
    print(f"{len(rows)} runs written to {show_path(out)}")


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Return a line for each run of a folder that has ended."""
    path = folder / MANIFEST
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train_trial(
    trial: Trial,
    folder: Path,
    training: Pictures,
    validation: Pictures,
    *,
    device: torch.device,
    workers: int,
) -> dict[str, Any]:
    """Train one network, or go on after its last whole epoch; return its line of the manifest.

    Each epoch has a seed of its own: a run that was stopped goes on with the numbers that it would
    have drawn.
    """
    recipe = trial.recipe
    torch.manual_seed(recipe.seed)
    model = trial.pair.make(trial.variant, len(training.classes))
    cost = {"parameters": count_parameters(model), "flops": count_flops(model, recipe.sizes[-1])}
    state = _State(model.to(device), recipe, len(training) // recipe.batch, folder / trial.name)
    place = folder / trial.name
    if len(state.curve) < recipe.epochs:
        with watching(model, place, lambda: state.schedule.last_epoch, size=recipe.sizes[-1]):
            _train_epochs(trial, state, training, validation, workers)
    right = judge(model, validation, device, size=recipe.sizes[-1])
    return {
        "name": trial.name,
        "family": trial.pair.name,
        "title": trial.pair.title,
        "variant": trial.variant,
        "seed": recipe.seed,
        **cost,
        "top1": round(right.mean().item(), 4),
        "images": len(right),
        "right": pack_flags(right),
        "steps": state.schedule.total_steps,
        "seconds": round(sum(point["seconds"] for point in state.curve), 1),
        "curve": state.curve,
        "gates": f"{trial.name}/{FILE}" if (place / FILE).exists() else None,
        "recipe": asdict(recipe),
    }


def _train_epochs(
    trial: Trial, state: "_State", training: Pictures, validation: Pictures, workers: int
) -> None:
    recipe = trial.recipe
    device = next(state.model.parameters()).device
    while len(state.curve) < recipe.epochs:
        epoch = len(state.curve)
        torch.manual_seed(recipe.seed + 1000 + epoch)
        started = time.perf_counter()
        batches = training_batches(training, recipe, size=recipe.size_at(epoch), workers=workers)
        losses = [
            state.step(images.to(device), labels.to(device))
            for images, labels in tqdm(batches, desc=f"{trial.name} {epoch + 1}", mininterval=10)
        ]
        seconds = time.perf_counter() - started
        right = judge(state.model, validation, device, size=recipe.sizes[-1])
        state.curve.append(
            {
                "loss": round(torch.stack(losses).mean().item(), 4),
                "top1": round(right.mean().item(), 4),
                "seconds": round(seconds, 1),
            }
        )
        state.save()


@torch.inference_mode()
def judge(
    model: nn.Module, pictures: Pictures, device: torch.device, *, size: int
) -> NDArray[np.bool_]:
    """Return for each validation image, in order, whether its most probable class is right, in
    float32.
    """
    model.eval()
    right = [
        (model(normalise(images.to(device))).argmax(1).cpu() == labels).numpy()
        for images, labels in validation_batches(pictures, size=size, batch=64)
    ]
    return np.concatenate(right)


class _State:
    """What of a run outlives a kill."""

    def __init__(self, model: nn.Module, recipe: Recipe, steps: int, folder: Path) -> None:
        self.model = model.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.path = folder / "last.pt"
        self.curve: list[dict[str, float]] = []
        groups = [
            {
                "params": [value for value in model.parameters() if (value.ndim > 1) == matrices],
                # Norms and biases: decay would only take their scale from them.
                "weight_decay": recipe.decay if matrices else 0.0,
            }
            for matrices in (True, False)
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99))
        self.schedule = OneCycleLR(
            self.optimiser,
            recipe.rate,
            total_steps=recipe.epochs * steps,
            pct_start=0.15,
            cycle_momentum=False,
        )
        if self.path.exists():
            device = next(model.parameters()).device
            state = read_state(folder, device, parts=_PARTS)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.curve = state["curve"]

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Train on one batch, and return its loss."""
        self.model.train()
        logits = self.model(normalise(images))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.schedule.step()
        return loss.detach()

    def save(self) -> None:
        """Write the state after an epoch; a kill while writing leaves the one before."""
        content = BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        more = {"epoch": len(self.curve), "curve": self.curve, "recipe": asdict(self.recipe)}
        torch.save({**parts, **more}, content)
        with told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.path, content.getbuffer())

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimiser": self.optimiser, "schedule": self.schedule}


def count_flops(model: nn.Module, size: int) -> int:
    """Return the operations of one image, a product and a sum being two."""
    modes = model.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    model.train(modes)
    return counter.get_total_flops()


def _add(folder: Path, row: dict[str, Any]) -> None:
    path = folder / MANIFEST
    lines = [json.dumps(value) for value in [*read_manifest(folder), row]]
    with told(path):
        write_file(path, "\n".join([*lines, ""]).encode())
