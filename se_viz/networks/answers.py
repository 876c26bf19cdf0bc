"""From logits to probabilities, to labels and to their names.

The only place where an answer is made of logits.
"""

from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.networks.card import NetworkCard

THRESHOLD = 0.5
"""From which probability on an independent class is a label."""

_TINY = 1e-12
_NAMED = 3

Labels: TypeAlias = tuple[int, ...]
"""The answer as class indices, in their order: one class, or of independent ones any number."""


def probabilities_of(
    logits: Float[Tensor, "*batch classes"], *, independent: bool, shares: bool = True
) -> Float[Tensor, "*batch classes"]:
    """Return probabilities: a softmax over the classes, or for independent ones a sigmoid of each
    logit.

    Without ``shares`` the numbers are none, and stay as they are.
    """
    if not shares:
        return logits
    return logits.sigmoid() if independent else logits.softmax(-1)


def labels_of(
    logits: Float[Tensor, "classes"], *, independent: bool, shares: bool = True
) -> Labels:
    """Return the answer: the most probable class, or those independent ones that are as probable
    as not; of numbers that are no probabilities none.
    """
    if not shares:
        return ()
    # Of the logit: in half precision a sigmoid rounds to its threshold.
    return tuple((logits >= 0).nonzero()[:, 0].tolist()) if independent else (int(logits.argmax()),)


def name_labels(labels: Labels, classes: Sequence[str]) -> str:
    """Return an answer in words; of a single class that is not a label, its negation."""
    if len(classes) == 1 and not labels:
        return f"not {classes[0]}"
    return ", ".join(classes[index] for index in labels) or "no class"


def name_answer(logits: Float[Tensor, "classes"], card: NetworkCard) -> str:
    """Return an answer in words: names of its labels, or of what is no probability the numbers."""
    if card.shares:
        return name_labels(labels_of(logits, independent=card.independent), card.classes)
    numbers = zip(card.classes, logits.tolist(), strict=True)
    words = [f"{name} {value:.4g}" for name, value in islice(numbers, _NAMED)]
    return ", ".join(words) + ("" if len(logits) <= _NAMED else ", …")


def divergences_of(
    live: Float[Tensor, "batch classes"],
    variant: Float[Tensor, "batch classes"],
    *,
    independent: bool,
    shares: bool = True,
) -> Float[Tensor, "batch"]:
    """Return KL(live || changed) of two answers in nats, from their logits, in double precision.

    Over classes that exclude each other, or the sum over independent ones, each against its
    negation. Without ``shares`` there is none: how far all numbers moved, as a share of their size.
    """
    # Double precision: the logarithm of a ratio near 1 would be mostly rounding.
    live = live.double()
    variant = variant.double()
    if not shares:
        return (variant - live).norm(dim=-1) / live.norm(dim=-1).clamp(min=_TINY)
    if independent:
        # Two classes that exclude each other: this one, and its negation with the logit 0.
        live, variant = (
            torch.stack([logits, torch.zeros_like(logits)], -1) for logits in (live, variant)
        )
    live = live.log_softmax(-1)
    variant = variant.log_softmax(-1)
    # Never below 0, by Gibbs' inequality; rounding may be.
    divergence = (live.exp() * (live - variant)).sum(-1).clamp(min=0)
    return divergence.sum(-1) if independent else divergence
