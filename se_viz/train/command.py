"""One whole run of ``python -m se_viz train``, from data to finished card."""

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from se_viz.devices import choose_device
from se_viz.errors import DataError
from se_viz.files import check_writable, hold, told
from se_viz.names import show_path
from se_viz.networks import Network
from se_viz.networks.checkpoints import FOLDER
from se_viz.networks.loading import load_listed
from se_viz.train.data import READABLE, Pictures, find_data
from se_viz.train.export import Naming, export
from se_viz.train.loop import Run, train, untrained_card
from se_viz.train.options import DATA_NAME, recipe_of


def run(arguments: argparse.Namespace) -> None:
    """Train, or go on from the last epoch of the run's folder.

    Then evaluate and write weights and card.

    Raises:
        DataError: the data cannot be trained on, or the folder holds a run of another recipe or
            other data.
        DeviceError: the device is not on this machine.
        NetworkError: the recipe names a network that cannot be built.
    """
    recipe = recipe_of(arguments)
    out = arguments.out or FOLDER
    device = choose_device(arguments.device).device
    # First: a name that is mistyped should be told before the images are read.
    untrained_card(recipe)
    check_folders(arguments, out)
    with alone(arguments.run):
        training, validation = read_data(find_data(arguments.data), batch=recipe.batch)
        # Read now: the export may replace this network by its own.
        initial = (
            load_listed(recipe.initial, "cpu", folder=arguments.out) if recipe.initial else None
        )
        steps = len(training) // recipe.batch
        state = Run(
            recipe,
            arguments.run,
            classes=len(training.classes),
            steps=steps,
            device=device,
            initial=initial,
        )
        train(state, training, validation, workers=arguments.workers, compiled=arguments.compile)
        naming = _name(arguments, training, validation, initial)
        card = export(arguments.run, out, naming, validation, device=device)
    print(
        f"{card.name}: top-1 {card.top1:.2%} on {len(validation)} images; written to "
        f"{show_path(out)}"
    )


def check_folders(arguments: argparse.Namespace, out: Path) -> None:
    """Find out before hours of training whether the run and the network can be written."""
    files = (
        arguments.run / "last.pt",
        out / f"{arguments.name}.safetensors",
        out / f"{arguments.name}.json",
    )
    for path in files:
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder.

    Raises:
        DataError: one is in it.
    """
    try:
        with hold(folder):
            yield
    except BlockingIOError as error:
        raise DataError(
            f"Another process trains in {folder}. Wait for it, or name another folder with --run."
        ) from error


def _name(
    arguments: argparse.Namespace, training: Pictures, validation: Pictures, initial: Network | None
) -> Naming:
    data = (
        f"{_name_data(arguments, training.classes)}: {len(training)} training and "
        f"{len(validation)} validation images"
    )
    command = shlex.join(["python", "-m", "se_viz", *arguments.words])
    notes = ""
    if initial:
        command = f"{initial.card.trained_with} && {command}"
        notes = f"The run it began with: {initial.card.notes}" if initial.card.notes else ""
    return Naming(arguments.name, arguments.title, data, command, arguments.input_size, notes)


def _name_data(arguments: argparse.Namespace, classes: tuple[str, ...]) -> str:
    if arguments.data_name is not None:
        return arguments.data_name
    # Another folder is not what the bundled networks were trained on.
    if arguments.data is None or set(classes) == set(READABLE.values()):
        return DATA_NAME
    return show_path(arguments.data.resolve().name)


def read_data(folder: Path, *, batch: int) -> tuple[Pictures, Pictures]:
    """Return the images to train on and those to validate with.

    Raises:
        DataError: there are too few, or classes differ between the two.
    """
    training = Pictures(folder / "train")
    validation = Pictures(folder / "val")
    if training.classes != validation.classes:
        odd = sorted(set(training.classes) ^ set(validation.classes))
        raise DataError(
            f"{folder} has {', '.join(odd)} in only one of train and val. Give both the same "
            "folders."
        )
    if len(training.classes) < 2:
        raise DataError(
            f"{folder} holds images of {''.join(training.classes)} alone, and with one class there "
            "is nothing to learn. Add a folder of other images to train and to val."
        )
    if len(training) < batch:
        raise DataError(
            f"{folder / 'train'} holds {len(training)} images, fewer than one batch of {batch}. "
            "Add images, or name a smaller --batch."
        )
    return training, validation
