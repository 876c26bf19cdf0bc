"""Bundles as files: one zip of numbers and words, written whole and read with care."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from se_viz.confined import Bounds, ConfinedError, run_confined
from se_viz.errors import BundleError
from se_viz.files import check_name, read_file, told, write_file
from se_viz.names import show_name
from se_viz.replay.forms import settings_from_json
from se_viz.replay.opening import ARRAYS, FORMAT, PHOTO, SCRIPT, SETTINGS
from se_viz.replay.records import Answers, Bundle

MAX_BYTES = 128 << 20
"""Largest bundle that is read."""
_BOUNDS = Bounds(memory=1 << 30, seconds=20, result=256 << 20)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every member: equal bundles are equal files."""
_SCRIPT = Path(__file__).with_name("script.py.txt")


def write_bundle(path: Path | str, bundle: Bundle) -> None:
    """Write a bundle as a ``.zip`` file, beside an older one and renamed.

    Raises:
        DataError: the ending is another one, or the file cannot be written.
    """
    path = Path(path)
    check_name(path, (".zip",))
    with told(path):
        write_file(path, bundle_bytes(bundle))


def bundle_bytes(bundle: Bundle) -> bytes:
    """Return the content of a bundle's file."""
    answers = bundle.answers
    arrays = {
        "gates.npz": dict(answers.gates),
        "logits.npz": {"logits": answers.logits},
        "maps.npz": {f"{number:04}": values for number, values in enumerate(answers.maps)},
    }
    settings = {"format": FORMAT, **_plain(asdict(bundle.settings))}
    settings["versions"] = dict(bundle.settings.versions)
    members = {
        SETTINGS: json.dumps(settings, indent=2).encode(),
        SCRIPT: _SCRIPT.read_bytes(),
        **{name: _pack(values) for name, values in arrays.items()},
        **({} if bundle.content is None else {PHOTO: bundle.content}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            target.writestr(info, content)
    return file.getvalue()


def read_bundle(source: Path | str | bytes, *, watch: Callable[[], None] = lambda: None) -> Bundle:
    """Read a bundle, also one that a stranger wrote: nothing in it is run.

    It is opened in a process of its own, within bounds of memory, time and size. ``watch`` is
    called while that works, and may raise.

    Raises:
        BundleError: it is none, damaged, too large, or of another version.
    """
    content = source if isinstance(source, bytes) else _content(Path(source))
    if len(content) > MAX_BYTES:
        raise BundleError(
            f"The file has {len(content) / 1e6:.0f} MB, more than the {MAX_BYTES / 1e6:.0f} MB of "
            "a replay bundle. Name another file."
        )
    try:
        output = run_confined("se_viz.replay.opening:open_bundle", content, _BOUNDS, watch=watch)
    except ConfinedError as error:
        raise BundleError(
            "The bundle cannot be read: it is damaged, or takes more memory or time than any "
            f"honest one ({error.reason}). Make it again."
        ) from error
    return _assemble(bytes(output))


def _content(path: Path) -> bytes:
    try:
        return read_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(f"{path} cannot be read: {reason}. Check the name.") from error


def _assemble(output: bytes) -> Bundle:
    line, _, rest = output.partition(b"\n")
    head = json.loads(line)
    arrays: dict[str, dict[str, np.ndarray]] = {member: {} for member in ARRAYS}
    place = 0
    for member, name, shape in head["arrays"]:
        count = prod(shape)
        array = np.frombuffer(rest, np.float32, count, place).reshape(shape)
        arrays[member][name] = array
        place += array.nbytes
    content = None if head["photo"] is None else rest[place : place + head["photo"]]
    settings = settings_from_json(head["settings"])
    return Bundle(settings, _answers(arrays, len(settings.maps)), content)


def _answers(arrays: Mapping[str, Mapping[str, np.ndarray]], count: int) -> Answers:
    gates, logits, maps = (arrays[member] for member in ARRAYS)
    names = [f"{number:04}" for number in range(count)]
    if [*logits] != ["logits"] or logits["logits"].ndim != 1:
        _refuse("logits.npz", logits)
    if not gates or any(gate.ndim != 1 for gate in gates.values()):
        _refuse("gates.npz", gates)
    if sorted(maps) != names or any(values.ndim != 2 for values in maps.values()):
        _refuse("maps.npz", maps)
    return Answers(dict(gates), logits["logits"], tuple(maps[name] for name in names))


def _refuse(member: str, arrays: Mapping[str, np.ndarray]) -> None:
    shapes = ", ".join(f"{show_name(name)} {array.shape}" for name, array in arrays.items())
    raise BundleError(
        f"{member} of the bundle holds other arrays than its settings say ({show_name(shapes)}). "
        "Make the bundle again."
    )


def _pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    # Not `np.savez`: the date of its members is that of the run.
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(
                part, np.ascontiguousarray(array, np.float32), version=(1, 0), allow_pickle=False
            )
            target.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), part.getvalue())
    return file.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
