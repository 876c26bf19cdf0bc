"""Networks that users bring as ONNX files.

A file is read, simplified, converted and compared with onnxruntime in a child process; what that
leaves is converted once more here, and no code of the file's author ever runs.

Why: docs/decisions/047-onnx-files.md
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from se_viz.confined import Bounds, ConfinedError, run_confined
from se_viz.devices import choose_device
from se_viz.errors import CheckpointError, NetworkError
from se_viz.files import read_file
from se_viz.inputs import Preprocess
from se_viz.names import show_name
from se_viz.networks.card import NetworkCard
from se_viz.networks.cost import count_cost
from se_viz.networks.labels import imagenet_classes, numbered_classes
from se_viz.networks.network import Network
from se_viz.networks.onnx.guesses import NORMALISATIONS, Guess
from se_viz.networks.sources import suggest_way
from se_viz.networks.stems import name_network
from se_viz.networks.views import Sight, read_view
from se_viz.networks.zoo import OWN

MAX_BYTES = 2**30
"""Largest file that is read."""
SUFFIX = ".onnx"
LIBRARY = "onnx"
"""What the cards of these networks say of who builds them."""
_TASKS = "se_viz.networks.onnx.child"
_LOOK = Bounds(memory=3 * 2**30, seconds=30, result=16 * 2**20)
_PREPARE = Bounds(memory=8 * 2**30, seconds=120, result=2**30 + 2**24)
_files: "WeakKeyDictionary[nn.Module, bytes]" = WeakKeyDictionary()


def look_at_onnx(
    source: bytes | Path, *, name: str = "", watch: Callable[[], None] = lambda: None
) -> Guess:
    """Return what an ONNX file seems to take, for a user to confirm.

    Raises:
        CheckpointError: it cannot be read, or holds no network of one input.
    """
    title = _title(source, name)
    output = _run("look", _content(source, title), title, _LOOK, watch)
    values = json.loads(bytes(output))
    lists = {name: tuple(values[name]) for name in ("labels", "shape")}
    return Guess(**{**values, **lists})


def read_onnx(
    source: bytes | Path,
    *,
    size: int | None = None,
    shape: Sequence[int] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels_last: bool | None = None,
    labels: Sequence[str] = (),
    multi_label: bool | None = None,
    preprocess: Preprocess | str | None = None,
    device: str | None = None,
    name: str = "",
    watch: Callable[[], None] = lambda: None,
) -> Network:
    """Load the network of an ONNX file: architecture and weights, and no code.

    It takes one image of three colours, (batch, 3, size, size) or channels last, or inputs of
    another ``shape``, (channels, *sides), that ``preprocess`` makes of a file, see
    `Network.from_model`; and answers one logit a class. A softmax or sigmoid at its end is cut off,
    and each class is a yes or no of its own where it was a sigmoid (``multi_label`` says
    otherwise). What is not given is read off the file: ``size``, ``shape``, ``labels``, whether
    pixels are to be normalised by ImageNet's ``mean`` and ``std``, and whether the file takes
    (batch, height, width, channels), ``channels_last``; ``shape`` is channels first in both cases.
    Its answers agree with onnxruntime's on noise to a thousandth of the largest.

    Raises:
        CheckpointError: the file cannot be read or converted, or answers otherwise.
        NetworkError: its inputs are no photos, and nothing says what makes them.
        NoSEBlocksError: it has no SE block.
        DeviceError: the device is not on this machine.
    """
    title = _title(source, name)
    place = choose_device(device).device
    content = _content(source, title)
    guess = look_at_onnx(content, name=title, watch=watch)
    if channels_last is not None:
        guess = guess.laid(channels_last)
    sight = _see(guess, title, size=size, shape=shape, norm=(mean, std), preprocess=preprocess)
    options = {"shape": [*sight.shape], "channels_last": guess.channels_last}
    output = _run("prepare", content, title, _PREPARE, watch, **options)
    head, _, ready = bytes(output).partition(b"\n")
    found = json.loads(head)
    model = _convert(ready, channels_last=guess.channels_last)
    named = tuple(labels or guess.labels)
    told = "" if sight.way is None else f" {sight.details['preprocess']}"
    stem = name_network(title, ready, (*named, f"{mean} {std} {multi_label}{told}"))
    card = NetworkCard(
        name=OWN + stem,
        title=f"{stem} (ONNX)",
        architecture="ONNX",
        arguments={"channels_last": guess.channels_last},
        classes=_classes(named, found["answer"], title),
        **sight.details,
        top1=None,
        library=LIBRARY,
        date=datetime.now(UTC).date().isoformat(),
        notes=_notes(found),
        multi_label=found["cut"] == "Sigmoid" if multi_label is None else multi_label,
        data="your own network",
        **dict.fromkeys(("evaluated_with", "trained_with", "sha256", "licence"), ""),
        parameters=0,
    )
    # Counted once it is known which blocks it has.
    Network(model.to(place), card, place, sight.way)
    card = replace(card, **asdict(count_cost(model, sight.shape)))
    _files[model] = ready
    return Network(model, card, place, sight.way)


def _see(
    guess: Guess,
    title: str,
    *,
    size: int | None,
    shape: Sequence[int],
    norm: tuple[Sequence[float] | None, Sequence[float] | None],
    preprocess: Preprocess | str | None,
) -> Sight:
    """Return what a network sees, by what is given and what the file says."""
    mean, std = norm
    if preprocess is not None and preprocess != "rgb":
        return read_view(tuple(shape) or guess.shape, mean, std, preprocess)
    if not guess.photo or (shape and (len(shape) != 3 or shape[0] != 3)):
        own = "x".join(str(side or "?") for side in shape or guess.shape)
        raise NetworkError(
            f"{title} takes inputs of {own}, which are no photos of three colours. Say what makes "
            f"them of a file, e.g. preprocess {suggest_way(tuple(shape) or guess.shape)}."
        )
    usual = NORMALISATIONS[guess.normalisation]
    side = size or (shape[-1] if shape else guess.size)
    return read_view(side, mean or usual[0], std or usual[1], None)


def file_of(network: Network) -> bytes:
    """Return the simplified file that a network was made of."""
    return _files[network.model]


def build_onnx(card: NetworkCard, folder: Path) -> nn.Module:
    """Return the module of a file that was kept, checked against its card.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = folder / f"{card.name}{SUFFIX}"
    try:
        ready = read_file(path, _PREPARE.result)
    except OSError as error:
        raise CheckpointError(
            f"{path.name} cannot be read: {error.strerror}. Bring the network again."
        ) from error
    if hashlib.sha256(ready).hexdigest() != card.sha256:
        raise CheckpointError(f"{path.name} was changed. Remove it, and bring the network again.")
    model = _convert(ready, channels_last=bool(card.arguments.get("channels_last")))
    _files[model] = ready
    return model


