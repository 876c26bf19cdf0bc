"""`score`: how maps stand their tests, over several images and beside controls."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

from se_viz.commands.inputs import load, write
from se_viz.errors import AttributionError, SeVizError
from se_viz.gates.tables import SUFFIXES, check_target
from se_viz.images import find_images, open_image
from se_viz.networks import Network

if TYPE_CHECKING:
    from se_viz.attribution.survey import Surveyed


def score(arguments: argparse.Namespace) -> int:
    """Show or write how the maps of each image score; return 1 if an image was left out, 2 if all were."""
    # Here, so that other commands do not wait for Captum.
    from se_viz.attribution.catalogue import COMMON
    from se_viz.attribution.survey import Survey, survey_scores

    for path, suffixes in ((arguments.out, SUFFIXES), (arguments.plot, (".html",))):
        if path:
            check_target(path, suffixes)
    # At once: a method that is not there should be told before the network is loaded.
    methods = tuple(arguments.methods or COMMON)
    survey = Survey(methods, baseline=arguments.baseline, seed=arguments.seed)
    paths, network = find_images(arguments.images), load(arguments)
    against = _find_class(network, arguments.against)
    survey = replace(survey, target=_find_class(network, arguments.target), against=against)
    found: dict[Path, Surveyed] = {}
    for path in tqdm(paths, leave=False, disable=None):
        try:
            found[path] = survey_scores(network, open_image(path), survey)
        except SeVizError as error:
            print(f"se_viz: {path}: {error}", file=sys.stderr)
    if not found:
        return 2
    _tell(found, arguments)
    return int(len(found) < len(paths))


def _find_class(network: Network, words: str | None) -> int | None:
    """Return the index of the class with a name or number.

    Raises:
        AttributionError: there is none.
    """
    if words is None or words.isdecimal():
        return words if words is None else int(words)
    names = [name.lower() for name in network.classes]
    if words.lower() in names:
        return names.index(words.lower())
    near = ", ".join(get_close_matches(words.lower(), names)) or f"a number from 0 to {len(names) - 1}"
    raise AttributionError(f"{network.card.title} has no class {words!r}. Try: {near}.")


def _tell(found: "dict[Path, Surveyed]", arguments: argparse.Namespace) -> None:
    from se_viz.attribution.survey import summarise_scores

    for path, one in found.items():
        for title, problem in one.problems.items():
            print(f"se_viz: {path}: {title}: {problem}", file=sys.stderr)
    table = pd.concat([one.scores.assign(image=str(path)) for path, one in found.items()], ignore_index=True)
    table.insert(0, "image", table.pop("image"))
    print(summarise_scores(table).to_string(index=False, float_format="{:.4f}".format))
    count = f"{len(found)} {'image' if len(found) == 1 else 'images'}"
    print(f"Mean and standard deviation over {count}. Low deletion, high insertion and low infidelity are good,")
    print("and so is a low sensitivity; that of controls is 0, for they do not look at the image.")
    if arguments.out:
        write(table, arguments.out, "scores")
    if arguments.plot:
        _plot([one.curves for one in found.values()], arguments)


def _plot(tables: Sequence[pd.DataFrame], arguments: argparse.Namespace) -> None:
    from se_viz.attribution.survey import average_curves
    from se_viz.charts.maps import to_html
    from se_viz.charts.palettes import LIGHT
    from se_viz.charts.scores import draw_curves

    compares = arguments.against is not None
    unit = "lead of the class<br>(logits)" if compares else "probability<br>of the class"
    figure = draw_curves(average_curves(tables), LIGHT, unit=unit, fixed=not compares)
    arguments.plot.write_bytes(to_html(figure, LIGHT))
    print(f"The mean curves are drawn in {arguments.plot}; bands are one standard deviation over images.")
