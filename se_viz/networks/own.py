"""Weights that users bring: read without running anything, checked against an architecture, kept if they wish."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from se_viz.errors import CheckpointError, NetworkError
from se_viz.networks.architectures import build, shapes
from se_viz.networks.cache import own_folder
from se_viz.networks.card import NetworkCard
from se_viz.networks.checkpoints import check_fit, read_cards, read_tensors, save_checkpoint
from se_viz.networks.cost import measure_cost
from se_viz.networks.labels import numbered_classes
from se_viz.networks.network import Network
from se_viz.networks.resnet import PLANS
from se_viz.networks.zoo import OWN, list_networks
from se_viz.runtime import choose_device

MAX_BYTES = 2**30
"""Largest file of weights that is read."""
_MAX_CLASSES = 100_000
_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema", "net", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_ADVICE = "Choose the architecture they were trained with, or correct the file."


def read_own(
    source: bytes | Path, architecture: str, *, labels: Sequence[str] = (), device: str | None = None, name: str = ""
) -> Network:
    """Load a user's weights into a listed architecture, with as many classes as their classifier has.

    ``source`` is a safetensors file or a state dict that ``torch.save`` wrote, or its bytes (then ``name`` is what
    messages call it). ``architecture`` is a network's name (``timm/seresnet50.ra2_in1k``), or that without its
    weights (``timm/seresnet50``), or a depth of se_viz at full width (``se_resnet50``). Without ``labels`` classes are
    numbered. Nothing in the file is run, and nothing is kept: see `keep`.

    Raises:
        NetworkError: there is no such architecture.
        CheckpointError: the file cannot be read, or does not fit.
        DeviceError: the device is not on this machine.
    """
    name = name or (source.name if isinstance(source, Path) else "The file")
    place = choose_device(device).device
    card = _architecture(architecture)
    content = _content(source, name)
    tensors = _unwrapped(read_tensors(content, name), name)
    count = _count_classes(card, tensors, name)
    _check_labels(labels, count)
    model = build(card, num_classes=count)
    check_fit(model.state_dict(), tensors, name, advice=_ADVICE)
    model.load_state_dict(tensors)
    stem = _stem(name, content, (card.name, *labels))
    own = replace(_own_card(card, stem, labels, count), **asdict(measure_cost(model, card.input_size)))
    return Network(model.eval().requires_grad_(False).to(place), own, place)


def keep(network: Network) -> NetworkCard:
    """Keep a user's network in the cache folder, in its own precision; return its card, by whose name it loads."""
    card = replace(network.card, name=network.card.name.removeprefix(OWN))
    card = save_checkpoint(network.model, card, own_folder(), half=False)
    return replace(card, name=OWN + card.name)


def forget(name: str) -> None:
    """Delete a network that `keep` has kept.

    Raises:
        NetworkError: there is none of this name.
    """
    kept = {OWN + card.name: card.name for card in read_cards(own_folder())}
    if name not in kept:
        raise NetworkError(f"No network {name!r} was kept. Choose one of: {', '.join(kept) or 'none'}.")
    for suffix in (".json", ".safetensors"):
        (own_folder() / (kept[name] + suffix)).unlink(missing_ok=True)


def _content(source: bytes | Path, name: str) -> bytes:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(
                f"{name} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.1f} GB that se_viz reads. "
                "Save the weights alone, without the optimiser, in half precision."
            )
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror}. Check the name.") from error


def _architecture(name: str) -> NetworkCard:
    cards = list_networks()
    for card in cards:
        # With arguments of its own, such as a width, it is not what the architecture's name alone means.
        plain = () if card.arguments else (f"{card.library}/{card.architecture}", card.architecture)
        if name in (card.name, *plain):
            return card
    if name in PLANS:
        usual = next(card for card in cards if card.library == "torchvision")
        return replace(usual, name=name, library="se_viz", architecture=name, weights="", source="")
    raise NetworkError(
        f"There is no architecture {name!r}. Choose the name of a network in `python -m se_viz networks`, or one of: "
        f"{', '.join(PLANS)}."
    )


def _unwrapped(values: dict[str, Any], name: str) -> dict[str, Tensor]:
    while inner := next((values[key] for key in _WRAPPERS if isinstance(values.get(key), dict)), None):
        values = inner
    for prefix in _PREFIXES * 2:
        if values and all(str(key).startswith(prefix) for key in values):
            values = {key.removeprefix(prefix): value for key, value in values.items()}
    odd = next((key for key, value in values.items() if not _plain(value)), None)
    if odd is not None or not values:
        what = f"{odd} is a {type(values[odd]).__name__}" if odd is not None else "it is empty"
        raise CheckpointError(f"{name} is no state dict of plain tensors: {what}. Save `model.state_dict()`.")
    return values


def _plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized


def _count_classes(card: NetworkCard, tensors: dict[str, Tensor], name: str) -> int:
    """Tell the number of classes from the one tensor whose shape depends on it."""
    ten, eleven = (shapes(card, num_classes=count).state_dict() for count in (10, 11))
    known = sum(key in tensors for key in ten)
    heads = [key for key in ten if ten[key].shape != eleven[key].shape]
    head = next((key for key in heads if key in tensors), None)
    if head is None and 2 * known > len(ten):
        raise CheckpointError(
            f"{name} has no classifier: {' and '.join(heads)} are missing, and se_viz explains what a classifier "
            "answers. Save the whole model, with its last layer."
        )
    if head is None or 2 * known < len(ten):
        raise CheckpointError(
            f"{name} holds other weights than {card.architecture}: {known} of its {len(ten)} tensors are in the file. "
            f"{_ADVICE}"
        )
    axis = next(axis for axis, side in enumerate(ten[head].shape) if side != eleven[head].shape[axis])
    count = tensors[head].shape[axis] if tensors[head].ndim > axis else 0
    if not 1 <= count <= _MAX_CLASSES:
        raise CheckpointError(f"{name} has a classifier {head} for {count} classes. {_ADVICE}")
    return count


def _check_labels(labels: Sequence[str], count: int) -> None:
    if labels and len(labels) != count:
        raise CheckpointError(
            f"The list has {len(labels)} labels, and the classifier {count} classes. Write one label a line, in the "
            "order of the classes."
        )


def _stem(name: str, content: bytes, choices: tuple[str, ...]) -> str:
    """Name a network by its file and, so that no cache mixes two up, by a hash of all that makes it."""
    # Of letters and digits only: it becomes the name of a file.
    plain = re.sub(r"\W+", "_", Path(name).stem, flags=re.ASCII).strip("_")[:60] or "weights"
    return f"{plain}-{hashlib.sha256(content + repr(choices).encode()).hexdigest()[:6]}"


def _own_card(card: NetworkCard, stem: str, labels: Sequence[str], count: int) -> NetworkCard:
    return replace(
        card,
        name=OWN + stem,
        title=f"{stem} ({card.architecture})",
        classes=tuple(labels) or numbered_classes(count),
        num_classes=count,
        top1=None,
        source="",
        download_bytes=0,
        data="your own weights",
        evaluated_with="",
        trained_with="",
        date=datetime.now(UTC).date().isoformat(),
        sha256="",
        licence="",
        notes="",
    )
