"""From logits to probabilities, to labels and to their names.

The only place where an answer is made of logits.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

THRESHOLD = 0.5
"""From which probability on an independent class is a label."""

Labels: TypeAlias = tuple[int, ...]
"""The answer as class indices, in their order: one class, or of independent ones any number."""


def probabilities_of(
    logits: Float[Tensor, "*batch classes"], *, independent: bool
) -> Float[Tensor, "*batch classes"]:
    """Return probabilities: a softmax over the classes, or for independent ones a sigmoid of each
    logit.
    """
    return logits.sigmoid() if independent else logits.softmax(-1)


def labels_of(logits: Float[Tensor, "classes"], *, independent: bool) -> Labels:
    """Return the answer: the most probable class, or those independent ones that are as probable
    as not.
    """
    # Of the logit: in half precision a sigmoid rounds to its threshold.
    return tuple((logits >= 0).nonzero()[:, 0].tolist()) if independent else (int(logits.argmax()),)


def name_labels(labels: Labels, classes: Sequence[str]) -> str:
    """Return an answer in words; of a single class that is not a label, its negation."""
    if len(classes) == 1 and not labels:
        return f"not {classes[0]}"
    return ", ".join(classes[index] for index in labels) or "no class"


def divergences_of(
    live: Float[Tensor, "batch classes"],
    variant: Float[Tensor, "batch classes"],
    *,
    independent: bool,
) -> Float[Tensor, "batch"]:
    """Return KL(live || changed) of two answers in nats, from their logits, in double precision.

    Over classes that exclude each other, or the sum over independent ones, each against its
    negation.
    """
    # Double precision: the logarithm of a ratio near 1 would be mostly rounding.
    live = live.double()
    variant = variant.double()
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
