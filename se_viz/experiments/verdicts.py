"""Did it matter that gates depend on the image?

A verdict in words, from the gates that other images lend.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from se_viz.experiments.counterfactuals import Counterfactual

LITTLE = 0.01
"""From where a change counts at all: in probability, and in nats of KL."""

MUCH = 0.10
"""From where it counts as much, in the same units."""

VERDICTS = ("did not matter", "mattered a little", "mattered")
"""What can be said of one image, from least to most."""

UNTOLD = "cannot be told"
"""What is said where lenders do not agree, or are too few."""

NEARLY_ALL = 0.9
"""Share of the lenders that has to agree."""

SURE = 0.95
"""With which confidence a verdict holds; few lenders cannot show it."""

MOST = 0.75
"""Of which share of all such images a verdict holds."""

FEWEST = next(number for number in range(1, 1000) if MOST**number <= 1 - SURE)
"""Lenders from which all of them together can show it."""

UNITS = (
    "Points are percentage points of probability: from 90 % to 80 % is −10 points. Nats measure "
    "how far all probabilities together moved, KL(live || replaced): 0 is no change, "
    f"{MUCH:g} is much."
)
"""The two units, for a help mark."""

UNITS_OF_VALUES = (
    "Changes are in the units of the number itself, and the lower plot shows them as a share of "
    f"its size: {LITTLE:.0%} is a little, {MUCH:.0%} is much."
)
"""The same for a similarity or a value, which is no probability."""

_LEADS = {
    "mean": "With mean gates",
    "other": "With the gates of {lender}",
    "shuffle": "With shuffled gates",
    "ones": "With all gates at 1",
}
_MOVES = ("stays as it is", "moves a little", "moves much")
"""What becomes of an answer, by `grade`."""
_NO_IMAGE = (
    "This alone does not show that the network needs its gates: no image has such gates, so later "
    "layers get inputs unlike their training inputs."
)

THRESHOLDS = (
    "A lender is another image whose gates this image gets. A lender moves the answer *much* if "
    f"the label flips, the probability moves by at least {100 * MUCH:.0f} points, or KL(live || "
    f"replaced) is at least {MUCH:g} nats, and *a little* from {100 * LITTLE:.0f} point or "
    f"{LITTLE:g} nats on. Of several places, the place with the largest change counts. The verdict "
    f"is *mattered*, *mattered a little* or *did not matter* where at least {NEARLY_ALL:.0%} of "
    f"the lenders agree, and enough of them to be {SURE:.0%} confident that {MOST:.0%} of all such "
    f"images would; fewer than {FEWEST} lenders never suffice. Mean gates and all ones do not "
    "count."
)
"""The rules of the verdict, for a caption."""

THRESHOLDS_OF_VALUES = (
    "A lender is another image whose gates this image gets. A lender moves the answer *much* if it "
    f"moves by at least {MUCH:.0%} of its size, and *a little* from {LITTLE:.0%} on. "
    + THRESHOLDS[THRESHOLDS.index("Of several places") :]
)
"""The same for a similarity or a value."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether input-dependent gating mattered to one image's answer, by the gates that others
    lend.
    """

    words: str
    """One of ``VERDICTS``, or ``UNTOLD``."""
    counts: tuple[int, int, int]
    """How many lenders leave the answer as it is, move it a little, and much, where each moves it
    most."""
    place: str
    """The row with the largest change: of all places the one whose median over lenders is furthest
    from 0."""
    changes: tuple[float, float, float]
    """Quartiles of the change of probability there, over lenders; the second is the median."""
    places: int
    """In how many places gates were replaced, one at a time."""
    shares: bool = True
    """Whether the answer is probabilities; see `Counterfactual`."""

    @property
    def lenders(self) -> int:
        """Return how many images lent their gates."""
        return sum(self.counts)


def judge(counterfactuals: Sequence[Counterfactual]) -> Verdict:
    """Judge by the gates of other images: every one of these is asked of every place."""
    grades: dict[tuple[str, int], int] = {}
    changes: dict[str, list[float]] = {}
    for counterfactual in counterfactuals:
        # Two images may have one name: their number tells them apart.
        lender = counterfactual.lender, counterfactual.repeat
        # A lender counts by the place where it moves the answer most.
        grades[lender] = max(grades.get(lender, 0), grade(counterfactual))
        changes.setdefault(counterfactual.place.label, []).append(counterfactual.change)
    counts = Counter(grades.values())
    words = next(
        (words for level, words in enumerate(VERDICTS) if _agree(counts[level], len(grades))),
        UNTOLD,
    )
    place = find_furthest(counterfactuals)
    low, middle, high = np.quantile(changes[place], [0.25, 0.5, 0.75]).tolist()
    return Verdict(
        words,
        (counts[0], counts[1], counts[2]),
        place,
        (low, middle, high),
        len(changes),
        counterfactuals[0].shares,
    )


def find_furthest(counterfactuals: Sequence[Counterfactual]) -> str:
    """Return the place where the answer moves most: the one whose mark is drawn furthest from 0.

    By the median over lenders or shuffles: one odd lender alone names no place.
    """
    changes: dict[str, list[float]] = {}
    for counterfactual in counterfactuals:
        changes.setdefault(counterfactual.place.label, []).append(counterfactual.change)
    return max(changes, key=lambda name: abs(np.median(changes[name])))


def describe_kind(
    counterfactuals: Sequence[Counterfactual], classes: Sequence[str]
) -> tuple[str, str]:
    """Say what one kind of replacement, or the gates of one lender, do to the answer.

    Return what became of it, in the words of the verdict, and how far it moved where it moved most.
    """
    rows: dict[str, list[Counterfactual]] = {}
    for counterfactual in counterfactuals:
        rows.setdefault(counterfactual.place.label, []).append(counterfactual)
    # As a whole by the middle one of several: so is each mark that is drawn.
    level = max(sorted(map(grade, place))[len(place) // 2] for place in rows.values())
    furthest = rows[find_furthest(counterfactuals)]
    kind = counterfactuals[0].kind
    lead = _LEADS[kind].format(lender=counterfactuals[0].lender)
    where = f"most in {furthest[0].place.label}, where " if len(rows) > 1 else ""
    parts = [f"{where}{_say_repeats(furthest, classes)}."]
    flipped = sum(not all(row.kept for row in place) for place in rows.values())
    if len(rows) > 1 and flipped:
        parts.append(f"The label flips in {flipped} of {len(rows)} places.")
    if kind == "ones" and level:
        parts.append(_NO_IMAGE)
    return f"{lead} the answer {_MOVES[level]}", " ".join(parts)


def _say_repeats(rows: Sequence[Counterfactual], classes: Sequence[str]) -> str:
    if len(rows) == 1:
        return _say(rows[0], classes)
    median = float(np.median([row.change for row in rows]))
    if not rows[0].shares:
        name = classes[rows[0].predicted]
        return f"{name} moves by {median:+.3g} in the median of {len(rows)} shuffles"
    # Never -0.0.
    middle = round(100 * median, 1) + 0.0
    flips = sum(not row.kept for row in rows)
    label = f"the label flips in {flips} of them" if flips else "the label stays"
    name = classes[rows[0].predicted]
    return f"{name} moves by {middle:+.1f} points in the median of {len(rows)} shuffles and {label}"


def grade(counterfactual: Counterfactual) -> int:
    """Return how far a replacement moved the answer: 0 not at all, 1 a little, 2 much."""
    change = counterfactual.divergence
    if counterfactual.shares:
        change = max(abs(counterfactual.change), change)
    # A label that flips counts as much, however little the probability moved.
    if not counterfactual.kept or change >= MUCH:
        return 2
    return int(change >= LITTLE)


def _agree(count: int, lenders: int) -> bool:
    """Tell whether so many make a verdict: nearly all, and more than chance gives where only
    ``MOST`` would agree.
    """
    chance = sum(
        comb(lenders, k) * MOST**k * (1 - MOST) ** (lenders - k) for k in range(count, lenders + 1)
    )
    return bool(lenders) and count / lenders >= NEARLY_ALL and chance <= 1 - SURE


def describe(
    verdict: Verdict,
    classes: Sequence[str],
    *,
    mean: Sequence[Counterfactual] = (),
    ones: Sequence[Counterfactual] = (),
) -> str:
    """Say a verdict in words.

    ``mean`` and ``ones`` is what came of mean gates and of gates of 1, if that is known.
    """
    return " ".join([describe_verdict(verdict), *describe_fixed(classes, mean=mean, ones=ones)])


def describe_verdict(verdict: Verdict) -> str:
    """Say a verdict, with the counts behind it and how far the answer moves."""
    several = verdict.lenders > 1 or verdict.places > 1
    return " ".join([_say_verdict(verdict), *([_say_change(verdict)] if several else [])])


def describe_fixed(
    classes: Sequence[str],
    *,
    mean: Sequence[Counterfactual] = (),
    ones: Sequence[Counterfactual] = (),
) -> list[str]:
    """Say what mean gates and gates of 1 do to the answer, each in a paragraph.

    Neither counts for the verdict.
    """
    sentences = []
    worst = max(mean, key=_size, default=None)
    if worst is not None:
        where = f" in {worst.place.label}" if len(mean) > 1 else ""
        sentences.append(
            f"With the lenders' mean gates{where}, one fixed choice, {_say(worst, classes)}."
        )
    worst = max(ones, key=_size, default=None)
    if worst is not None and grade(worst):
        where = f" in {worst.place.label}" if len(ones) > 1 else ""
        sentences.append(f"All ones{where}: {_say(worst, classes)}. {_NO_IMAGE}")
    return sentences


def describe_many(
    images: Sequence[Sequence[Counterfactual]], classes: Sequence[str]
) -> Iterator[str]:
    """Yield the verdict on several images, each with all that was asked of it, and the thresholds.

    Nothing, where other images' gates were not asked for.
    """
    evidence = [_of_kind("other", counterfactuals) for counterfactuals in images]
    if not all(evidence):
        return
    verdicts = [judge(counterfactuals) for counterfactuals in evidence]
    if len(images) == 1:
        fixed = {kind: _of_kind(kind, images[0]) for kind in ("mean", "ones")}
        yield describe(verdicts[0], classes, **fixed)
    else:
        counts = Counter(verdict.words for verdict in verdicts)
        shares = ", ".join(f"{words} for {counts[words]}" for words in reversed(VERDICTS))
        fewest = min(verdict.lenders for verdict in verdicts)
        lenders = _count(fewest, "other image")
        more = " or more" if any(verdict.lenders > fewest for verdict in verdicts) else ""
        yield (
            f"Input-dependent gating {shares} of {len(images)} images, and {UNTOLD} for "
            f"{counts[UNTOLD]}; each got the gates of {lenders}{more}."
        )
    yield (THRESHOLDS if verdicts[0].shares else THRESHOLDS_OF_VALUES).replace("*", "")


def _of_kind(kind: str, counterfactuals: Sequence[Counterfactual]) -> list[Counterfactual]:
    return [counterfactual for counterfactual in counterfactuals if counterfactual.kind == kind]


def _say_verdict(verdict: Verdict) -> str:
    few, some, many = verdict.counts
    lenders = _count(verdict.lenders, "other image")
    where = "" if verdict.places == 1 else f" in one of {verdict.places} places or another"
    if verdict.words != UNTOLD:
        count, effect = max(
            (few, "leave the answer as it is"),
            (some, f"move the answer a little{where}"),
            (many, f"move the answer much{where}"),
        )
        if verdict.words == VERDICTS[0] and verdict.places > 1:
            effect = f"leave the answer as it is in each of {verdict.places} places"
        return (
            f"Input-dependent gating {verdict.words} here: the gates of {count} of {lenders} "
            f"{effect}."
        )
    shares = f"{few} leave the answer as it is, {some} move it a little and {many} much{where}"
    if verdict.lenders < FEWEST:
        return (
            f"Whether input-dependent gating mattered {UNTOLD} from {lenders}: of their gates "
            f"{shares}. {FEWEST} lenders that agree are needed; add {FEWEST - verdict.lenders} "
            "more."
        )
    nearly = max(verdict.counts) / verdict.lenders >= NEARLY_ALL
    why = (
        "so few lenders do not show what nearly all would do"
        if nearly
        else "the answer depends on the lender"
    )
    return (
        f"Whether input-dependent gating mattered {UNTOLD} here: {why}. Of the gates of {lenders}, "
        f"{shares}."
    )


def _say_change(verdict: Verdict) -> str:
    if not verdict.shares:
        low, middle, high = verdict.changes
        where = "" if verdict.places == 1 else f" most in {verdict.place}"
        return (
            f"The number moves{where} by {middle:+.3g} in the median, {low:+.3g} to {high:+.3g} "
            "for the middle half of the lenders."
        )
    # Never -0.0.
    low, middle, high = (round(100 * value, 1) + 0.0 for value in verdict.changes)
    spread = (
        f"{middle:+.1f} points in the median, {low:+.1f} to {high:+.1f} for the middle half of the "
        "lenders"
    )
    if verdict.places == 1:
        return f"The probability of the class moves by {spread}."
    return f"The probability of the class moves most in {verdict.place}: {spread}."


def _size(counterfactual: Counterfactual) -> float:
    return abs(counterfactual.change)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _say(counterfactual: Counterfactual, classes: Sequence[str]) -> str:
    if not counterfactual.shares:
        return (
            f"{classes[counterfactual.predicted]} goes from {counterfactual.live:.4g} to "
            f"{counterfactual.probability:.4g} ({counterfactual.divergence:.1%} of its size)"
        )
    if counterfactual.kept:
        label = "the label stays"
    else:
        label = f"the label turns to {counterfactual.name_answer(classes)}"
    before = f"{classes[counterfactual.predicted]} goes from {counterfactual.live:.1%}"
    after = f"{counterfactual.probability:.1%} (KL {counterfactual.divergence:.3f} nats)"
    return f"{label} and {before} to {after}"
