"""Networks of one's own, made: by code, of a file, or of weights for an architecture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from se_viz.devices import choose_device
from se_viz.errors import NetworkError
from se_viz.inputs import Preprocess
from se_viz.networks.admission import admit_model, read_colours
from se_viz.networks.callables import call_source, find_answer, find_preprocess
from se_viz.networks.card import NetworkCard
from se_viz.networks.filling import fill_model
from se_viz.networks.labels import read_labels
from se_viz.networks.network import Network
from se_viz.networks.onnx.loading import read_onnx
from se_viz.networks.own import read_own
from se_viz.networks.sources import (
    GIVEN,
    SIDE,
    Form,
    Source,
    check_source,
    form_of,
    suggest_way,
)
from se_viz.networks.views import read_view


def make_network(
    source: Source,
    device: str | None = None,
    *,
    classes: Sequence[str] = (),
    plain: bool = False,
) -> Network:
    """Make a network of one's own, and move it to a device (default: the best there is).

    ``classes`` are names of its classes, where no file has them. With ``plain`` code may make one
    without SE blocks, see `Network.from_model`.

    Raises:
        NetworkError: its code fails, or returns no network that can be shown.
        NoSEBlocksError: it has no SE block that can be read.
        CheckpointError: its weights cannot be read, or do not fit.
        DataError: its labels cannot be read.
        DeviceError: the device is not on this machine.
    """
    check_source(source)
    names = read_labels(Path(source.labels)) if source.labels else tuple(classes)
    if source.sees_files and source.architecture:
        raise NetworkError(
            f"{source.preprocess_shown} makes inputs for code of your own and for ONNX files, and "
            f"{source.shown} is a listed architecture of photos. Leave it out."
        )
    if source.answer and (source.architecture or form_of(source.make) is not Form.CODE):
        raise NetworkError(
            f"The answer {source.answer.partition('=')[0]} is read of code of your own alone, and "
            f"{source.shown} is none. Leave answer out."
        )
    if source.architecture:
        return _of_architecture(source, names, device)
    # The one place that knows who loads which form of a name.
    load = {Form.CODE: partial(_of_code, plain=plain), Form.ONNX: _of_onnx}[form_of(source.make)]
    return load(source, names, device)


def _of_onnx(source: Source, classes: tuple[str, ...], device: str | None) -> Network:
    if source.weights:
        raise NetworkError(
            f"{source.plain} holds its own weights. Leave out --weights, or name code that makes "
            "the network: file.py:callable."
        )
    network = read_onnx(
        Path(source.make),
        size=None if source.sees_files else _side_of(source),
        shape=source.input if source.sees_files else (),
        preprocess=_way_of(source),
        mean=source.mean or None,
        std=source.std or None,
        labels=classes,
        multi_label=source.multi_label or None,
        device=device,
    )
    return _named(network, source, "")


def _of_architecture(source: Source, classes: tuple[str, ...], device: str | None) -> Network:
    network = read_own(
        Path(source.weights),
        source.architecture,
        labels=classes,
        device=device,
        multi_label=source.multi_label,
    )
    changes: dict[str, Any] = {
        "name": source.name,
        "title": source.title or network.card.title,
        "input_size": _side_of(source) or network.card.input_size,
        "mean": read_colours("mean", source.mean) if source.mean else network.card.mean,
        "std": read_colours("std", source.std, least=0.0) if source.std else network.card.std,
    }
    return replace(network, card=replace(network.card, **changes))


def _of_code(
    source: Source, classes: tuple[str, ...], device: str | None, *, plain: bool
) -> Network:
    # First: a device that is not there should be told before somebody's code runs for minutes.
    place = choose_device(device).device
    made = call_source(source)
    model = admit_model(made.model if isinstance(made, Network) else made)
    notes = fill_model(model, Path(source.weights), source.shown) if source.weights else ""
    model = model.eval().requires_grad_(False).to(place)
    if isinstance(made, Network):
        if source.answer:
            raise NetworkError(
                f"{source.shown} returns a se_viz.Network, which says itself what its answer is. "
                "Leave answer out, or give `Network.from_model` the answer there."
            )
        network = _of_network(made, model, source, classes=classes, plain=plain)
        return _named(network, source, notes)
    _check_photo(source)
    network = Network.from_model(
        model,
        classes=classes,
        input_size=source.input or SIDE,
        mean=source.mean or None,
        std=source.std or None,
        multi_label=source.multi_label,
        preprocess=_way_of(source),
        answer=find_answer(source) if source.answer else "classes",
        plain=plain,
    )
    return _named(network, source, notes)


def _way_of(source: Source) -> Preprocess | str | None:
    if not source.sees_files:
        return None
    ready = source.preprocess == source.preprocess_shown
    return source.preprocess if ready else find_preprocess(source)


def _of_network(
    made: Network, model: nn.Module, source: Source, *, classes: tuple[str, ...], plain: bool
) -> Network:
    """Return a network that code has made itself, with what the source says otherwise."""
    changes: dict[str, Any] = {"classes": classes, "multi_label": source.multi_label}
    way = made.way
    if source.input or source.mean or source.std or source.sees_files:
        own = made.card
        way = _way_of(source) or way
        # What a way of its own normalises with is part of it.
        mean, std = (own.mean, own.std) if way is None else ((), ())
        sight = read_view(
            source.input or own.shape, source.mean or mean or None, source.std or std or None, way
        )
        way = sight.way
        changes |= sight.details
    changes = {name: value for name, value in changes.items() if value}
    place = next((value.device for value in model.parameters()), made.device)
    return Network(model, replace(made.card, **changes), place, way, plain=plain)


def _named(network: Network, source: Source, notes: str) -> Network:
    """Return a network under the name that its source is listed by."""
    own = network.card
    details = {
        "title": source.title or (source.plain if own.title == own.name else own.title),
        "architecture": source.plain,
        "library": GIVEN,
        "data": own.data or source.origin,
        "preprocess": source.preprocess_shown or own.preprocess,
        "notes": " ".join(filter(None, (own.notes, notes))),
        "blocks": len(network.inspection.sites),
        "parameters": sum(value.numel() for value in network.model.parameters()),
    }
    card: NetworkCard = replace(own, name=source.name, **details)
    return replace(network, card=card)


def _side_of(source: Source) -> int | None:
    if not source.input:
        return None
    channels, *sides = source.input
    if channels != 3 or len(sides) != 2 or sides[0] != sides[1]:
        shape = "x".join(map(str, source.input))
        raise NetworkError(
            f"The input {shape} of {source.shown} is no square of three colours, which is what "
            "photos become here. Give the side of the square, e.g. 224."
        )
    return sides[0]


def _check_photo(source: Source) -> None:
    shape = source.input
    if source.sees_files or not shape or shape == (3, shape[-1], shape[-1]):
        return
    raise NetworkError(
        f"The input {'x'.join(map(str, shape))} of {source.shown} is no square of three colours, "
        "which is what photos become here. Name what makes it of a file, e.g. preprocess "
        f"{suggest_way(shape)}, or give the side of the square."
    )
