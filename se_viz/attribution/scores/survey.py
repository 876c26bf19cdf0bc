"""Scores of several methods over several images: a table of each image, and their summary."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from se_viz.attribution.catalogue import COMMON, METHODS, find_method
from se_viz.attribution.pixels import attribute
from se_viz.attribution.question import Target, find_baseline
from se_viz.attribution.scores.curves import Exam
from se_viz.attribution.scores.scores import (
    MEASURES,
    MapScore,
    bound,
    make_yardstick,
    score_map,
    tabulate_curves,
    tabulate_scores,
)
from se_viz.attribution.scores.sensitivity import measure_sensitivity
from se_viz.devices import line_of
from se_viz.errors import AttributionError, TooLittleMemoryError
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class Survey:
    """Which maps of an image are made and scored."""

    methods: tuple[str, ...] = COMMON
    """Keys of the catalogue."""
    target: int | None = None
    """Index of the class that is explained; None: the most probable one of each image."""
    against: int | None = None
    """Index of the class that it is compared with; None: none."""
    baseline: str = "mean"
    """A key of ``BASELINES``."""
    seed: int = 0
    """Seed of ties, squares, random maps and moves of the image."""

    def __post_init__(self) -> None:
        """Check methods and baseline.

        Raises:
            AttributionError: there is no such method or baseline.
        """
        find_baseline(self.baseline)
        for method in self.methods:
            find_method(method)


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """What was found of one image."""

    scores: pd.DataFrame
    """As of `tabulate_scores`, and ``class``, its name, and ``sensitivity``: 0 for controls, which
    see no image."""
    curves: pd.DataFrame
    """As of `tabulate_curves`."""
    problems: dict[str, str]
    """Methods without a map that can be scored, and why."""


def survey_scores(network: Network, image: Image.Image | Tensor, survey: Survey) -> Surveyed:
    """Make and score the maps of one image, or of an input that `Network.prepare` made, and score
    the controls.

    Raises:
        AttributionError: there is no such class.
        TooLittleMemoryError: the device has too little memory.
    """
    inputs = network.take(image)
    index = _best(network, inputs) if survey.target is None else survey.target
    target = Target(index, survey.against)
    # First: a class that is not there should not be told of once for each method.
    target.check(len(network.classes))
    exam = Exam(target, survey.baseline, seed=survey.seed)
    yardstick = make_yardstick(network, inputs, exam)
    scores: dict[str, MapScore] = {}
    moves: dict[str, float] = {}
    problems: dict[str, str] = {}
    for method in dict.fromkeys(survey.methods):
        title = METHODS[method].title
        arguments = {"against": target.against, "baseline": survey.baseline}
        try:
            attribution = attribute(network, inputs, target.index, method, **arguments)
            moves[title] = measure_sensitivity(network, inputs, attribution, seed=survey.seed)
            scores[title] = score_map(network, inputs, attribution.map, yardstick.falls)
        except (AttributionError, TooLittleMemoryError) as problem:
            problems[title] = str(problem)
    table = tabulate_scores(scores, yardstick)
    table.insert(0, "class", network.classes[target.index])
    table["sensitivity"] = [moves.get(name, 0.0) for name in table["map"]]
    return Surveyed(table, tabulate_curves(scores, yardstick), problems)


def summarise_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a map over all images: mean and standard deviation of each measure, and
    number of images.

    ``table`` holds the scores of all images. A control's draws count as one image's mean; the
    deviation is that of a sample, over images, and 0 for one image.
    """
    groups = table.groupby("map", sort=False)
    columns = {}
    for measure in (*MEASURES, "sensitivity"):
        columns[measure] = groups[measure].mean()
        columns[f"{measure}_std"] = groups[measure].std().fillna(0.0)
    return pd.DataFrame({**columns, "images": groups.size()}).reset_index()


def count_better(table: pd.DataFrame) -> dict[str, int]:
    """Return in how many images each map's gap passes the `bound` of every control, by the map's
    name.

    ``table`` holds the scores of all images, told apart by its column ``image``.
    """
    limits: dict[str, float] = {}
    better: dict[str, int] = {}
    # Controls first: a map is compared with the bounds of all of them.
    rows = table.sort_values("draws", ascending=False).to_dict("records")
    for row in rows:
        image = row["image"]
        if row["draws"]:
            limit = bound(row["gap"], row["gap_std"], row["draws"])
            limits[image] = max(limit, limits.get(image, limit))
        else:
            better[row["map"]] = better.get(row["map"], 0) + int(row["gap"] > limits[image])
    return better


def average_curves(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean over images of each point of each curve, and its standard error to either
    side.
    """
    groups = pd.concat(tables).groupby(["map", "control", "curve", "step"], sort=False)
    mean = groups["value"].mean()
    spread = groups["value"].sem().fillna(0.0)
    columns = {
        "share": groups["share"].mean(),
        "value": mean,
        "low": mean - spread,
        "high": mean + spread,
    }
    return pd.DataFrame(columns).reset_index()


def _best(network: Network, inputs: torch.Tensor) -> int:
    with line_of(network.device).turn(), torch.inference_mode():
        return int(network.model(inputs)[0].argmax())
