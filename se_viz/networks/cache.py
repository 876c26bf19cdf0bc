"""The folder that downloads and uploaded weights are kept in: where it is, what is in it, emptying
it.
"""

import glob
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that se_viz keeps files in: ``SE_VIZ_CACHE``, else ``se_viz`` in the
    user's cache folder.
    """
    if folder := os.environ.get("SE_VIZ_CACHE"):
        return Path(os.path.expanduser(folder))
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "se_viz"
    try:
        return Path.home() / ".cache" / "se_viz"
    except RuntimeError:
        # A user without a home, as some containers have.
        return Path(tempfile.gettempdir()) / "se_viz"


def files_folder() -> Path:
    """Return where files downloaded from an address lie (torch hub's client)."""
    return cache_folder() / "torch"


def hub_folder() -> Path:
    """Return where repositories of the hub lie (Hugging Face's client)."""
    return cache_folder() / "huggingface"


def own_folder() -> Path:
    """Return where weights that users brought lie, each beside its card."""
    return cache_folder() / "own"


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Return what fits a pattern in a folder.

    One that is not there or may not be read has nothing.
    """
    # Not `Path.glob`, which raises where a folder may not be looked into, or has too long a name.
    return [folder / name for name in sorted(glob.glob(pattern, root_dir=folder))]


def cache_bytes() -> int:
    """Return what the downloads take on disk."""
    return sum(_bytes(folder) for folder in (files_folder(), hub_folder()))


def empty_cache() -> int:
    """Delete every download; return how many bytes that freed. Weights that users brought stay."""
    freed = cache_bytes()
    for folder in (files_folder(), hub_folder()):
        shutil.rmtree(folder, ignore_errors=True)
    return freed - cache_bytes()


def _bytes(folder: Path) -> int:
    # Links of the hub's snapshots point to files that are counted themselves; a download may end
    # just now.
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.lstat(Path(place, name))
                size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size
