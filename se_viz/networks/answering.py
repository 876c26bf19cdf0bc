"""A model of one's own, with what reads its answer where that is no list of logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from se_viz.errors import NetworkError
from se_viz.names import show_name
from se_viz.networks.admission import check_answer, check_logits, inspect_model
from se_viz.networks.card import NetworkCard
from se_viz.networks.labels import numbered_classes
from se_viz.networks.views import Sight
from se_viz.readings import (
    KINDS,
    Answer,
    Answering,
    Reading,
    make_reader,
    read_elsewhere,
    reader_of,
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A model that returns (batch, numbers), and what these are."""

    model: nn.Module
    """The model itself, or what reads its answer."""
    kind: str
    """What the numbers are, one of ``KINDS``."""
    classes: tuple[str, ...]
    """A name for each."""


def admit_answer(model: nn.Module, view: Sight, answer: Answer, classes: Sequence[str]) -> Admitted:
    """Return a model whose answers can be used, with a reader where they are no logits yet.

    Raises:
        SeVizError: as `inspect_model`.
        NetworkError: its answer cannot be read, has other numbers than names, or is probabilities.
    """
    reader, names = make_reader(
        answer, model, classes=classes, mean=view.details["mean"], std=view.details["std"]
    )
    reading = Answering(model, reader) if reader else model
    kind = reader.kind if reader else "classes"
    name = type(model).__name__
    count = check_answer(inspect_model(reading, view.shape).returned, name, names or None)
    if kind in ("classes", "segments"):
        check_logits(model, view.shape, reader and reader.show)
    return Admitted(reading, kind, tuple(names) or _name_numbers(kind, count))


def begin(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return a model in evaluation mode and frozen; an embedding is compared with that of zeros."""
    model.eval().requires_grad_(False)
    reader = reader_of(model)
    if not isinstance(model, Answering) or reader is None or reader.kind != "embedding":
        return model
    values = chain(model.parameters(), model.buffers())
    like = next((value for value in values if value.is_floating_point()), torch.zeros(()))
    return read_elsewhere(model, Reading(), like.new_zeros((1, *shape)))


def check_reading(reading: Reading, card: NetworkCard, *, has_beside: bool) -> None:
    """Refuse a place that the answers of a network do not have.

    Raises:
        NetworkError: it does not have it.
    """
    title = show_name(card.title)
    if reading.region and not KINDS[card.answer].located:
        raise NetworkError(
            f"{title} answers for the whole image, so that a region means nothing to it. Leave the "
            "region out, or read segments or boxes."
        )
    if (reading.beside or has_beside) and card.answer != "embedding":
        raise NetworkError(
            f"{title} compares no two images: its answer is no embedding. Leave the second image "
            "out."
        )
    if reading.beside and not has_beside:
        raise NetworkError(
            f"The second image that {title} compares with is missing. Choose one again."
        )


def _name_numbers(kind: str, count: int) -> tuple[str, ...]:
    if kind != "value":
        return numbered_classes(count)
    return ("value",) if count == 1 else tuple(f"value {index}" for index in range(count))
