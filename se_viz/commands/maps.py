"""`attribute`: attribution maps of images, as numbers and as pictures."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from torch import Tensor

from se_viz.attribution.catalogue import METHODS, find_method
from se_viz.attribution.pixels import attribute as explain
from se_viz.attribution.question import (
    Attribution,
    Target,
    find_baseline,
    map_bytes,
    settings_of,
)
from se_viz.charts import LIGHT, Map, depict, fit_reach, paint_map, to_png
from se_viz.commands.inputs import find_class, load, write
from se_viz.commands.progress import Work, end, whole, work_on
from se_viz.errors import AttributionError, SeVizError
from se_viz.experiments import Analysis, analyse
from se_viz.files import told, write_file
from se_viz.names import name_path, show_name
from se_viz.networks import Network

_METHODS = ("integrated_gradients",)
_OPACITY = 0.8
_LONGEST = 120
"""Letters of an image's name that its files have."""
_SIDE = 448
"""Pixels that a side of a picture has at least."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is asked of every image."""

    network: Network
    methods: Mapping[str, Mapping[str, Any]]
    """Each method with the options that it is given."""
    target: int | None
    against: int | None
    out: Path


@dataclass(frozen=True, slots=True)
class _Photo:
    """One image, ready to be explained."""

    path: Path
    stem: str
    """What its files are called; no other image's are."""
    square: Image.Image | Tensor
    analysis: Analysis
    target: Target


def attribute(arguments: argparse.Namespace) -> int:
    """Write the map of each image and method, a picture of it, and a table of all.

    Return 1 if one was left out, 2 if all were.
    """
    # At once: a method that is not there should be told before the network is loaded.
    methods = _choose_methods(arguments)
    network = load(arguments)
    target, against = (
        find_class(network, words) for words in (arguments.target, arguments.against)
    )
    if target is not None:
        Target(target, against).check(len(network.classes))
    task = _Task(network, methods, target, against, arguments.out)
    rows: list[dict[str, Any]] = []
    stems = _name_files(arguments.images)
    maps = [(path, method) for path in arguments.images for method in methods]
    with work_on(maps, "maps") as work:
        for path, stem in stems.items():
            _explain_photo(task, path, stem, work, rows)
    if rows:
        write(pd.DataFrame(rows), arguments.out / "attributions.csv", "maps")
    return end(work, arguments.missing * len(methods), files=f"{arguments.out.name} holds")


def _choose_methods(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return each method with what it is given; each takes the options that it has.

    Raises:
        AttributionError: there is no such method, or none of them has an option.
    """
    find_baseline(arguments.baseline)
    options = dict(map(_read_option, arguments.options))
    keys = list(dict.fromkeys(arguments.methods or _METHODS))
    rows = [find_method(key) for key in keys]
    for name in options:
        if not any(name in row.options for row in rows):
            known = sorted({option for row in rows for option in row.options})
            raise AttributionError(
                f"{' and '.join(keys)} have no option {show_name(name)!r}. Choose one of: "
                f"{', '.join(known) or 'none'}."
            )
    if arguments.stage is not None and not any(row.staged for row in rows):
        staged = ", ".join(row.key for row in METHODS.values() if row.staged)
        raise AttributionError(f"--stage is for {staged}. Add one of these, or leave --stage out.")
    return {
        row.key: {
            "baseline": arguments.baseline,
            **({"stage": arguments.stage} if row.staged else {}),
            **{name: value for name, value in options.items() if name in row.options},
        }
        for row in rows
    }


def _read_option(words: str) -> tuple[str, Any]:
    name, mark, text = words.partition("=")
    if not mark or not name or not text:
        raise AttributionError(f"{show_name(words)!r} is no option. Write it as n_steps=64.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    # A list of JSON is what Captum takes as a tuple.
    return name, tuple(value) if isinstance(value, list) else value


def _name_files(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what each image's files are called: its name, with a number where two share it."""
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        stem = path.stem[:_LONGEST]
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        stems[path] = next(name for name in names if name.lower() not in taken)
        taken.add(stems[path].lower())
    return stems


def _explain_photo(
    task: _Task, path: Path, stem: str, work: Work, rows: list[dict[str, Any]]
) -> None:
    network = task.network
    try:
        square = network.see(path)
        analysis = analyse(network, square, whole=True)
        best = int(analysis.logits.argmax()) if task.target is None else task.target
        target = Target(best, task.against)
        target.check(len(network.classes))
    except SeVizError as error:
        work.leave_out(path, error, len(task.methods))
        return
    photo = _Photo(path, stem, square, analysis, target)
    inputs = network.take(square, whole=True)
    for method, options in task.methods.items():
        try:
            attribution = explain(
                network, inputs, target.index, method, against=target.against, **options
            )
        except SeVizError as error:
            work.leave_out(path, error)
            continue
        with whole():
            rows.append(_write_map(network, photo, attribution, task.out))
            work.finish()


def _write_map(
    network: Network, photo: _Photo, attribution: Attribution, folder: Path
) -> dict[str, Any]:
    """Write a map and its picture, and return their row of the table."""
    index = photo.target.index
    logit = float(photo.analysis.logits[index])
    name = f"{photo.stem}.{attribution.method}"
    about = {"logit": logit, "image": name_path(photo.path), "network": network.card.name}
    content = map_bytes(attribution, network.classes, **about)
    for suffix, part in ((".npz", content), (".png", _paint(photo.square, attribution))):
        with told(folder / (name + suffix)):
            write_file(folder / (name + suffix), part)
    against = attribution.against
    return {
        "image": name_path(photo.path),
        "method": attribution.method,
        "class": network.classes[index],
        "index": index,
        "against": None if against is None else network.classes[against],
        "logit": logit,
        "probability": float(photo.analysis.probabilities[index]),
        "explained": attribution.explained,
        "completeness_error": attribution.completeness_error,
        "seconds": attribution.seconds,
        "settings": json.dumps(settings_of(attribution)),
        "network": network.card.name,
        "map": name_path(f"{name}.npz"),
        "picture": name_path(f"{name}.png"),
    }


def _paint(square: Image.Image | Tensor, attribution: Attribution) -> bytes:
    photo = square if isinstance(square, Image.Image) else depict(square[0].cpu().numpy())
    values = Map(attribution.map.numpy(), attribution.signed)
    picture = paint_map(photo, values, LIGHT, reach=fit_reach([values]), opacity=_OPACITY)
    # Whole pixels of the map stay whole: nothing between them was computed.
    times = max(1, ceil(_SIDE / min(picture.size)))
    size = (picture.width * times, picture.height * times)
    return to_png(picture.resize(size, Image.Resampling.NEAREST))
