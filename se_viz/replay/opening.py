"""What a stranger's bundle holds: run by a child process with limits, free of PyTorch.

Nothing in it is run. The result is one line of JSON, then the bytes of every array and the photo.
"""

import io
import json
import zipfile
import zlib
from math import prod
from typing import Any

import numpy as np

from se_viz.errors import BundleError
from se_viz.names import show_name

SETTINGS = "settings.json"
SCRIPT = "replay.py"
PHOTO = "photo"
ARRAYS = ("gates.npz", "logits.npz", "maps.npz")
FORMAT = 1
"""Version of what is written."""
_MEMBERS = {SETTINGS: 4 << 20, SCRIPT: 1 << 20, PHOTO: 20 << 20, "README.txt": 1 << 20}
_MEMBERS |= dict.fromkeys(ARRAYS, 64 << 20)
"""Every member that is read or passed over, and the most bytes that it may have."""
_MOST = 4096
"""Arrays of one member."""
_HEADER = 4096
_AGAIN = "Make the bundle again with `Replay bundle` on the page Explore."


def open_bundle(content: memoryview, out: io.BufferedIOBase) -> None:
    """Check a bundle, and write what is in it in a form that needs no care.

    Raises:
        BundleError: it is none, damaged, or made to do harm.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            _check_members(bundle)
            settings = _read_settings(_read(bundle, SETTINGS))
            arrays = {member: _read_arrays(_read(bundle, member), member) for member in ARRAYS}
            photo = _read(bundle, PHOTO) if PHOTO in bundle.namelist() else None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError) as error:
        raise BundleError(
            f"The file is no replay bundle, or it is damaged: {show_name(error)}. {_AGAIN}"
        ) from error
    except NotImplementedError as error:
        raise BundleError(
            f"The bundle is packed in a way that is not read ({show_name(error)}). {_AGAIN}"
        ) from error
    entries = [
        [member, name, list(array.shape)]
        for member, values in arrays.items()
        for name, array in values.items()
    ]
    head = {"settings": settings, "arrays": entries, "photo": None if photo is None else len(photo)}
    out.write(json.dumps(head).encode() + b"\n")
    for values in arrays.values():
        for array in values.values():
            out.write(array.tobytes())
    out.write(photo or b"")


def _check_members(bundle: zipfile.ZipFile) -> None:
    infos = bundle.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names) or len(names) > 2 * len(_MEMBERS):
        raise BundleError(f"The bundle has two files of one name, or too many. {_AGAIN}")
    if foreign := [name for name in names if name not in _MEMBERS]:
        raise BundleError(
            f"The bundle holds {show_name(foreign[0])}, which is no part of one. {_AGAIN}"
        )
    if missing := [name for name in (SETTINGS, *ARRAYS) if name not in names]:
        raise BundleError(f"The bundle has no {missing[0]}. {_AGAIN}")
    for info in infos:
        if info.file_size > _MEMBERS[info.filename]:
            raise BundleError(
                f"{info.filename} of the bundle has {info.file_size / 1e6:.0f} MB, more than the "
                f"{_MEMBERS[info.filename] / 1e6:.0f} MB that are read. {_AGAIN}"
            )
        if info.flag_bits & 1:
            raise BundleError(f"The bundle is locked with a password. {_AGAIN}")


def _read(bundle: zipfile.ZipFile, name: str) -> bytes:
    limit = _MEMBERS[name]
    with bundle.open(name) as file:
        # Not what its head claims: no more than is allowed is unpacked.
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleError(f"{name} of the bundle is larger than it says. {_AGAIN}")
    return content


def _read_settings(content: bytes) -> dict[str, Any]:
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{SETTINGS} of the bundle is no readable JSON ({show_name(error)}). {_AGAIN}"
        ) from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise BundleError(
            f"{SETTINGS} of the bundle has another form than version {FORMAT}, which this se_viz "
            "reads. Update se_viz, or make the bundle again."
        )
    return settings


def _read_arrays(content: bytes, member: str) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    limit = _MEMBERS[member]
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        infos = file.infolist()
        if len(infos) > _MOST or sum(info.file_size for info in infos) > limit:
            raise BundleError(f"{member} of the bundle holds too much. {_AGAIN}")
        for info in infos:
            with file.open(info) as source:
                raw = source.read(limit + 1)
            limit -= len(raw)
            if limit < 0:
                raise BundleError(f"{member} of the bundle is larger than it says. {_AGAIN}")
            arrays[info.filename.removesuffix(".npy")] = _read_array(raw, member)
    return arrays


def _read_array(raw: bytes, member: str) -> np.ndarray:
    source = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(source)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(source, max_header_size=_HEADER)
    except ValueError as error:
        raise BundleError(
            f"{member} of the bundle holds no array of numbers ({show_name(error)}). {_AGAIN}"
        ) from error
    # Before any memory is taken for it: a head may claim any shape, or pickled objects.
    if kind != np.float32 or fortran or prod(shape) * 4 != len(raw) - source.tell():
        raise BundleError(
            f"{member} of the bundle holds {show_name(kind)} of shape {show_name(shape)}, and not "
            f"float32 of the size that it has. {_AGAIN}"
        )
    return np.frombuffer(raw, np.float32, offset=source.tell()).reshape(shape)
