"""The arguments of ``python -m se_viz train``; free of PyTorch, so that every command starts fast."""

import argparse
from dataclasses import fields
from pathlib import Path

from se_viz.train.recipe import Recipe

NAME, TITLE = "se_resnet50_half_imagenette", "SE-ResNet-50, half width"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where a run takes place and what its card says, and one option for each field of the recipe."""
    parser.add_argument("--data", type=Path, help="folder with train and val (default: download Imagenette v2)")
    parser.add_argument("--run", type=Path, default=Path("runs/se_resnet50_imagenette"), help="folder of the run")
    parser.add_argument("--out", type=Path, help="folder for weights and card (default: the bundled networks)")
    parser.add_argument("--name", default=NAME, help="name to load the network by")
    parser.add_argument("--title", default=TITLE, help="name of the network for people")
    parser.add_argument("--data-name", default="Imagenette v2", help="what the card calls the data")
    parser.add_argument("--input-size", type=_positive, default=224, help="side of the input the network is used with")
    parser.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment images")
    parser.add_argument("--compile", action="store_true", help="compile the network: a minute a size, then faster")
    recipe = parser.add_argument_group("recipe", "what shapes the weights; a run goes on with the same recipe only")
    for field in fields(Recipe):
        several = isinstance(field.default, tuple)
        recipe.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_positive if several or field.name in ("epochs", "batch") else type(field.default),
            nargs="+" if several else None,
            default=field.default,
            help="default: %(default)s",
        )


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that parsed arguments describe."""
    values = {field.name: getattr(arguments, field.name) for field in fields(Recipe)}
    return Recipe(**{**values, "sizes": tuple(values["sizes"])})


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 1 on")
    return int(word)
