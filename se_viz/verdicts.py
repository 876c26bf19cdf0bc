"""Did it matter that gates answer to the image? A verdict in words, from counterfactuals with static gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from se_viz.counterfactuals import Counterfactual

LITTLE, MUCH = 0.01, 0.10
"""From where a change counts at all, and from where it counts as much: in probability, and in nats of KL."""

VERDICTS = ("did not matter", "mattered a little", "mattered")
"""What can be said of one image, from least to most."""

THRESHOLDS = (
    f"*Mattered*: the label flips, or its probability moves by at least {100 * MUCH:.0f} points, or KL(live || "
    f"replaced) is at least {MUCH:g} nats, with static gates or another image's. *A little*: from {100 * LITTLE:.0f} "
    f"point or {LITTLE:g} nats. One image's gates instead of another's is what the verdict asks; all ones is not."
)
"""The rules of the verdict, for a caption."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether input-dependent gating mattered to one image's answer."""

    words: str
    """One of ``VERDICTS``."""
    worst: Counterfactual
    """The replacement that it rests on: a flipped label first, then the largest divergence."""


def judge(found: Sequence[Counterfactual]) -> Verdict:
    """Judge by the replacement that moved the answer most; give those whose gates ignore the image."""
    worst = max(found, key=_rank)
    return Verdict(VERDICTS[_rank(worst)[0]], worst)


def _rank(one: Counterfactual) -> tuple[int, bool, float]:
    moved = max(abs(one.change), one.divergence)
    grade = 2 if not one.kept or moved >= MUCH else int(moved >= LITTLE)
    return grade, not one.kept, one.divergence


def describe(
    verdict: Verdict, ones: Sequence[Counterfactual], classes: Sequence[str], *, sources: Mapping[str, str]
) -> str:
    """Say a verdict in words; ``ones`` is what came of gates of 1, ``sources`` names each kind's gates.

    Where the network needs its gates but not that they answer to the image, a second sentence says so.
    """
    worst, without = verdict.worst, judge(ones)
    many = worst.place.label != "Network"
    where = f" in {worst.place.label}, where it moved most" if many else " in the whole network"
    first = f"Input-dependent gating {verdict.words} here: with {sources[worst.kind]}{where}, {_say(worst, classes)}."
    if VERDICTS.index(without.words) <= VERDICTS.index(verdict.words):
        return first
    where = f" in {without.worst.place.label}" if many else ""
    return (
        f"{first} Without SE (all ones){where}, {_say(without.worst, classes)}: that channels are scaled matters more "
        "than that each image scales them anew."
    )


def _say(one: Counterfactual, classes: Sequence[str]) -> str:
    label = "the label stays" if one.kept else f"the label turns to {classes[one.answer]}"
    moved = f"{classes[one.predicted]} goes from {one.live:.1%} to {one.probability:.1%}"
    return f"{label} and {moved} (KL {one.divergence:.3f} nats)"
