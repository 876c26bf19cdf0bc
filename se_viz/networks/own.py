"""Weights that users bring: read without running anything, checked against an architecture, kept
if they wish.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from se_viz.devices import choose_device
from se_viz.errors import CheckpointError, NetworkError
from se_viz.names import show_name
from se_viz.networks.architectures import build, shapes
from se_viz.networks.blueprints import find_architecture
from se_viz.networks.cache import find_files, own_folder
from se_viz.networks.card import MAX_LABEL, NetworkCard
from se_viz.networks.checkpoints import read_cards
from se_viz.networks.cost import measure_cost
from se_viz.networks.filling import Fit, Plan, fill, find_fit, read_content
from se_viz.networks.labels import numbered_classes
from se_viz.networks.listing import Listing, read_listing
from se_viz.networks.network import Network
from se_viz.networks.onnx.loading import LIBRARY, SUFFIX, file_of
from se_viz.networks.stems import name_network
from se_viz.networks.weights import save_checkpoint, save_file
from se_viz.networks.zoo import OWN

_MARK = ".visit"
_ADVICE = "Choose the architecture they were trained with, or correct the file."


def read_own(
    source: bytes | Path,
    architecture: str,
    *,
    labels: Sequence[str] = (),
    device: str | None = None,
    name: str = "",
    multi_label: bool = False,
    watch: Callable[[], None] = lambda: None,
) -> Network:
    """Load a user's weights into an architecture, with as many classes as their classifier has.

    ``source`` is a safetensors file or what ``torch.save`` wrote, or its bytes (then ``name`` is
    what messages call it). The network's tensors may lie in it under any prefix, beside anything
    else; the card's ``notes`` say what was chosen or left out. ``architecture`` is a name that
    `find_architecture` knows, such as ``timm/seresnet50``. Without ``labels`` classes are numbered.
    With ``multi_label`` each class has a probability of its own, as one alone always has. Nothing
    in the file is run, it is read in a process of its own, and nothing is kept: see `keep`.
    ``watch`` is called while that works, and may raise.

    Raises:
        NetworkError: there is no such architecture.
        CheckpointError: the file cannot be read, or does not fit.
        DeviceError: the device is not on this machine.
    """
    name = name or (source.name if isinstance(source, Path) else "The file")
    title = show_name(name)
    place = choose_device(device).device
    card = find_architecture(architecture)
    content = read_content(source, title)
    listing = read_listing(content, title, watch=watch)
    fit = _find(listing, card)
    _check_labels(labels, fit.classes)
    model = build(card, num_classes=fit.classes)
    fill(model, listing, fit, _ADVICE)
    stem = name_network(name, content, (card.name, *labels, *(["multi-label"] * multi_label)))
    own = replace(
        _own_card(card, stem, labels, fit.classes), **asdict(measure_cost(model, card.input_size))
    )
    own = replace(own, notes=fit.notes, multi_label=multi_label)
    return Network(model.eval().requires_grad_(False).to(place), own, place)


def keep(network: Network, *, for_now: bool = False) -> NetworkCard:
    """Keep a user's network in the cache folder, in its own precision.

    Return its card, by whose name it loads.

    One that is kept ``for_now`` goes with this process, at the latest: see `forget_left`.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    card = replace(network.card, name=network.card.name.removeprefix(OWN))
    try:
        card = _save(network, card, for_now=for_now)
    except OSError as error:
        raise CheckpointError(
            f"The weights cannot be kept in {own_folder()}: {error.strerror}. Make room there, or "
            "name another folder with SE_VIZ_CACHE."
        ) from error
    return replace(card, name=OWN + card.name)


def _save(network: Network, card: NetworkCard, *, for_now: bool) -> NetworkCard:
    folder = own_folder()
    # The mark first: nothing unmarked may stay behind a process that is killed in between.
    if for_now and not (folder / f"{card.name}.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{card.name}{_MARK}").write_text(str(os.getpid()))
    elif not for_now:
        (folder / f"{card.name}{_MARK}").unlink(missing_ok=True)
    if card.library == LIBRARY:
        return save_file(file_of(network), card, folder, suffix=SUFFIX)
    return save_checkpoint(network.model, card, folder, half=False)


def count_bytes(network: Network) -> int:
    """Return how many bytes the weights of a network take."""
    return sum(value.nbytes for value in network.model.state_dict().values())


def is_kept(name: str) -> bool:
    """Tell whether a network was kept, for now or for good."""
    return os.path.exists(own_folder() / f"{name.removeprefix(OWN)}.json")


def is_for_now(name: str) -> bool:
    """Tell whether a network was kept for the time that somebody uses it."""
    return os.path.exists(own_folder() / (name.removeprefix(OWN) + _MARK))


def forget(name: str) -> None:
    """Delete a network that `keep` has kept.

    Raises:
        NetworkError: there is none of this name.
    """
    names = {OWN + card.name: card.name for card in read_cards(own_folder())}
    if name not in names:
        raise NetworkError(
            f"No network {show_name(name)!r} was kept. Choose one of: {', '.join(names) or 'none'}."
        )
    _delete(names[name])


def forget_left() -> None:
    """Delete what was kept for now by processes that are gone: a server that was killed could
    not.
    """
    for mark in find_files(own_folder(), f"*{_MARK}"):
        try:
            process = mark.read_text()
        except (OSError, ValueError):
            continue
        if not process.isdecimal() or not _runs(int(process)):
            _delete(mark.name.removesuffix(_MARK))


def _delete(stem: str) -> None:
    # The mark last: what is left of a kill in between is still known to be nobody's.
    for suffix in (".json", ".safetensors", SUFFIX, _MARK):
        (own_folder() / (stem + suffix)).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if sys.platform == "win32":
        # There is no such question to ask; the files stay until somebody removes them.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _find(listing: Listing, card: NetworkCard) -> Fit:
    # The tensors of the classifier are those whose shape depends on the number of classes.
    ten, eleven = (shapes(card, num_classes=count).state_dict() for count in (10, 11))
    free = {
        name: _differing(ten[name], eleven[name])
        for name in ten
        if ten[name].shape != eleven[name].shape
    }
    return find_fit(listing, Plan(ten, card.architecture, _ADVICE, free))


def _differing(first: Tensor, second: Tensor) -> int:
    return next(axis for axis, side in enumerate(first.shape) if side != second.shape[axis])


def _check_labels(labels: Sequence[str], count: int) -> None:
    if labels and len(labels) != count:
        raise CheckpointError(
            f"The list has {len(labels)} labels, and the classifier {count} classes. Write one "
            "label a line, in the order of the classes."
        )
    if long := [label for label in labels if len(label) > MAX_LABEL]:
        raise CheckpointError(
            f"The label {show_name(long[0])} has {len(long[0])} letters, more than {MAX_LABEL}. "
            "Write one label a line."
        )


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
