"""Pickles of ``torch.save`` as plain descriptions: nothing that a file names is imported or run."""

import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from math import prod
from typing import Any, NamedTuple, TypeGuard

from se_viz.errors import CheckpointError
from se_viz.names import show_name

DTYPES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of a value, for the kinds of tensors that are read."""
MAX_SIDES = 64
"""Most axes of a tensor."""

_STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "UntypedStorage": ("uint8", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("quantised", 1),
    "QUInt8Storage": ("quantised", 1),
    "QInt32Storage": ("quantised", 4),
    "QUInt4x2Storage": ("quantised", 1),
    "QUInt2x4Storage": ("quantised", 1),
}
_ODD = {
    "_rebuild_sparse_tensor": "sparse",
    "_rebuild_sparse_csr_tensor": "sparse",
    "_rebuild_qtensor": "quantised",
    "_rebuild_nested_tensor": "nested",
    "_rebuild_meta_tensor_no_storage": "meta",
}
# No honest file names these; nothing is run in any case, and the sentence warns whoever was given
# it.
_PROGRAMS = {
    "os", "posix", "nt", "subprocess", "sys", "runpy", "shutil", "importlib", "socket", "ctypes",
    "pty", "webbrowser",
}  # fmt: skip
_CALLS = {"eval", "exec", "compile", "open", "__import__", "breakpoint", "input", "execfile"}
_OTHER_DTYPES = ("float", "complex", "q", "bits", "int", "uint")


class MalformedError(Exception):
    """A file that no honest program writes."""


class Kind(NamedTuple):
    """What a storage or a tensor holds."""

    name: str
    """Of the values; ``quantised`` and others that are not in `DTYPES` are not read."""
    size: int
    """Bytes of a value; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of values in the file, which tensors look at."""

    key: str
    """Its name in the file."""
    kind: Kind
    count: int
    """How many values of this kind it is said to have."""
    start: int = 0
    """First of them; views of old files begin further on."""

    def __setstate__(self, state: object) -> None:
        """Refuse: a pickle could put others in the place of numbers that were checked."""
        raise MalformedError


@dataclass(frozen=True, slots=True)
class Sketch:
    """A dense tensor, without its values."""

    storage: Storage
    dtype: str
    start: int
    """First byte in the storage."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Leave out attributes that hang on a tensor."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A tensor of a kind that is not read."""

    kind: str

    def __setstate__(self, state: object) -> None:
        """Leave out attributes that hang on a tensor."""


class Other:
    """Stands for an object of any class that is not read.

    What lies in it can still be looked for.
    """

    title = "object"
    pairs: list[tuple[object, object]]
    """What lies in it, each under its key or number."""

    def __new__(cls, *args: object, **kwargs: object) -> "Other":
        """Take any arguments: they may hold values."""
        self = super().__new__(cls)
        self.pairs = [*enumerate(args), *kwargs.items()]
        return self

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Nothing: some pickles call this one, some do not."""

    def __setstate__(self, state: object) -> None:
        """Look at attributes as at the items of a dictionary."""
        self.pairs += children(state)

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item of what was a dictionary."""
        self.pairs.append((key, value))

    def append(self, value: object) -> None:
        """Take an item of what was a list."""
        self.pairs.append((len(self.pairs), value))

    def extend(self, values: Iterable[object]) -> None:
        """Take items of what was a list."""
        for value in values:
            self.append(value)

    add = append

    def __call__(self, *args: object, **kwargs: object) -> "Other":
        """Stand for what a call would have returned."""
        return type(self)(*args, **kwargs)


def children(value: object) -> Iterator[tuple[object, object]]:
    """Yield what lies in a value, each under its key or number."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)) and not isinstance(value, Kind):
        yield from enumerate(value)
    elif isinstance(value, Other):
        yield from value.pairs


