"""Did it matter that gates answer to the image? A verdict in words, from counterfactuals with static gates."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from se_viz.counterfactuals import Counterfactual

LITTLE, MUCH = 0.01, 0.10
"""From where a change counts at all, and from where it counts as much: in probability, and in nats of KL."""

VERDICTS = ("did not matter", "mattered a little", "mattered")
"""What can be said of one image, from least to most."""

THRESHOLDS = (
    f"*Mattered*: the label flips, or its probability moves by at least {100 * MUCH:.0f} points, or KL(live || "
    f"replaced) is at least {MUCH:g} nats, with static gates or another image's. *A little*: from {100 * LITTLE:.0f} "
    f"point or {LITTLE:g} nats. All ones do not count: they take away the gates, not only their answer to the image."
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
    """Say a verdict in words; ``ones`` is what came of gates of 1, if that is known, ``sources`` names gates.

    Where the network needs its gates but not that they answer to the image, a second sentence says so.
    """
    worst = verdict.worst
    many = worst.place.label != "Network"
    where = f" in {worst.place.label}, where it moved most" if many else " in the whole network"
    first = f"Input-dependent gating {verdict.words} here: with {sources[worst.kind]}{where}, {_say(worst, classes)}."
    without = judge(ones) if ones else verdict
    if VERDICTS.index(without.words) <= VERDICTS.index(verdict.words):
        return first
    where = f" in {without.worst.place.label}" if many else ""
    return (
        f"{first} Without SE (all ones){where}, {_say(without.worst, classes)}: that channels are scaled matters more "
        "than that each image scales them anew."
    )


def describe_many(images: Sequence[Sequence[Counterfactual]], classes: Sequence[str]) -> Iterator[str]:
    """Yield the verdict on several images, each with all that was asked of it, and the thresholds.

    Nothing, where neither static gates nor another image's were asked for.
    """
    sources = {"mean": "static gates", "other": "another image's gates"}
    static = [[one for one in found if one.kind in sources] for found in images]
    if not all(static):
        return
    verdicts = [judge(found) for found in static]
    if len(images) == 1:
        ones = [one for one in images[0] if one.kind == "ones"]
        yield describe(verdicts[0], ones, classes, sources=sources)
    else:
        counts = Counter(verdict.words for verdict in verdicts)
        shares = ", ".join(f"{words} for {counts[words]}" for words in reversed(VERDICTS))
        yield f"Input-dependent gating {shares} of {len(images)} images."
    yield THRESHOLDS.replace("*", "")


def _say(one: Counterfactual, classes: Sequence[str]) -> str:
    label = "the label stays" if one.kept else f"the label turns to {classes[one.answer]}"
    moved = f"{classes[one.predicted]} goes from {one.live:.1%} to {one.probability:.1%}"
    return f"{label} and {moved} (KL {one.divergence:.3f} nats)"
