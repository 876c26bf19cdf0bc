"""`score`: how maps stand their tests, over several images and beside controls."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

from se_viz.commands.inputs import (
    check_targets,
    end,
    gather_images,
    leave_out,
    load,
    write,
    write_page,
)
from se_viz.errors import AttributionError, SeVizError
from se_viz.images import open_image
from se_viz.names import name_path, show_path, show_text
from se_viz.networks import Network
from se_viz.terminal import complain

if TYPE_CHECKING:
    from se_viz.attribution.scores import Surveyed

_EXPLAINED = """\
Mean ± standard deviation over {}, the largest gap first: insertion less deletion. Rows with * are
control maps. Low deletion, high insertion, low infidelity and low sensitivity are good; the
sensitivity of * is 0, because control maps ignore the image. "better" counts images in which a
map's gap is larger than the gap of every * by more than their draws differ, by chance 1 in 20: a
map with few such images is no better, whatever its mean."""


def score(arguments: argparse.Namespace) -> int:
    """Show or write how the maps of each image score.

    Return 1 if an image was left out, 2 if all were.
    """
    # Here, so that other commands do not wait for Captum.
    from se_viz.attribution.catalogue import COMMON
    from se_viz.attribution.question import Target
    from se_viz.attribution.scores import Survey, survey_scores

    check_targets(arguments)
    # At once: a method that is not there should be told before the network is loaded.
    methods = tuple(arguments.methods or COMMON)
    survey = Survey(methods, baseline=arguments.baseline, seed=arguments.seed)
    paths, missing = gather_images(arguments.images)
    if not paths:
        return 2
    network = load(arguments)
    target, against = (
        _find_class(network, words) for words in (arguments.target, arguments.against)
    )
    if target is not None:
        Target(target, against).check(len(network.classes))
    survey = replace(survey, target=target, against=against)
    for role, index in (("Explained", target), ("Against", against)):
        if index is not None:
            print(f"{role}: {show_text(network.classes[index])} (class {index})")
    surveys: dict[Path, Surveyed] = {}
    for path in tqdm(paths, leave=False, disable=None):
        try:
            surveys[path] = survey_scores(network, open_image(path), survey)
        except SeVizError as error:
            leave_out(path, error)
    if not surveys:
        return 2
    _tell(surveys, arguments)
    return end(len(surveys), len(paths) + missing)


def _find_class(network: Network, words: str | None) -> int | None:
    """Return the index of the class with a name or number.

    A name comes first, and a number that it hides is told.

    Raises:
        AttributionError: there is none, or several have the name.
    """
    if words is None:
        return None
    classes = network.classes
    index = _read_index(words, len(network.classes))
    exact = [number for number, name in enumerate(classes) if name == words]
    matches = exact or [
        number for number, name in enumerate(classes) if name.lower() == words.strip().lower()
    ]
    if len(matches) > 1:
        numbers = ", ".join(map(str, matches))
        raise AttributionError(
            f"{len(matches)} classes of {network.card.title} are named {words!r}: {numbers}. Give "
            "one of these numbers."
        )
    if matches:
        if index not in (None, matches[0]):
            complain(
                f"{words} is taken for the class of that name, number {matches[0]}. Class number "
                f"{words} is {classes[index]!r}: give this name to choose it."
            )
        return matches[0]
    if index is None:
        raise AttributionError(
            f"{network.card.title} has no class {words!r}. Try: {_near(classes, words)}."
        )
    return index


def _read_index(words: str, count: int) -> int | None:
    # Only as numbers are written: 010 may be the beginning of a name.
    return (
        int(words) if re.fullmatch(r"0|[1-9]\d*", words, re.ASCII) and int(words) < count else None
    )


def _near(classes: Sequence[str], words: str) -> str:
    lower = {name.lower(): name for name in classes}
    begin = (
        [name for key, name in lower.items() if key.startswith(words.lower())][:3] if words else []
    )
    near = begin or [lower[key] for key in get_close_matches(words.lower(), lower)]
    return ", ".join(near) or f"a number from 0 to {len(classes) - 1}"


def _tell(surveys: "dict[Path, Surveyed]", arguments: argparse.Namespace) -> None:
    from se_viz.attribution.scores import count_better, summarise_scores

    _tell_problems(surveys)
    table = pd.concat(
        [result.scores.assign(image=name_path(path)) for path, result in surveys.items()],
        ignore_index=True,
    )
    table.insert(0, "image", table.pop("image"))
    summary = summarise_scores(table).sort_values("gap", ascending=False)
    # A method makes one map; only controls are drawn several times.
    controls = set(table.loc[table["draws"] > 0, "map"])
    print(_lay_out(summary, count_better(table)).to_string(index=False))
    print(_EXPLAINED.format(f"{len(surveys)} images" if len(surveys) > 1 else "one image"))
    if arguments.out:
        write(table, arguments.out, "scores")
    if arguments.plot:
        best = [name for name in summary["map"] if name not in controls]
        _plot([result.curves for result in surveys.values()], best, arguments)


def _tell_problems(surveys: "dict[Path, Surveyed]") -> None:
    """Say what has no score, and why; what is the same for every image only once."""
    places: dict[tuple[str, str], list[str]] = {}
    for path, result in surveys.items():
        for problem in result.problems.items():
            places.setdefault(problem, []).append(show_path(path))
    for (title, problem), paths in places.items():
        where = "every image" if len(paths) == len(surveys) > 1 else ", ".join(paths)
        complain(f"{where}: {title}: {problem}")


def _lay_out(summary: pd.DataFrame, better: Mapping[str, int]) -> pd.DataFrame:
    """Return the summary as it is printed, with each deviation beside its mean.

    ``better`` leaves controls out.
    """
    names = [name if name in better else f"{name} *" for name in summary["map"]]
    columns = {"map": names, "images": summary["images"]}
    for measure in (name.removesuffix("_std") for name in summary if name.endswith("_std")):
        pairs = zip(summary[measure], summary[f"{measure}_std"], summary["images"], strict=True)
        columns[measure] = [
            f"{mean:.3f} ± {std:.3f}" if images > 1 else f"{mean:.3f}"
            for mean, std, images in pairs
        ]
    return pd.DataFrame({**columns, "better": [better.get(name, "") for name in summary["map"]]})


def _plot(
    tables: Sequence[pd.DataFrame], best: Sequence[str], arguments: argparse.Namespace
) -> None:
    from se_viz.attribution.scores import average_curves
    from se_viz.charts import LIGHT, draw_curves, to_html

    compares = arguments.against is not None
    unit = "lead of the class<br>(logits)" if compares else "probability<br>of the class"
    colours = {name: number for number, name in enumerate(best[: len(LIGHT.series)])}
    table = average_curves(tables)
    table["colour"] = [colours.get(name) for name in table["map"]]
    figure = draw_curves(table, LIGHT, unit=unit, fixed=not compares)
    write_page(arguments.plot, to_html(figure, LIGHT))
    print(
        f"The mean of each curve is drawn in {show_path(arguments.plot)}; bands are its standard "
        "error over images."
    )
