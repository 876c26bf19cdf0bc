"""`score`: how maps stand their tests, over several images and beside controls."""

import argparse
import sys
from collections.abc import Sequence, Set
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

_EXPLAINED = """Mean ± standard deviation over {}, the widest gap first: insertion less deletion. Rows with * know
nothing of the network: a map below one of them is no better. Low deletion, high insertion, low infidelity and low
sensitivity are good; the sensitivity of * is 0, for it does not look at the image."""


def score(arguments: argparse.Namespace) -> int:
    """Show or write how the maps of each image score; return 1 if an image was left out, 2 if all were."""
    # Here, so that other commands do not wait for Captum.
    from se_viz.attribution.catalogue import COMMON
    from se_viz.attribution.survey import Survey, survey_scores
    from se_viz.attribution.targets import Target

    for path, suffixes in ((arguments.out, SUFFIXES), (arguments.plot, (".html",))):
        if path:
            check_target(path, suffixes)
    # At once: a method that is not there should be told before the network is loaded.
    methods = tuple(arguments.methods or COMMON)
    survey = Survey(methods, baseline=arguments.baseline, seed=arguments.seed)
    paths, network = find_images(arguments.images), load(arguments)
    target, against = (_find_class(network, words) for words in (arguments.target, arguments.against))
    if target is not None:
        Target(target, against).check(len(network.classes))
    survey = replace(survey, target=target, against=against)
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
    names = [name.lower() for name in network.classes]
    if words is None:
        return None
    if words.isdecimal() and int(words) < len(names):
        return int(words)
    if words.lower() in names:
        return names.index(words.lower())
    near = ", ".join(get_close_matches(words.lower(), names)) or f"a number from 0 to {len(names) - 1}"
    raise AttributionError(f"{network.card.title} has no class {words!r}. Try: {near}.")


def _tell(found: "dict[Path, Surveyed]", arguments: argparse.Namespace) -> None:
    from se_viz.attribution.survey import summarise_scores

    _tell_problems(found)
    table = pd.concat([one.scores.assign(image=str(path)) for path, one in found.items()], ignore_index=True)
    table.insert(0, "image", table.pop("image"))
    summary = summarise_scores(table).sort_values("gap", ascending=False)
    controls = set(table.loc[table["draws"] > 0, "map"])
    print(_lay_out(summary, controls).to_string(index=False))
    print(_EXPLAINED.format(f"{len(found)} images" if len(found) > 1 else "one image"))
    if arguments.out:
        write(table, arguments.out, "scores")
    if arguments.plot:
        best = [name for name in summary["map"] if name not in controls]
        _plot([one.curves for one in found.values()], best, arguments)


def _tell_problems(found: "dict[Path, Surveyed]") -> None:
    """Say what has no score, and why; what is the same for every image only once."""
    places: dict[tuple[str, str], list[str]] = {}
    for path, one in found.items():
        for problem in one.problems.items():
            places.setdefault(problem, []).append(str(path))
    for (title, problem), paths in places.items():
        where = "every image" if len(paths) == len(found) > 1 else ", ".join(paths)
        print(f"se_viz: {where}: {title}: {problem}", file=sys.stderr)


def _lay_out(summary: pd.DataFrame, controls: Set[str]) -> pd.DataFrame:
    """Return the summary as it is printed, with each deviation beside its mean."""
    names = [f"{name} *" if name in controls else name for name in summary["map"]]
    columns = {"map": names, "images": summary["images"]}
    for measure in (name.removesuffix("_std") for name in summary if name.endswith("_std")):
        pairs = zip(summary[measure], summary[f"{measure}_std"], summary["images"], strict=True)
        columns[measure] = [f"{mean:.3f} ± {std:.3f}" if images > 1 else f"{mean:.3f}" for mean, std, images in pairs]
    return pd.DataFrame(columns)


def _plot(tables: Sequence[pd.DataFrame], best: Sequence[str], arguments: argparse.Namespace) -> None:
    from se_viz.attribution.survey import average_curves
    from se_viz.charts.maps import to_html
    from se_viz.charts.palettes import LIGHT
    from se_viz.charts.scores import draw_curves

    compares = arguments.against is not None
    unit = "lead of the class<br>(logits)" if compares else "probability<br>of the class"
    colours = {name: number for number, name in enumerate(best[: len(LIGHT.series)])}
    table = average_curves(tables)
    table["colour"] = [colours.get(name) for name in table["map"]]
    arguments.plot.write_bytes(to_html(draw_curves(table, LIGHT, unit=unit, fixed=not compares), LIGHT))
    print(f"The mean of each curve is drawn in {arguments.plot}; bands are its standard error over images.")
