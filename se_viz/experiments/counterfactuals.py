"""What if a block's gates were others? Live gates replaced, and how far the answer moves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.devices import Report, Watch
from se_viz.errors import DataError, EditError
from se_viz.experiments.analysis import Analysis
from se_viz.experiments.variants import Variant, VariantLogits, run_variants
from se_viz.gates import GateSite
from se_viz.gates.tables import label_blocks
from se_viz.networks import Network
from se_viz.networks.answers import Labels, divergences_of, name_labels
from se_viz.networks.lenders import Lender

KINDS = {"mean": "Mean gates", "other": "Other images'", "shuffle": "Shuffled", "ones": "All ones"}
"""What live gates are replaced by: the mean over a gallery, other images', their own shuffled, or
1."""

SCOPES = {"network": "Whole network", "stage": "Each stage", "block": "Each block"}
"""How many blocks have their gates replaced at a time."""

REPEATS = 5
"""Shuffles of one place; each has a seed of its own."""

Gates: TypeAlias = Mapping[str, Float[Tensor, "..."]]
"""For the name of each use of a block, its gates: (channels,)."""


@dataclass(frozen=True, slots=True)
class GateSet:
    """What has its gates replaced at once."""

    label: str
    """What to call it: ``SE_4_3``, ``Stage 4``, ``Network``."""
    names: tuple[str, ...]
    """Names of the uses of blocks in it, in forward order."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is replaced, and by what."""

    kind: str
    """One of ``KINDS``."""
    scope: str = "block"
    """One of ``SCOPES``."""
    repeats: int = REPEATS
    """How many shuffles of each place; all other kinds are asked once."""
    seed: int = 0
    """The first shuffle's seed; each further one has the next."""

    def __post_init__(self) -> None:
        """Check the words.

        Raises:
            DataError: there is no such kind or scope, or nothing is to be repeated.
        """
        for word, choices in ((self.kind, KINDS), (self.scope, SCOPES)):
            if word not in choices:
                raise DataError(f"There is no {word!r} here. Choose one of: {', '.join(choices)}.")
        if self.repeats < 1:
            raise DataError(f"{self.repeats} shuffles are too few. Choose at least 1.")


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What one replacement made of one image's answer."""

    kind: str
    """One of ``KINDS``."""
    place: GateSet
    """What had its gates replaced."""
    repeat: int
    """Number of the shuffle or of the lender, from 0; 0 for every other kind."""
    predicted: int
    """The live answer: its most probable class."""
    answer: int
    """The most probable class under the replacement."""
    live: float
    """Probability of the predicted class with live gates."""
    probability: float
    """Probability of the same class under the replacement."""
    divergence: float
    """KL(live || replaced) over all classes, in nats: 0 where nothing changed."""
    lender: str = ""
    """Name of the one image whose gates it got; empty where there is none."""
    labels: tuple[Labels, Labels] | None = None
    """Where each class is a yes or no by itself: the classes that are true live, and under the
    replacement."""
    shares: bool = True
    """Whether the answer is probabilities. Of a similarity or a value, ``live`` and ``probability``
    are the numbers themselves, and ``divergence`` is how far all moved as a share of their size."""

    @property
    def change(self) -> float:
        """Return how far the probability of the predicted class moved: below 0 it fell."""
        return self.probability - self.live

    @property
    def kept(self) -> bool:
        """Return whether the answer is the same class, or of independent classes the same ones."""
        before, after = self._labels
        return before == after

    def name_predicted(self, classes: Sequence[str]) -> str:
        """Return the live answer in words."""
        return name_labels(self._labels[0], classes)

    def name_answer(self, classes: Sequence[str]) -> str:
        """Return the answer under the replacement in words."""
        return name_labels(self._labels[1], classes)

    @property
    def _labels(self) -> tuple[Labels, Labels]:
        return self.labels or ((self.predicted,), (self.answer,))


