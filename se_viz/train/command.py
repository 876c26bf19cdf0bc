"""``python -m se_viz train``: its arguments, and one whole run from data to finished card."""

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from se_viz.networks.checkpoints import FOLDER
from se_viz.runtime import choose_device
from se_viz.train.data import Pictures, find_data
from se_viz.train.export import Naming, export
from se_viz.train.loop import Run, train
from se_viz.train.recipe import Recipe

_NAME, _TITLE = "se_resnet50_half_imagenette", "SE-ResNet-50, half width"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one option for each field of the recipe, and where the run takes place."""
    parser.add_argument("--data", type=Path, help="folder with train and val (default: download Imagenette v2)")
    parser.add_argument("--run", type=Path, default=Path("runs/se_resnet50_imagenette"), help="folder of the run")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the finished weights and their card")
    parser.add_argument("--name", default=_NAME, help="name to load the network by")
    parser.add_argument("--title", default=_TITLE, help="name of the network for people")
    parser.add_argument("--data-name", default="Imagenette v2", help="what the card calls the data")
    parser.add_argument("--input-size", type=int, default=224, help="side of the input the network is used with")
    parser.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment images")
    parser.add_argument("--compile", action="store_true", help="compile the network: a minute a size, then faster")
    for field in fields(Recipe):
        default = field.default
        kind, nargs = (int, "+") if isinstance(default, tuple) else (type(default), None)
        parser.add_argument(f"--{field.name}", type=kind, nargs=nargs, default=default)


def run(arguments: argparse.Namespace) -> None:
    """Train, or go on from the last epoch of the run's folder; then evaluate and write weights and card."""
    values = {field.name: getattr(arguments, field.name) for field in fields(Recipe)}
    recipe = Recipe(**{**values, "sizes": tuple(values["sizes"])})
    device = choose_device(arguments.device).device
    folder = find_data(arguments.data)
    training, validation = Pictures(folder / "train"), Pictures(folder / "val")
    arguments.run.mkdir(parents=True, exist_ok=True)
    steps = len(training) // recipe.batch
    state = Run(recipe, arguments.run, classes=len(training.classes), steps=steps, device=device)
    train(state, training, validation, workers=arguments.workers, compiled=arguments.compile)
    data = f"{arguments.data_name}: {len(training)} training and {len(validation)} validation images"
    command = shlex.join(["python", "-m", "se_viz", *sys.argv[1:]])
    naming = Naming(arguments.name, arguments.title, data, command, arguments.input_size)
    card = export(arguments.run, arguments.out, naming, validation, device=device)
    print(f"{card.name}: top-1 {card.top1:.2%} on {len(validation)} images; written to {arguments.out}")
