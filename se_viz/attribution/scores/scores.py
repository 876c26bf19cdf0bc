"""Scores of maps beside the scores of control maps, which ignore the network.

And their verdict in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

import pandas as pd
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

from se_viz.attribution.scores.controls import CONTROLS, make_controls
from se_viz.attribution.scores.curves import Curve, Exam, trace_curves
from se_viz.attribution.scores.infidelity import Falls, infidelity, measure_falls
from se_viz.devices import Report, Watch
from se_viz.errors import AttributionError
from se_viz.networks import Network

MEASURES = ("gap", "deletion", "insertion", "infidelity")
"""What is measured."""

CHANCE = 0.05
"""Chance of a random map to be called better than those of its kind."""

_NAMES = {key: title.lower() for key, title in CONTROLS.items()} | {"blob": "the centred blob"}


@dataclass(frozen=True, slots=True)
class MapScore:
    """How one map of one image stood its tests."""

    deletion: Curve
    """The answer while the map's highest pixels go first: a low area is good."""
    insertion: Curve
    """The answer while the map's highest pixels come first: a high area is good."""
    infidelity: float
    """Share of what squares take from the logit that the map does not foretell, 0 to 1: a low one
    is good."""

    @property
    def gap(self) -> float:
        """Return the area of insertion less that of deletion, in the units of their curves: a wide
        gap is good.

        Neither area alone tells a map from noise: single pixels all over a photo break every
        texture, so that noise does well at deletion, and for the same reason badly at insertion.
        """
        return self.insertion.area - self.deletion.area

    def read(self, measure: str) -> float:
        """Return the number for one of ``MEASURES``: an area or their gap, in units of the curve,
        or the infidelity.
        """
        value = getattr(self, measure)
        return value.area if isinstance(value, Curve) else value


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What all maps of one image are measured with, and against."""

    falls: Falls
    """What squares take from the logit."""
    controls: dict[str, tuple[MapScore, ...]]
    """Scores of each of ``CONTROLS``, one for each draw of it."""


def count_passes(exam: Exam) -> int:
    """Return how many pictures a yardstick takes."""
    return exam.squares + 1 + (2 * exam.repeats + 1) * exam.passes


def make_yardstick(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    exam: Exam,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Yardstick:
    """Measure what an image loses with squares, and score each control.

    For errors see `answer_pictures`.

    Raises:
        AttributionError: the input is no picture: controls and squares have two dimensions.
    """
    if inputs.ndim != 4:
        raise AttributionError(
            "Scores compare maps of two dimensions, with squares and drawn maps, and this input "
            f"has {inputs.ndim - 2}. Compare methods by their maps."
        )
    # One bar over all that follows: each part tells what came before it, too.
    whole = count_passes(exam)
    before = exam.squares + 1
    falls = measure_falls(
        network, inputs, exam, watch=watch, report=lambda passes, _: report(passes, whole)
    )
    controls: dict[str, list[MapScore]] = {key: [] for key in CONTROLS}
    control_maps = make_controls(
        inputs.shape[-2], inputs.shape[-1], repeats=exam.repeats, seed=exam.seed
    )
    for key, maps in control_maps.items():
        for values in maps:
            score = score_map(
                network,
                inputs,
                values,
                falls,
                watch=watch,
                report=lambda passes, _, before=before: report(before + passes, whole),
            )
            controls[key].append(score)
            before += exam.passes
    return Yardstick(falls, {key: tuple(scores) for key, scores in controls.items()})


def score_map(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    values: Float[Tensor, "rows columns"],
    falls: Falls,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> MapScore:
    """Score one map as ``falls``, which are of the same image, were measured.

    For errors see `trace_curves`.
    """
    deletion, insertion = trace_curves(
        network, inputs, values, falls.exam, watch=watch, report=report
    )
    return MapScore(deletion, insertion, infidelity(values, falls))


def tabulate_scores(scores: Mapping[str, MapScore], yardstick: Yardstick) -> pd.DataFrame:
    """Return one row a map and then one a control: the mean over its draws, and their standard
    deviation.

    The deviation is that of a sample, and 0 for what has no draws; ``draws`` is 0 for maps of the
    network.
    """
    rows = [*((key, (score,), 0) for key, score in scores.items())]
    rows += [(CONTROLS[key], sample, len(sample)) for key, sample in yardstick.controls.items()]
    return pd.DataFrame(
        [{"map": name, "draws": draws, **_summarise(sample)} for name, sample, draws in rows]
    )


def tabulate_curves(scores: Mapping[str, MapScore], yardstick: Yardstick) -> pd.DataFrame:
    """Return one row a point of each curve, of maps and then of controls: the mean over draws, and
    their range.
    """
    rows = [*((key, False, (score,)) for key, score in scores.items())]
    rows += [(CONTROLS[key], True, sample) for key, sample in yardstick.controls.items()]
    parts = []
    for name, control, sample in rows:
        for measure in ("deletion", "insertion"):
            table = _tabulate([getattr(score, measure) for score in sample])
            parts.append(table.assign(map=name, control=control, curve=measure))
    return pd.concat(parts, ignore_index=True)


def find_limit(sample: Sequence[MapScore]) -> float:
    """Return the gap that a map must pass to be told from a control, in the units of the curves.

    For random maps it is the one-sided prediction bound of a further draw, mean + t s sqrt(1 + 1 /
    n), which one draw in 20 passes if gaps are normally distributed. A map without draws sets its
    own gap.
    """
    gaps = [score.gap for score in sample]
    return bound(mean(gaps), stdev(gaps) if len(gaps) > 1 else 0.0, len(gaps))


def bound(middle: float, deviation: float, draws: int) -> float:
    """Return what one further draw in 20 passes, by mean, sample deviation and number of draws.

    Of one draw, itself.
    """
    if draws < 2:
        return middle
    return middle + float(stdtrit(draws - 1, 1 - CHANCE)) * deviation * sqrt(1 + 1 / draws)


def find_unbeaten(score: MapScore, yardstick: Yardstick) -> list[str]:
    """Return the keys of the controls from which a map's gap cannot be told, or that have a wider
    one.
    """
    return [key for key, sample in yardstick.controls.items() if score.gap <= find_limit(sample)]


def describe_scores(scores: Mapping[str, MapScore], yardstick: Yardstick) -> list[str]:
    """Say which maps have a wider gap than chance gives to each control, and which do not.

    Maps by title that share a verdict share a sentence; those that beat most come first.
    """
    verdicts: dict[tuple[str, ...], list[str]] = {}
    for title in sorted(scores, key=lambda title: -scores[title].gap):
        verdicts.setdefault(tuple(find_unbeaten(scores[title], yardstick)), []).append(title)
    return [_describe(titles, unbeaten) for unbeaten, titles in verdicts.items()]


def _describe(titles: Sequence[str], unbeaten: Sequence[str]) -> str:
    names = _join([f"**{title}**" for title in titles])
    alone = len(titles) == 1
    if not unbeaten:
        return (
            f"{names} {'beats' if alone else 'beat'} every control map, by more than their draws "
            f"differ; by chance this happens to 1 map in {1 / CHANCE:.0f}."
        )
    return (
        f"{names} {'is' if alone else 'are'} not clearly better than "
        f"{_join([_NAMES[key] for key in unbeaten])}."
    )


def _summarise(sample: Sequence[MapScore]) -> dict[str, float]:
    numbers = pd.DataFrame({key: [score.read(key) for score in sample] for key in MEASURES})
    means = numbers.mean()
    # A single draw has no sample deviation, which pandas calls NaN.
    spreads = numbers.std().fillna(0.0).add_suffix("_std")
    columns = [*means.items(), *spreads.items()]
    return {str(name): float(value) for name, value in columns}


def _tabulate(curves: Sequence[Curve]) -> pd.DataFrame:
    values = pd.DataFrame([curve.values for curve in curves])
    columns = {"value": values.mean(), "low": values.min(), "high": values.max()}
    return pd.DataFrame({"share": curves[0].shares, **columns}).rename_axis("step").reset_index()


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
