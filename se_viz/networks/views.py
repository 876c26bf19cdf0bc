"""What a network of one's own sees: photos, or inputs of another shape that something makes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.errors import InputError, NetworkError, SeVizError
from se_viz.inputs import Preprocess, build_way, open_file
from se_viz.names import show_name
from se_viz.networks.admission import read_colours, read_side
from se_viz.networks.card import NetworkCard
from se_viz.networks.sources import MEAN, STD, read_input


@dataclass(frozen=True, slots=True)
class Sight:
    """The shape of one input, what makes it, and what the card says of both."""

    shape: tuple[int, ...]
    """Channels and sides."""
    way: Preprocess | None
    """None for photos."""
    details: dict[str, Any]
    """Fields of the card."""


def read_view(
    input_size: SupportsIndex | str | Iterable[int],
    mean: Iterable[float] | None,
    std: Iterable[float] | None,
    preprocess: Preprocess | str | None,
) -> Sight:
    """Return what a network sees.

    Raises:
        NetworkError: an argument is none, or they do not go together.
    """
    if preprocess is None or preprocess == "rgb":
        return _read_photo(input_size, mean, std)
    try:
        side = read_side(input_size)
        shape = (3, side, side)
    except NetworkError:
        shape = read_input(input_size)
    norm = {
        "mean": _read_numbers("mean", mean, shape[0]),
        "std": _read_numbers("std", std, shape[0], least=0.0),
    }
    if isinstance(preprocess, str):
        way = _normalised(build_way(preprocess, shape), norm["mean"], norm["std"])
        title = preprocess
    elif mean is not None or std is not None:
        raise NetworkError(
            "mean and std are for photos and ready ways, and `preprocess` is code of your own. "
            "Normalise there, and leave them out."
        )
    else:
        way, title = preprocess, getattr(preprocess, "__name__", type(preprocess).__name__)
    details = {"input_size": shape[-1], "input_shape": shape, "preprocess": title, **norm}
    return Sight(shape, way, details)


def way_of(card: NetworkCard) -> Preprocess | None:
    """Return the ready way that the card of a kept network names; None: it sees photos.

    Raises:
        NetworkError: it names none: a card never names code.
    """
    if not card.preprocess:
        return None
    return read_view(card.shape, card.mean or None, card.std or None, card.preprocess).way


def make_input(
    way: Preprocess, source: bytes | Path | str, card: NetworkCard, *, confined: bool = False
) -> Float[Tensor, "channels *sides"]:
    """Make one input of a file, or of its bytes; what is ``confined`` the ready ways read in a
    child process with limits.

    Raises:
        InputError: the file cannot be read, or becomes no input of the network's shape.
        NetworkError: code of one's own fails.
    """
    file = open_file(source, confined=confined)
    try:
        made = torch.as_tensor(np.asarray(made) if isinstance(made := way(file), list) else made)
    except SeVizError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200].rstrip(".")
        raise NetworkError(
            f"{card.preprocess} failed on the file: {type(error).__name__}: {words}. Correct it, "
            "or choose another file."
        ) from error
    inputs = made.detach().float()
    # One with a batch of one is meant as well.
    inputs = inputs[0] if inputs.shape == (1, *card.shape) else inputs
    if tuple(inputs.shape) != card.shape or not torch.isfinite(inputs).all():
        found = "x".join(map(str, inputs.shape)) or "a single number"
        problem = found if tuple(inputs.shape) != card.shape else "values that are no numbers"
        raise InputError(
            f"The file becomes {problem}, and {show_name(card.title)} takes "
            f"{'x'.join(map(str, card.shape))}. Choose another file, or name its shape as input."
        )
    return inputs


def _read_photo(
    input_size: Any, mean: Iterable[float] | None, std: Iterable[float] | None
) -> Sight:
    try:
        side = read_side(input_size)
    except NetworkError:
        shape = input_size if isinstance(input_size, str | tuple | list) else None
        if shape is None or (sides := read_input(shape)) != (3, sides[-1], sides[-1]):
            raise
        side = sides[-1]
    colours = {
        "mean": read_colours("mean", MEAN if mean is None else mean),
        "std": read_colours("std", STD if std is None else std, least=0.0),
    }
    return Sight((3, side, side), None, {"input_size": side, **colours})


def _read_numbers(
    name: str, values: Iterable[float] | None, count: int, least: float = -np.inf
) -> tuple[float, ...]:
    numbers = () if values is None else tuple(map(float, values))
    if numbers and (len(numbers) != count or not all(least < value < np.inf for value in numbers)):
        raise NetworkError(
            f"{name} has the values {show_name(numbers)}, and an input {count} channels. Give a "
            f"number for each{' above 0' if least == 0 else ''}."
        )
    return numbers


def _normalised(
    way: Callable[..., Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> Preprocess:
    def make(file: Any) -> Tensor:
        values = way(file)
        axes = (-1, *[1] * (values.ndim - 1))
        values = values - torch.tensor(mean).reshape(axes) if mean else values
        return values / torch.tensor(std).reshape(axes) if std else values

    return make
