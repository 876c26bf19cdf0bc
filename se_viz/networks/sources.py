"""Networks of one's own as plain values: what makes each, and what is said of it.

Nothing is imported or run here, and nothing needs PyTorch: `loading` does both.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from math import prod
from pathlib import Path
from typing import Any

from se_viz.errors import CheckpointError, DataError, NetworkError
from se_viz.files import check_ordinary
from se_viz.inputs import READY, read_way
from se_viz.names import show_name
from se_viz.networks.card import NetworkCard
from se_viz.networks.labels import read_labels
from se_viz.readings import split_answer

GIVEN = "given"
"""The library that the card of a network of one's own names."""
SIDE = 224
"""Side of the input where nothing is said."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's colours, which most photos are normalised with."""
_NAME = re.compile(r"\w[\w.+-]{0,99}")
_MOST_SIDES = 4
_MOST_VALUES = 2**26


class Form(Enum):
    """Who loads a network, as the form of its name tells."""

    LISTED = "listed"
    """One that `list_networks` has."""
    CODE = "code"
    """``file.py:callable`` or ``package.module:callable``."""
    ONNX = "onnx"
    """``file.onnx``."""


def form_of(name: str) -> Form:
    """Tell by the form of a name who loads the network.

    Only what stands on a command line, in a configuration or in a program is asked this: names that
    a browser or a file brings are looked up in lists alone.
    """
    if name.lower().endswith(".onnx"):
        return Form.ONNX
    return Form.CODE if ":" in name or name.endswith(".py") else Form.LISTED


@dataclass(frozen=True, slots=True)
class Source:
    """How a network of one's own is made."""

    name: str
    """Name it is listed by, without a path."""
    make: str = ""
    """``file.py:callable``, ``package.module:callable`` or ``file.onnx``; files in full."""
    architecture: str = ""
    """Or the name of an architecture that takes the weights."""
    folder: str = ""
    """Folder that modules are looked for in; empty: only what is installed."""
    weights: str = ""
    """File of weights, in full; empty: the network as it is made."""
    labels: str = ""
    """File of class names, in full; empty: classes are numbered, or named by what makes it."""
    input: tuple[int, ...] = ()
    """Channels and sides of one input; empty: a photo of `SIDE` pixels, or what makes it says."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """What an input is normalised with, a number a channel; empty: ImageNet's."""
    multi_label: bool = False
    """Whether classes are independent."""
    preprocess: str = ""
    """What makes an input of a file: the name of a ready way with its options, or code, in full;
    empty: photos are scaled, cut and normalised."""
    answer: str = ""
    """What is read of its answer: a kind, or a kind and code in full as ``kind=code``; empty:
    logits of classes, or what makes it says."""
    title: str = ""
    """Name for people; empty: ``make`` without its folder."""
    origin: str = "your own code"
    """Where it was given, for people."""

    @property
    def shown(self) -> str:
        """What a sentence calls it: no path."""
        return show_name(self.title or self.plain)

    @property
    def sees_files(self) -> bool:
        """Whether its inputs are made of files that need not be photos."""
        return self.preprocess not in ("", "rgb")

    @property
    def preprocess_shown(self) -> str:
        """What makes its inputs, without a folder; empty for photos."""
        if not self.sees_files or self.preprocess.partition(":")[0] in READY:
            return self.preprocess if self.sees_files else ""
        return _without_folder(self.preprocess)

    @property
    def plain(self) -> str:
        """What makes it, without its folder."""
        return self.architecture or _without_folder(self.make)


def is_name(name: str) -> bool:
    """Tell whether a network of one's own may be listed by a name: it is no path, and no code."""
    return _NAME.fullmatch(name) is not None and form_of(name) is Form.LISTED


def make_source(
    make: str = "",
    *,
    folder: Path | None = None,
    name: str = "",
    installed: bool = False,
    **details: Any,
) -> Source:
    """Return a source whose files are looked for in a folder, by default the working directory.

    What is ``installed`` is looked for in no folder. ``details`` are the other fields; paths may be
    relative.

    Raises:
        NetworkError: ``make`` names nothing that could make a network.
    """
    folder = (folder or Path()).absolute()
    if make and form_of(make) is Form.ONNX:
        make = str(folder / make)
    elif make:
        make = _in_folder(make, folder)
    if details.get("preprocess"):
        details["preprocess"] = _read_preprocess(details["preprocess"], folder)
    if details.get("answer"):
        details["answer"] = _read_answer(details["answer"], folder)
    for file in ("weights", "labels"):
        if details.get(file):
            details[file] = str(folder / details[file])
    plain = details.get("architecture") or _without_folder(make)
    where = "" if installed else str(folder)
    return Source(name or _name_of(plain), make, folder=where, **details)


def _read_preprocess(text: str, folder: Path) -> str:
    if text.partition(":")[0] not in READY and form_of(text) is Form.CODE:
        return _in_folder(text, folder)
    read_way(text)
    return text