def _convert(ready: bytes, *, channels_last: bool) -> nn.Module:
    import onnx

    from se_viz.networks.onnx.conversion import convert_model

    return convert_model(onnx.load_model_from_string(ready), channels_last=channels_last)


def _run(
    task: str,
    content: bytes,
    title: str,
    bounds: Bounds,
    watch: Callable[[], None],
    **options: Any,
) -> memoryview:
    try:
        return run_confined(
            f"{_TASKS}:{task}", content, bounds, watch=watch, title=title, **options
        )
    except ConfinedError as error:
        what = {
            "memory": f"more than {bounds.memory // 2**30} GB of memory",
            "time": f"more than {bounds.seconds} seconds",
            "size": "more room than its own size",
            "nesting": "deeper nesting than any network's",
        }.get(error.reason, "a library to its end")
        raise CheckpointError(
            f"{title} takes {what} to read: it is damaged, or made to do harm. Export the network "
            "anew, as one file for inference."
        ) from error


def _content(source: bytes | Path, title: str) -> bytes:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size <= MAX_BYTES:
            return source if isinstance(source, bytes) else read_file(source, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{title} cannot be read: {reason}. Check the name.") from error
    raise CheckpointError(
        f"{title} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.1f} GB that se_viz "
        "reads. Export a smaller network."
    )


def _title(source: bytes | Path, name: str) -> str:
    return show_name(name or (source.name if isinstance(source, Path) else "The file"))


def _classes(labels: tuple[str, ...], answer: Sequence[int], title: str) -> tuple[str, ...]:
    count = answer[-1] if answer else 1
    if labels and len(labels) != count:
        raise CheckpointError(
            f"The list has {len(labels)} labels, and {title} answers with {count} values. Write "
            "one label a line, in the order of the classes."
        )
    return labels or (imagenet_classes(count) if count == 1000 else numbered_classes(count))


def _notes(found: dict[str, Any]) -> str:
    words = f"Its answers differ from onnxruntime's by {found['difference']:.1g} of the largest."
    if found["cut"]:
        words += f" The {found['cut'].lower()} at its end was cut off: answers are logits."
    return words
