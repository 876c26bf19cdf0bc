"""The arguments of ``python -m se_viz train``.

Free of PyTorch, so that every command starts fast.
"""

import argparse
import math
import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from se_viz.errors import DataError, OptionError
from se_viz.train.recipe import Recipe

NAME = "se_resnet50_half_imagenette"
TITLE = "SE-ResNet-50, half width"
DATA_NAME = "Imagenette v2"
"""What the card calls the data where classes are Imagenette's and no other name is given."""

LIST = "labels.csv"
"""A list of photos, with the columns file and class, in a folder beside the folder images."""
RECIPES = ("se_efficientnet_lite0",)
"""Recipes that have a name."""
_BESIDE = ("recipe", "data", "out", "name", "title", "seed", "initial", "device")
"""What counts beside the name of a recipe."""
_RANGES = {
    **dict.fromkeys(("rate", "gate_rate", "decay", "mixup"), (0, 1e6)),
    **dict.fromkeys(("smoothing", "crop", "erasing", "average"), (0, 1)),
}
"""Least and greatest value of the recipe's fractions."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where a run takes place and what its card says, and one option for each field of the
    recipe.
    """
    parser.add_argument(
        "--data", type=read_path, help="folder with train and val (default: download Imagenette v2)"
    )
    parser.add_argument(
        "--run",
        type=read_path,
        default=Path("runs/se_resnet50_imagenette"),
        help="folder of the run",
    )
    parser.add_argument(
        "--out", type=read_path, help="folder for weights and card (default: the bundled networks)"
    )
    parser.add_argument("--name", type=_read_name, default=NAME, help="name to load the network by")
    parser.add_argument("--title", default=TITLE, help="name of the network for people")
    parser.add_argument(
        "--data-name", help="name of the data on the card (default: Imagenette v2, or its folder)"
    )
    parser.add_argument(
        "--input-size",
        type=read_count,
        default=224,
        help="side of the input the network is used with",
    )
    parser.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    parser.add_argument(
        "--workers", type=_read_whole, default=1, help="processes that augment images"
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network: a minute a size, then faster, and its gates are not watched",
    )
    _add_pretrained(parser)
    _add_recipe(parser)


def _add_pretrained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all",
        action="store_true",
        help="train pairs of small networks with and without SE blocks by one recipe, 36 runs",
    )
    group = parser.add_argument_group("SE blocks in a network that was trained without them")
    group.add_argument(
        "--recipe", choices=RECIPES, help="a whole recipe, instead of the settings below"
    )
    group.add_argument(
        "--weights",
        dest="plain",
        type=read_path,
        metavar="FILE",
        help="weights of the plain network, which is the teacher too",
    )
    group.add_argument(
        "--more",
        type=read_path,
        metavar="FOLDER",
        help="photos of other classes: images, and labels.csv with the columns file and class; "
        "every second one is trained on",
    )
    group.add_argument(
        "--export",
        action="store_true",
        help="write weights and card of the run as it stands; with --all what the app shows of it",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    recipe = parser.add_argument_group(
        "recipe", "settings that shape the weights; a run goes on with the same recipe only"
    )
    for field in fields(Recipe):
        several = isinstance(field.default, tuple)
        recipe.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_reader(field.name, field.default),
            nargs="+" if several else None,
            default=field.default,
            help="default: %(default)s",
        )


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that parsed arguments describe."""
    values = {field.name: getattr(arguments, field.name) for field in fields(Recipe)}
    return Recipe(**{**values, "sizes": tuple(values["sizes"])})


def check_recipe(arguments: argparse.Namespace) -> None:
    """Refuse fractions out of their range, sizes that no epoch would use, and settings beside a
    whole recipe.

    Raises:
        OptionError: there is one.
    """
    _check_pretrained(arguments)
    for name, (low, high) in _RANGES.items():
        value = getattr(arguments, name)
        option = name.replace("_", "-")
        if not low <= value <= high:
            raise OptionError(
                f"--{option} {value:g} is out of its range. Give a number from {low:g} to {high:g}."
            )
    for name in ("width", "reduction"):
        if name in arguments.option_names and "/" in arguments.architecture:
            raise OptionError(
                f"--{name} is for se_viz's own architectures, and {arguments.architecture} has its "
                f"own. Leave --{name} out."
            )
    if "sizes" in arguments.option_names and len(arguments.sizes) > arguments.epochs:
        raise OptionError(
            f"--sizes names {len(arguments.sizes)} sizes for {arguments.epochs} epochs, and each "
            "takes an epoch at least. Name fewer sizes, or add epochs."
        )


def _check_pretrained(arguments: argparse.Namespace) -> None:
    options = set(arguments.option_names)
    if arguments.all:
        _check_all(options - ({"out"} if arguments.export else set()))
        return
    names = {"plain": "weights"}
    needed = ("plain", "more", "run")
    if not arguments.recipe:
        for option in ("plain", "more"):
            if option in options:
                raise OptionError(
                    f"--{names.get(option, option)} is for a whole recipe, and none is named. Add "
                    f"--recipe {RECIPES[0]}, or leave it out."
                )
        return
    for option in needed:
        if option not in options:
            raise OptionError(
                f"--recipe {arguments.recipe} needs --{names.get(option, option)}. Add it; "
                "`python -m se_viz train --help` says what it is."
            )
    idle = options - {*needed, *_BESIDE}
    for option in sorted(idle):
        raise OptionError(
            f"--{option.replace('_', '-')} has no effect beside --recipe, which says it all. Leave "
            "it out."
        )


def _check_all(options: set[str]) -> None:
    if "run" not in options:
        raise OptionError("--all needs --run. Name a folder for its runs and their manifest.")
    for option in sorted(options - {"data", "run", "device", "workers"}):
        option = {"plain": "weights"}.get(option, option)
        raise OptionError(
            f"--{option.replace('_', '-')} has no effect beside --all, which has one recipe for "
            "every network. Leave it out."
        )


def check_folder(folder: Path) -> None:
    """Check that a folder holds images to train on and others to evaluate with.

    Raises:
        DataError: it has no folders ``train`` and ``val``.
    """
    if not all(os.path.isdir(folder / part) for part in ("train", "val")):
        raise DataError(
            f"{folder} has no folders train and val. Name one that holds a folder per class in "
            "each."
        )


def read_path(word: str) -> Path:
    """Return a path; the empty word, such as an unset variable's, would be the folder one is in."""
    if not word:
        raise argparse.ArgumentTypeError("it is empty. Give a path, or leave it out")
    return Path(word)


def read_count(word: str) -> int:
    """Return a whole number from 1 on."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 1 on")
    return int(word)


def read_seed(word: str) -> int:
    """Return a whole number that every generator takes as its seed, with some room above."""
    if not word.isdecimal() or int(word) >= 2**32:
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 0 to {2**32 - 1}")
    return int(word)


def _read_whole(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word} is no whole number from 0 on")
    return int(word)


def _read_number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{word} is no number")
    return value


def _read_name(word: str) -> str:
    # It becomes the name of two files.
    if not re.fullmatch(r"\w[\w.+-]{0,199}", word):
        raise argparse.ArgumentTypeError(
            f"{word!r} is no name of letters, digits, and _ - + . between them"
        )
    return word


def _reader(name: str, default: object) -> Callable[[str], object]:
    if name == "seed":
        return read_seed
    if isinstance(default, tuple) or name in ("epochs", "batch", "reduction"):
        return read_count
    return {float: _read_number, int: _read_whole}.get(type(default), str)
