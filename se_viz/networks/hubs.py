"""Where the zoo's weights come from: torch hub's and Hugging Face's own clients, and the hashes
they promise.
"""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from se_viz.networks.cache import files_folder, find_files, hub_folder
from se_viz.networks.card import NetworkCard

# In this order, as timm asks for them.
_NAMES = ("model.safetensors", "pytorch_model.bin")
_PROMISED = re.compile(r"-([a-f0-9]{8,64})\.")
"""torch hub's way: the file's name ends in the first digits of its SHA-256."""
_SHA256 = re.compile(r"[a-f0-9]{64}")

Count = Callable[[int], object]
"""Called with the number of bytes that have come since the last call."""


class DamagedError(Exception):
    """A file that is not the one its source promised."""


def find_weights(card: NetworkCard) -> Path | None:
    """Return where the weights of a network of the zoo lie on this disk, or None."""
    if from_address(card):
        paths = [files_folder() / Path(card.source).name]
    else:
        folder = repository_folder(card) / "snapshots"
        paths = [path for name in _NAMES for path in find_files(folder, f"*/{name}")]
    return next((path for path in paths if os.path.isfile(path)), None)


def repository_folder(card: NetworkCard) -> Path:
    """Return the folder that Hugging Face's client gives to a network's repository."""
    return hub_folder() / local_name(card)


def local_names() -> set[str]:
    """Name every file and repository of which something may be on this disk: two looks, for
    hundreds of networks.
    """
    names: set[str] = set()
    for folder in (files_folder(), hub_folder()):
        # A cache that is not there, or may not be read, has nothing that can be used.
        with suppress(OSError):
            names.update(os.listdir(folder))
    return names


def local_name(card: NetworkCard) -> str:
    """Return the name that a network would have among `local_names`."""
    # No path is made of it: the app asks for hundreds at every run.
    return (
        card.source.rpartition("/")[2]
        if from_address(card)
        else f"models--{card.source.replace('/', '--')}"
    )


def from_address(card: NetworkCard) -> bool:
    """Tell whether the weights are one file at an address (torch hub), not a repository of the
    hub.
    """
    return "://" in card.source


def hub_address() -> str:
    """Return the address of the hub; ``HF_ENDPOINT`` names another one, such as a mirror."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def fetch_file(card: NetworkCard) -> Path:
    """Download one file by torch hub's client, which writes beside it and renames once the hash is
    right.
    """
    import torch

    path = files_folder() / Path(card.source).name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(card.source, str(path), promise(path), progress=False)
    return path


def fetch_repository(card: NetworkCard, count: Count) -> Path:
    """Download the weights of a repository by Hugging Face's client, and compare them with the
    hub's hash.
    """
    from huggingface_hub import hf_hub_download

    name, digest = _ask(card.source)
    path = Path(
        hf_hub_download(
            card.source,
            name,
            cache_dir=hub_folder(),
            endpoint=hub_address(),
            token=False,
            tqdm_class=_counter(count),
        )
    )
    _compare(path, digest)
    return path


def check_hash(card: NetworkCard, path: Path) -> None:
    """Compare a file on disk with the hash in its name, which its source promised.

    Raises:
        DamagedError: it is another one.
    """
    # The hub's client names a file by its hash and links to it; where there are no links, nothing
    # can be compared.
    promised = promise(path) if from_address(card) else path.resolve().name
    if promised and (from_address(card) or _SHA256.fullmatch(promised)):
        _compare(path, promised)


def promise(path: Path) -> str | None:
    """Return the first digits of a file's SHA-256, as its name promises them in torch hub's way."""
    match = _PROMISED.search(path.name)
    return match.group(1) if match else None


def _compare(path: Path, promised: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(promised):
        raise DamagedError(f"{digest[:12]}… instead of {promised[:12]}…")


def _ask(repository: str) -> tuple[str, str]:
    """Return the name of a repository's weights and their SHA-256."""
    from huggingface_hub.errors import EntryNotFoundError

    new, old = _NAMES
    try:
        return new, _digest(repository, new)
    except EntryNotFoundError:
        return old, _digest(repository, old)


def _digest(repository: str, name: str) -> str:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    # One question without retries: with no network the answer comes at once.
    address = hf_hub_url(repository, name, endpoint=hub_address())
    answer = get_hf_file_metadata(address, token=False, endpoint=hub_address())
    if not _SHA256.fullmatch(answer.etag or ""):
        raise DamagedError("the hub states no SHA-256")
    return str(answer.etag)


def _counter(count: Count) -> Any:
    from tqdm import tqdm

    class Counter(tqdm):
        """A progress bar that draws nothing and passes on what has come."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: int | float | None = 1) -> None:
            count(int(n or 0))

    return Counter
