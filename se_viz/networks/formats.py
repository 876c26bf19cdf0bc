"""What tensors a file of weights holds and where their bytes lie; runs in a child process."""

import io
import itertools
import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from se_viz.errors import CheckpointError
from se_viz.names import show_name
from se_viz.networks.pickles import (
    DTYPES,
    MAX_SIDES,
    MalformedError,
    Odd,
    Other,
    Sketch,
    Unpickler,
    children,
    is_countable,
    refusal,
)

_MAX_TENSORS = 50_000
_MAX_NAME = 500
_MAX_DEPTH = 64
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


class Entry(NamedTuple):
    """One tensor of a file."""

    name: str
    """Whole path in the file: keys of dictionaries and numbers of lists, joined by dots."""
    dtype: str
    """One of `DTYPES`, or a kind that is not read."""
    start: int = 0
    """First byte in the file."""
    shape: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    folder: str = ""
    """Whole path of the dictionary it stands in."""


class Extent(NamedTuple):
    """Where the values of a storage lie."""

    start: int
    size: int


def list_tensors(content: memoryview, out: io.BufferedIOBase, *, title: str) -> None:
    """Write, as JSON, every tensor of a safetensors file or of one that ``torch.save`` wrote.

    A tensor is listed only where the file holds all bytes it looks at. ``root`` is what the
    whole is (``dict``, ``list`` ...), ``others`` are classes that were not read.

    Raises:
        CheckpointError: it is neither, or damaged.
    """
    try:
        # Eight bytes of length, then JSON: no pickle and no archive begins like this.
        if content[8:9] == b"{":
            listing = {"root": "dict", "entries": _safetensors(content, title), "others": []}
        else:
            listing = _saved(content, title)
    except (MemoryError, RecursionError, CheckpointError):
        raise
    except Exception as error:
        raise CheckpointError(refusal(title, "")) from error
    out.write(json.dumps(listing).encode())