class Unpickler(pickle.Unpickler):
    """Reads a pickle into plain values, `Sketch`, `Odd` and `Other`; ``title`` is for messages."""

    def __init__(self, file: BufferedIOBase, title: str) -> None:
        super().__init__(file, errors="replace")
        self._title = title
        self.storages: dict[str, Storage] = {}
        self.foreign_classes: dict[str, type[Other]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name: never what it names."""
        if module.split(".")[0] in _PROGRAMS or (
            module in ("builtins", "__builtin__") and name in _CALLS
        ):
            raise CheckpointError(refusal(self._title, f"{module}.{name}"))
        stand_in = _KNOWN.get((module, name))
        if stand_in is _no_bytes:
            self._other(f"{module}.{name}")
        if stand_in is not None:
            return stand_in
        if module in ("torch", "torch.storage", "torch.cuda") and name in _STORAGES:
            return Kind(*_STORAGES[name])
        if module == "torch" and name in DTYPES:
            return Kind(name, DTYPES[name])
        if module == "torch" and name.startswith(_OTHER_DTYPES):
            return Kind(name, 0)
        if module == "torch._utils" and name.startswith("_rebuild"):
            kind = _ODD.get(name, "unusual")
            return lambda *args: Odd(kind)
        return self._other(f"{module}.{name}")

    def _other(self, title: str) -> type[Other]:
        if title not in self.foreign_classes:
            self.foreign_classes[title] = type("Other", (Other,), {"title": title})
        return self.foreign_classes[title]

    def persistent_load(self, pid: Any) -> object:
        """Return the storage that an entry stands for; old files have entries of classes too."""
        if isinstance(pid, tuple) and pid[:1] == ("module",):
            return pid[1]
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise MalformedError
        kind = pid[1]
        key = pid[2]
        count = pid[4]
        if (
            not isinstance(kind, Kind)
            or not kind.size
            or not isinstance(key, (str, int))
            or not _is_size(count)
        ):
            raise MalformedError
        whole = Storage(str(key)[:1000], kind, count)
        if self.storages.setdefault(whole.key, whole) != whole:
            raise MalformedError
        if len(pid) == 5 or pid[5] is None:
            return whole
        _, start, size = pid[5]
        if not _is_size(start) or not _is_size(size) or start + size > count:
            raise MalformedError
        return replace(whole, start=start, count=size)


def refusal(title: str, content: str) -> str:
    """Say that a file holds other things than tensors."""
    remark = f" (it holds {show_name(content)})" if content else ""
    return (
        f"{title} is neither a safetensors file nor a state dict of tensors alone. If it holds a "
        "whole model or other code, which se_viz does not run, write `model.state_dict()` to a "
        f".safetensors file instead{remark}."
    )


def _tensor(
    storage: object,
    offset: object,
    shape: object,
    stride: object,
    requires_grad: object = False,
    hooks: object = None,
    metadata: object = None,
) -> Sketch | Odd:
    kind = storage.kind if isinstance(storage, Storage) else None
    return _sketch(storage, offset, shape, stride, kind, metadata)


def _tensor_of_kind(
    storage: object,
    offset: object,
    shape: object,
    stride: object,
    requires_grad: object,
    hooks: object,
    kind: object,
    metadata: object = None,
) -> Sketch | Odd:
    return _sketch(storage, offset, shape, stride, kind, metadata)


def _sketch(
    storage: object, offset: object, shape: object, stride: object, kind: object, metadata: object
) -> Sketch | Odd:
    if not isinstance(storage, Storage) or not isinstance(kind, Kind):
        raise MalformedError
    if kind.name not in DTYPES:
        return Odd(kind.name)
    if metadata and isinstance(metadata, dict) and (metadata.get("neg") or metadata.get("conj")):
        return Odd("negated or conjugated")
    sides = _sizes(shape)
    steps = _sizes(stride)
    if not _is_size(offset) or len(sides) != len(steps) or not is_countable(sides):
        raise MalformedError
    return Sketch(
        storage,
        kind.name,
        storage.start * storage.kind.size + offset * kind.size,
        sides,
        steps,
    )


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > MAX_SIDES:
        raise MalformedError
    if not all(map(_is_size, values)):
        raise MalformedError
    return tuple(values)


def is_countable(shape: Sequence[int]) -> bool:
    """Tell whether PyTorch can count the values of a shape, sides of none left out: it does so in
    64 bits.
    """
    return prod(side or 1 for side in shape) < 2**63


def _is_size(value: object) -> TypeGuard[int]:
    # `bool` is an `int`; larger ones than 2^48 are no size of anything.
    return type(value) is int and 0 <= value < 2**48


def _parameter(data: object, *rest: object) -> object:
    return data


def _typed(function: Any, kind: object, args: Any, state: object = None) -> object:
    title = kind.title if isinstance(kind, type) and issubclass(kind, Other) else ""
    if title in ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"):
        return function(*args)
    return Odd(title or "unusual")


def _copied(cls: object, base: object, state: object) -> object:
    return cls(state) if isinstance(cls, type) and issubclass(cls, Other) else Other(state)


def _constructed(cls: object, *args: object) -> object:
    return cls(*args) if isinstance(cls, type) and issubclass(cls, Other) else Other(*args)


def _default(*args: object) -> dict[object, object]:
    return {}


def _no_bytes(*args: object) -> bytes:
    # Its content counts for nothing, and a number as argument asks for that much memory.
    return b""


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _default,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_kind,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _typed,
    ("torch._tensor", "_rebuild_from_type"): _typed,
    ("copyreg", "_reconstructor"): _copied,
    ("copy_reg", "_reconstructor"): _copied,
    ("copyreg", "__newobj__"): _constructed,
    **{
        (module, name): _no_bytes
        for module in ("builtins", "__builtin__", "_codecs")
        for name in ("bytearray", "bytes", "encode")
    },
    **{
        (module, name): _default
        for module in ("builtins", "__builtin__")
        for name in ("set", "frozenset")
    },
}