def _read_answer(text: str, folder: Path) -> str:
    kind, code = split_answer(text)
    return f"{kind}={_in_folder(code, folder)}" if code else kind


def _in_folder(make: str, folder: Path) -> str:
    place, attribute = split_make(make)
    return f"{folder / place}:{attribute}" if place.endswith(".py") else make


def split_make(make: str) -> tuple[str, str]:
    """Split ``file.py:callable`` or ``package.module:callable``.

    Raises:
        NetworkError: a part is missing, or is no name.
    """
    place, _, attribute = make.rpartition(":")
    file = place.endswith(".py")
    names = [*attribute.split("."), *([] if file else place.split("."))]
    if place and all(part.isidentifier() for part in names):
        return place, attribute
    example = make if make.endswith(".py") else "net.py"
    raise NetworkError(
        f"{show_name(make)!r} names no callable. Write file.py:callable or "
        f"package.module:callable, e.g. {show_name(example)}:make."
    )


def check_source(source: Source) -> None:
    """Check that the files of a source can be read, before anything slow.

    Raises:
        NetworkError: there is no such file of code.
        CheckpointError: its weights cannot be read.
        DataError: its labels cannot.
    """
    for name in (source.make, source.preprocess, source.answer.partition("=")[2]):
        place = name if name.endswith(".onnx") else name.rpartition(":")[0]
        if place.endswith((".py", ".onnx")):
            _check_file(source, place, NetworkError)
    if source.weights:
        _check_file(source, source.weights, CheckpointError)
    if source.labels:
        _check_file(source, source.labels, DataError)
        read_labels(Path(source.labels))


def card_of(source: Source) -> NetworkCard:
    """Return the card of a network that was not made yet: no classes, no number of parameters."""
    return NetworkCard(
        name=source.name,
        title=source.title or source.plain,
        architecture=source.plain,
        arguments={},
        classes=(),
        input_size=source.input[-1] if source.input else SIDE,
        input_shape=source.input if source.sees_files else (),
        preprocess=source.preprocess_shown,
        mean=MEAN,
        std=STD,
        parameters=0,
        top1=None,
        library=GIVEN,
        data=source.origin,
        **dict.fromkeys(("evaluated_with", "trained_with", "date", "sha256", "licence"), ""),
    )


def read_input(value: object) -> tuple[int, ...]:
    """Return channels and sides of an input: of ``224``, ``"3x224x224"``, ``"1x256"``.

    Raises:
        NetworkError: it is no shape.
    """
    parts = [value] if isinstance(value, int) else value
    parts = parts.replace("×", "x").split("x") if isinstance(parts, str) else parts
    sides = [_read_side(part) for part in parts] if isinstance(parts, Sequence) else []
    if len(sides) == 1:
        sides = [3, sides[0], sides[0]]
    if not 1 < len(sides) <= _MOST_SIDES or 0 in sides or prod(sides) > _MOST_VALUES:
        raise NetworkError(
            f"The input {show_name(value)} is no shape. Give the side of an RGB square, e.g. 224, "
            "or channels and sides, e.g. 3x224x224 or 1x256."
        )
    return tuple(sides)


def _read_side(part: object) -> int:
    if isinstance(part, str) and part.isascii() and part.isdecimal() and len(part) < 9:
        return int(part)
    return part if isinstance(part, int) and not isinstance(part, bool) and part > 0 else 0


def source_to_json(source: Source) -> str:
    """Write a source as text, which a child process can be given."""
    return json.dumps(asdict(source))


def source_from_json(text: str) -> Source:
    """Read a source that `source_to_json` has written."""
    values = json.loads(text)
    # JSON has no tuples.
    return Source(**values | {name: tuple(values[name]) for name in ("input", "mean", "std")})


def _name_of(plain: str) -> str:
    """Return a name of letters, digits, dots: of ``net.py:make`` it is ``net.make``."""
    plain = plain.removesuffix(".onnx").replace(".py:", ".").replace(":", ".")
    return "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in plain)


def _without_folder(make: str) -> str:
    place, colon, attribute = make.rpartition(":")
    return f"{Path(place).name}:{attribute}" if colon else Path(make).name


def _check_file(source: Source, file: str, kind: Callable[[str], Exception]) -> None:
    path = Path(file)
    try:
        check_ordinary(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        name = name_in_folder(source, path)
        raise kind(f"{name} cannot be read: {reason}. Check the name.") from error


def name_in_folder(source: Source, path: Path) -> str:
    """Return a path as a page may show it to strangers: from the source's folder on."""
    folder = Path(source.folder)
    inside = bool(source.folder) and folder in path.parents
    return show_name(path.relative_to(folder) if inside else path.name)


def suggest_way(shape: tuple[int, ...]) -> str:
    """Return ready ways that make inputs of a shape, in words."""
    if len(shape) == 2:
        return "waveform"
    return "log-mel or grey" if shape[0] == 1 and len(shape) == 3 else "array"