def list_places(sites: Sequence[GateSite], scope: str) -> tuple[GateSet, ...]:
    """Return what a scope replaces at once, in order of depth."""
    labels = label_blocks(sites)
    if scope == "block":
        return tuple(GateSet(labels[site.name], (site.name,)) for site in sites)
    if scope == "network":
        return (GateSet("Network", tuple(labels)),)
    places = []
    for stage in sorted({site.stage for site in sites}):
        names = tuple(site.name for site in sites if site.stage == stage)
        places.append(GateSet(f"Stage {stage}", names))
    return tuple(places)


def gates_of(analysis: Analysis) -> Gates:
    """Return the gates of an analysed image, for `run_counterfactuals`."""
    return {record.name: record.gate[0] for record in analysis.records}


def mean_gates(gallery: Sequence[Gates]) -> Gates:
    """Return the mean of each gate over several images.

    It is one fixed choice, and of a few images a chance one. A network that was trained with static
    gates would have others, and other weights behind them.

    Raises:
        DataError: there is no image.
    """
    if not gallery:
        raise DataError("There is no other image to take gates from. Add at least one.")
    return {name: torch.stack([gates[name] for gates in gallery]).mean(0) for name in gallery[0]}


def run_counterfactuals(
    network: Network,
    image: Image.Image | Tensor,
    question: Replacement,
    gates: Gates,
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> tuple[Counterfactual, ...]:
    """Answer to one image with the gates of each place replaced in turn, shuffles one after
    another.

    ``gates`` are what live gates are replaced by: `mean_gates` of a gallery, `gates_of` another
    image, and for shuffles `gates_of` the image itself, whose channels change places within each
    block; for ones only their number counts. Replaced gates are fixed; those of all other blocks
    are live, and react. Batched: see `run_variants` for how exact that is, what else it raises,
    ``whole`` and ``report``.

    Raises:
        EditError: ``gates`` lack a block, or have another number of channels.
    """
    sites = network.inspection.sites
    _check(gates, sites)
    places = list_places(sites, question.scope)
    repeats = question.repeats if question.kind == "shuffle" else 1
    trials = [(place, repeat) for place in places for repeat in range(repeats)]
    values = [_replacements(question, gates, sites, repeat) for repeat in range(repeats)]
    variants = [_variant(place, values[repeat]) for place, repeat in trials]
    answers = run_variants(network, image, variants, whole=whole, watch=watch, report=report)
    return tuple(_compare(network, question.kind, trials, answers))


def run_lenders(
    network: Network,
    image: Image.Image | Tensor,
    lenders: Sequence[Lender],
    scope: str = "block",
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> tuple[Counterfactual, ...]:
    """Answer to one image with the gates of each place replaced by those of each lender, one after
    the other.

    As `run_counterfactuals` does for one of them, and faster: what comes before a place runs once
    for all lenders.

    Raises:
        EditError: the gates of a lender lack a block, or have another number of channels.
    """
    question = Replacement("other", scope)
    sites = network.inspection.sites
    # All lenders before the first pass: the last one could end minutes of work.
    for lender in lenders:
        _check(lender.gates, sites)
    counterfactuals: list[Counterfactual] = []
    places = list_places(sites, question.scope)
    # By place and not by lender: variants that begin at the same block share what comes before it.
    for number, place in enumerate(places):
        before = number * len(lenders)
        all_rows = len(places) * len(lenders)
        variants = [_variant(place, lender.gates) for lender in lenders]
        tell = partial(_report_after, report, before, all_rows)
        answers = run_variants(network, image, variants, whole=whole, watch=watch, report=tell)
        trials = [(place, row) for row in range(len(lenders))]
        rows = _compare(network, "other", trials, answers)
        for lender, counterfactual in zip(lenders, rows, strict=True):
            counterfactuals.append(replace(counterfactual, lender=lender.name))
    return tuple(counterfactuals)


def _report_after(report: Report, before: int, total: int, rows: int, _: int) -> None:
    report(before + rows, total)


def tabulate_counterfactuals(
    counterfactuals: Sequence[Counterfactual], classes: Sequence[str]
) -> pd.DataFrame:
    """Return one row a counterfactual: what was replaced by what, and the answer before and
    after.
    """
    return pd.DataFrame(
        {
            "kind": counterfactual.kind,
            "place": counterfactual.place.label,
            "path": counterfactual.place.names[0] if len(counterfactual.place.names) == 1 else "",
            "repeat": counterfactual.repeat,
            "lender": counterfactual.lender,
            "predicted": counterfactual.name_predicted(classes),
            "answer": counterfactual.name_answer(classes),
            "live": counterfactual.live,
            "probability": counterfactual.probability,
            "change": counterfactual.change,
            "divergence": counterfactual.divergence,
            "kept": counterfactual.kept,
        }
        for counterfactual in counterfactuals
    )


def summarise_counterfactuals(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a kind and place, in the table's order: medians and quartiles over what
    repeats.

    Repeats are lenders, shuffles, and images where the table is of several. ``kept`` is the share
    of them that keep their label.
    """
    groups = table.groupby(["kind", "place", "path"], sort=False, as_index=False)
    low = partial(_quantile, 0.25)
    high = partial(_quantile, 0.75)
    return groups.agg(
        change=("change", "median"),
        change_low=("change", low),
        change_high=("change", high),
        divergence=("divergence", "median"),
        divergence_low=("divergence", low),
        divergence_high=("divergence", high),
        kept=("kept", "mean"),
        count=("kept", "size"),
    )


def _quantile(share: float, values: pd.Series) -> float:
    return float(np.quantile(values.to_numpy(), share))


def _check(gates: Gates, sites: Sequence[GateSite]) -> None:
    for site in sites:
        shape = tuple(gates[site.name].shape) if site.name in gates else "no gates"
        if shape != (site.channels,):
            raise EditError(
                f"There are {shape} for {site.name}, which has {site.channels} channels. Take them "
                "from an analysis by the same network."
            )


def _replacements(
    question: Replacement, gates: Gates, sites: Sequence[GateSite], repeat: int
) -> Gates:
    if question.kind == "ones":
        return {site.name: torch.ones_like(gates[site.name]) for site in sites}
    if question.kind != "shuffle":
        return gates
    # Drawn for every block, whatever the scope: a block is shuffled alike alone and in its stage.
    dice = torch.Generator().manual_seed(question.seed + repeat)
    return {
        site.name: gates[site.name][torch.randperm(site.channels, generator=dice)] for site in sites
    }


def _variant(place: GateSet, gates: Gates) -> Variant:
    return {name: partial(_replace, gates[name]) for name in place.names}


def _replace(value: Tensor, gates: Tensor) -> Tensor:
    return value.to(gates)


def _compare(
    network: Network, kind: str, trials: Sequence[tuple[GateSet, int]], answers: VariantLogits
) -> Iterator[Counterfactual]:
    card = network.card
    divergences = divergences_of(
        answers.live, answers.edited, independent=card.independent, shares=card.shares
    )
    live, edited = (
        network.probabilities(logits.double()) for logits in (answers.live, answers.edited)
    )
    for row, (place, repeat) in enumerate(trials):
        # By the live row of the same pass, so that rounding between passes is no change.
        predicted = int(answers.live[row].argmax())
        labels = network.labels(answers.live[row]), network.labels(answers.edited[row])
        yield Counterfactual(
            kind=kind,
            place=place,
            repeat=repeat,
            predicted=predicted,
            answer=int(answers.edited[row].argmax()),
            live=live[row, predicted].item(),
            probability=edited[row, predicted].item(),
            divergence=divergences[row].item(),
            labels=labels if card.independent or not card.shares else None,
            shares=card.shares,
        )
