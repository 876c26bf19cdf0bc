"""`score`: how maps stand their tests, over several images and beside controls."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from se_viz.commands.inputs import (
    find_class,
    load,
    write,
)
from se_viz.commands.progress import end, whole, work_on
from se_viz.errors import SeVizError
from se_viz.images import open_image
from se_viz.names import name_path, show_path, show_text
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

    # At once: a method that is not there should be told before the network is loaded.
    methods = tuple(arguments.methods or COMMON)
    survey = Survey(methods, baseline=arguments.baseline, seed=arguments.seed)
    network = load(arguments)
    target, against = (
        find_class(network, words) for words in (arguments.target, arguments.against)
    )
    if target is not None:
        Target(target, against).check(len(network.classes))
    survey = replace(survey, target=target, against=against)
    for role, index in (("Explained", target), ("Against", against)):
        if index is not None:
            print(f"{role}: {show_text(network.classes[index])} (class {index})")
    surveys: dict[Path, Surveyed] = {}
    with work_on(arguments.images) as work:
        for path in arguments.images:
            try:
                seen = open_image(path) if network.sees_photos else network.prepare(path)
                surveyed = survey_scores(network, seen, survey)
            except SeVizError as error:
                work.leave_out(path, error)
                continue
            with whole():
                surveys[path] = surveyed
                work.finish()
    if surveys:
        _tell(surveys, arguments)
    return end(work, arguments.missing, files="the scores are of")


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
    from se_viz.charts import LIGHT, draw_curves, save_figure

    compares = arguments.against is not None
    unit = "lead of the class<br>(logits)" if compares else "probability<br>of the class"
    colours = {name: number for number, name in enumerate(best[: len(LIGHT.series)])}
    table = average_curves(tables)
    table["colour"] = [colours.get(name) for name in table["map"]]
    figure = draw_curves(table, LIGHT, unit=unit, fixed=not compares)
    save_figure(figure, arguments.plot)
    print(
        f"The mean of each curve is drawn in {show_path(arguments.plot)}; bands are its standard "
        "error over images."
    )