def _safetensors(content: memoryview, title: str) -> list[Entry]:
    (length,) = struct.unpack("<Q", content[:8])
    begin = 8 + length
    try:
        if begin > len(content):
            raise MalformedError(f"its header is said to have {length} bytes")
        header = json.loads(bytes(content[8:begin]))
        header.pop("__metadata__", None)
        _check_count(header, title)
        entries = [_stored(name, values, begin) for name, values in header.items()]
        ends = sorted((entry.start, _end(entry, header)) for entry in entries)
        if any(stop > after for (_, stop), (after, _) in itertools.pairwise(ends)):
            raise MalformedError("tensors lie in one another")
        if ends and ends[-1][1] > len(content):
            raise MalformedError("its last tensors are missing")
        return entries
    except CheckpointError:
        raise
    except (MalformedError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = (
            str(error)[:80] if isinstance(error, MalformedError) else "its header cannot be read"
        )
        raise CheckpointError(
            f"{title} is a damaged safetensors file ({reason}). Export it again."
        ) from error


def _stored(name: str, values: dict[str, Any], begin: int) -> Entry:
    shape = tuple(values["shape"])
    start, stop = values["data_offsets"]
    # By `type`: a truth value of JSON is an int, too.
    sized = len(shape) <= MAX_SIDES and all(
        type(side) is int and 0 <= side < 2**48 for side in (*shape, start, stop)
    )
    if not sized or not is_countable(shape):
        raise MalformedError("a size is none")
    dtype = _SAFETENSORS.get(values["dtype"], str(values["dtype"])[:20])
    stride = []
    count = 1
    # Row by row: the last axis is the one without gaps.
    for side in reversed(shape):
        stride.append(count)
        count *= side
    if dtype in DTYPES and count * DTYPES[dtype] != stop - start:
        raise MalformedError("a tensor has another size than its values")
    return Entry(name[:_MAX_NAME], dtype, begin + start, shape, tuple(reversed(stride)))


def _end(entry: Entry, header: dict[str, Any]) -> int:
    # Of kinds that are not read only the header knows the size.
    if entry.dtype not in DTYPES:
        return entry.start
    count = 1
    for side in entry.shape:
        count *= side
    return entry.start + count * DTYPES[entry.dtype]


def _saved(content: memoryview, title: str) -> dict[str, Any]:
    if content[:4] == b"PK\x03\x04":
        value, unpickler, places = _archive(content, title)
    else:
        value, unpickler, places = _legacy(content, title)
    entries = [
        _placed(f"{folder}{key}", tensor, places, title)._replace(folder=folder)
        for folder, key, tensor in _walk(value, title)
        if len(folder) + len(key) <= _MAX_NAME
    ]
    root = value.title if isinstance(value, Other) else type(value).__name__
    root = {"Sketch": "tensor", "Odd": "tensor", "OrderedDict": "dict"}.get(root, root)
    return {"root": root, "entries": entries, "others": [*unpickler.foreign_classes][:20]}


def _walk(root: object, title: str) -> Iterator[tuple[str, str, Sketch | Odd]]:
    """Yield every tensor with its folder and key; what holds itself is gone through once."""
    waiting: list[tuple[str, str, int, object]] = [("", "tensor", 0, root)]
    visited: set[int] = set()
    count = 0
    while waiting:
        folder, key, depth, value = waiting.pop()
        if isinstance(value, (Sketch, Odd)):
            count += 1
            if count > _MAX_TENSORS:
                raise CheckpointError(_too_many(title))
            yield folder, key, value
        elif id(value) not in visited and depth < _MAX_DEPTH and len(folder) <= _MAX_NAME:
            visited.add(id(value))
            inside = f"{folder}{key}." if depth else ""
            # Last in, first out: the file's order stays.
            waiting += reversed(
                [(inside, name, depth + 1, item) for name, item in _named(value)],
            )


def _named(value: object) -> Iterator[tuple[str, object]]:
    """Yield what may hold tensors, under keys that may be parts of names."""
    for key, item in children(value):
        if not isinstance(item, (Sketch, Odd, dict, list, tuple, Other)):
            continue
        if isinstance(key, str):
            yield key[: _MAX_NAME + 1], item
        elif type(key) is int and abs(key) < 10**9:
            yield str(key), item


def _check_count(values: object, title: str) -> None:
    if isinstance(values, dict) and len(values) > _MAX_TENSORS:
        raise CheckpointError(_too_many(title))


def _too_many(title: str) -> str:
    return (
        f"{title} holds more than {_MAX_TENSORS} tensors, and no network has so many. Save "
        "`model.state_dict()` alone."
    )


def _placed(name: str, tensor: Sketch | Odd, places: dict[str, Extent], title: str) -> Entry:
    if isinstance(tensor, Odd):
        return Entry(name, tensor.kind)
    place = places.get(tensor.storage.key)
    storage = tensor.storage
    size = DTYPES[tensor.dtype]
    last = sum((side - 1) * step for side, step in zip(tensor.shape, tensor.stride, strict=True))
    stop = tensor.start + (last + 1) * size if 0 not in tensor.shape else tensor.start
    # Neither beyond what lies in the file, nor beyond what the storage is said to hold.
    claimed = (storage.start + storage.count) * storage.kind.size
    if place is None or stop > min(place.size, claimed):
        raise CheckpointError(
            f"{title} is damaged: not all values of {show_name(name)} are in the file. Save or "
            "upload it again."
        )
    return Entry(name, tensor.dtype, place.start + tensor.start, tensor.shape, tensor.stride)


def _archive(content: memoryview, title: str) -> tuple[object, Unpickler, dict[str, Extent]]:
    file = io.BufferedReader(_Bytes(content))
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    _check_members(members, len(content), title)
    extents = {member.filename: _place(member, content) for member in members}
    runs = sorted(extents.values())
    overlap = any(a.start + a.size > b.start for a, b in itertools.pairwise(runs))
    # Of two members in one place or of one name, readers disagree on which is meant.
    if overlap or len(extents) != len(members):
        raise MalformedError
    pickles = [name for name in extents if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise MalformedError
    folder = pickles[0].removesuffix("data.pkl")
    order = extents.get(f"{folder}byteorder")
    if order and bytes(_bytes_of(content, order)) != b"little":
        raise CheckpointError(_big_endian(title))
    unpickler = Unpickler(io.BytesIO(_bytes_of(content, extents[pickles[0]])), title)
    value = unpickler.load()
    data = f"{folder}data/"
    places = {
        name.removeprefix(data): place for name, place in extents.items() if name.startswith(data)
    }
    return value, unpickler, places


def _check_members(members: list[zipfile.ZipInfo], size: int, title: str) -> None:
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise CheckpointError(
            f"{title} is a TorchScript program, which se_viz does not run. Write "
            "`torch.jit.load(file).state_dict()` to a .safetensors file instead."
        )
    inflated = sum(member.file_size for member in members)
    if inflated > 2 * size + 2**20:
        raise CheckpointError(
            f"{title} would unpack to {inflated / 1e6:.0f} MB, which no state dict of its size "
            "does. Export it again."
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(
            f"{title} is compressed inside, as `torch.save` writes no file. Load it and save it "
            "again, or unpack it first."
        )


def _place(member: zipfile.ZipInfo, content: memoryview) -> Extent:
    start = member.header_offset
    header = content[start : start + 30]
    if header[:4] != b"PK\x03\x04" or member.flag_bits & 1:
        raise MalformedError
    name, extra = struct.unpack("<HH", header[26:30])
    start += 30 + name + extra
    if start + member.file_size > len(content) or member.compress_size != member.file_size:
        raise MalformedError
    return Extent(start, member.file_size)


def _bytes_of(content: memoryview, place: Extent) -> memoryview:
    return content[place.start : place.start + place.size]


def _big_endian(title: str) -> str:
    return (
        f"{title} was written on a machine that orders bytes the other way round. Load it there "
        "and write the state dict to a .safetensors file."
    )


def _legacy(content: memoryview, title: str) -> tuple[object, Unpickler, dict[str, Extent]]:
    file = io.BufferedReader(_Bytes(content))
    head = [Unpickler(file, title).load() for _ in range(3)]
    if head[:2] != [_MAGIC, _PROTOCOL] or not isinstance(head[2], dict):
        raise MalformedError
    if head[2].get("little_endian") is not True:
        raise CheckpointError(_big_endian(title))
    unpickler = Unpickler(file, title)
    value = unpickler.load()
    keys = Unpickler(file, title).load()
    start = file.tell()
    places = {}
    for key in keys if isinstance(keys, list) else ():
        storage = unpickler.storages[str(key)]
        (count,) = struct.unpack("<Q", content[start : start + 8])
        size = count * storage.kind.size
        is_whole = count == storage.count and start + 8 + size <= len(content)
        if not is_whole or storage.key in places:
            raise MalformedError
        places[storage.key] = Extent(start + 8, size)
        start += 8 + size
    return value, unpickler, places


class _Bytes(io.RawIOBase):
    """A memoryview as a file, without a copy."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._content[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = (0, self._at, len(self._content))[whence]
        self._at = max(0, begin + offset)
        return self._at

    def tell(self) -> int:
        return self._at
