"""Weights on disk: safetensors beside a JSON card, checked before use.

The only code that reads weights.

Why: docs/decisions/036-weights-are-safetensors.md
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from se_viz.errors import CheckpointError
from se_viz.files import replace_file, write_file
from se_viz.names import show_name
from se_viz.networks import checkpoints
from se_viz.networks.card import NetworkCard, card_to_json
from se_viz.networks.listing import read_listing


def save_checkpoint(
    model: nn.Module, card: NetworkCard, folder: Path, *, half: bool = True
) -> NetworkCard:
    """Write ``<name>.safetensors`` (half precision) and ``<name>.json``.

    Return the card with its hash.
    """
    content = save(
        {name: _written(tensor, half=half) for name, tensor in model.state_dict().items()}
    )
    return save_file(content, card, folder, suffix=".safetensors")


def save_file(content: bytes, card: NetworkCard, folder: Path, *, suffix: str) -> NetworkCard:
    """Write a file and its card beside it; return the card with the hash of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    card = replace(card, sha256=hashlib.sha256(content).hexdigest())
    # Both whole before either takes its place: a full disk leaves older ones that fit each other,
    # and between the two renames there is next to no time.
    with replace_file(folder / f"{card.name}.json") as file:
        file.write((json.dumps(card_to_json(card), indent=2) + "\n").encode())
        file.flush()
        write_file(folder / f"{card.name}{suffix}", content)
    return card


def hash_weights(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights and buffers, of their names, kinds and shapes.

    Of what is in memory: wherever it comes from, the same hash answers alike.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().data)
    return digest.hexdigest()


def read_weights(model: nn.Module, card: NetworkCard, folder: Path | None = None) -> None:
    """Fill a model with the weights of a card, in place and in the model's own precision.

    Raises:
        CheckpointError: the file is missing, its hash is another one, or a tensor's name or shape
            does not fit.
    """
    path = (folder or checkpoints.FOLDER) / f"{card.name}.safetensors"
    tensors = _read_tensors(path, card.sha256)
    check_fit(model.state_dict(), tensors, path.name)
    model.load_state_dict(tensors)


def read_tensors(content: bytes, name: str) -> dict[str, Tensor]:
    """Read every tensor of a file that somebody else wrote, under its whole name; no code is run.

    Raises:
        CheckpointError: it is neither a safetensors file nor one of ``torch.save``, or damaged.
    """
    listing = read_listing(content, name)
    listing.check_size(list(listing.entries))
    return {key: listing.take(key) for key in listing.entries}


def _written(tensor: Tensor, *, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(
            f"The weights {path.name} are not in {path.parent}. Restore the file beside its card."
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise CheckpointError(
            f"{path.name} has the hash {digest[:12]}…, its card says {sha256[:12]}…: the file is "
            "damaged or was replaced. Restore both files from the same source."
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path.name} is no safetensors file ({error}). Restore the file."
        ) from error


def check_fit(
    expected: Mapping[str, Tensor],
    actual: Mapping[str, Tensor],
    name: str,
    *,
    advice: str = "Correct the card or the weights.",
) -> None:
    """Compare the tensors of a file with those of a network, by name, shape and finite values.

    Raises:
        CheckpointError: they differ; the first three differences are named.
    """
    problems = differences(_shapes(expected), _shapes(actual))
    # Of the right shape only: a tensor may claim a size that no memory holds.
    problems += [
        f"{show_name(key)} holds values that are not finite"
        for key in expected.keys() & actual.keys()
        if actual[key].shape == expected[key].shape and not _finite(actual[key])
    ]
    refuse(problems, name, advice)


def differences(
    expected: Mapping[str, tuple[int, ...]], actual: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return how tensors of a file differ from those of a network, by name and shape."""
    return [
        *(f"{key} is missing" for key in expected.keys() - actual.keys()),
        *(
            f"{show_name(key)} is not part of the network"
            for key in actual.keys() - expected.keys()
        ),
        *(
            f"{key} has shape {show_name(actual[key])} instead of {expected[key]}"
            for key in expected.keys() & actual.keys()
            if actual[key] != expected[key]
        ),
    ]


def refuse(problems: list[str], name: str, advice: str) -> None:
    """Name the first three problems of a file, if it has any.

    Raises:
        CheckpointError: it has.
    """
    if problems:
        sentences = "; ".join(sorted(problems)[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{name} does not fit its architecture: {sentences}{more}. {advice}")


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in tensors.items()}


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
