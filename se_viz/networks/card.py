"""The card of a network: everything a reader may ask about the weights, as it stands in the JSON
file.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import partial
from types import NoneType
from typing import Any, NamedTuple

from se_viz.errors import CheckpointError
from se_viz.inputs import READY
from se_viz.names import show_name
from se_viz.readings import KINDS


class View(NamedTuple):
    """How a photo becomes the square that a network sees; all of it is part of a cache's key."""

    size: int
    """Side of the square, in pixels."""
    resize: int | None = None
    """Side that the image's shorter side is scaled to before the crop; None: ``size``."""
    crop: str = "centre"
    """``centre``: keep the proportions, cut the centre; ``squash``: scale both sides to
    ``resize``."""
    interpolation: str = "bilinear"
    """How pixels are scaled: ``bilinear`` or ``bicubic``."""


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """What a network is, where its weights come from and how good they are."""

    name: str
    """Name to load it by; also the stem of its two files."""
    title: str
    """Name for people."""
    architecture: str
    """A key of the architectures that se_viz builds, or the name that its library builds it by."""
    arguments: dict[str, Any]
    """Arguments of the architecture beside the number of classes."""
    classes: tuple[str, ...]
    """Readable class names, in the order of the logits; before loading empty where only timm knows
    them."""
    input_size: int
    """Side of the square input, in pixels."""
    mean: tuple[float, ...]
    """Mean per colour that the input is normalised with; pixels range from 0 to 1."""
    std: tuple[float, ...]
    """Standard deviation per colour that the input is normalised with."""
    parameters: int
    """Number of trained values."""
    top1: float | None
    """Share of validation images whose first answer is right, 0 to 1; None where the source does
    not state it."""
    evaluated_with: str
    """The command that printed ``top1``."""
    trained_with: str
    """The command that made the weights."""
    data: str
    """What it was trained and validated on."""
    date: str
    """Day the weights were made, ISO 8601."""
    sha256: str
    """Hash of the weights file."""
    licence: str
    """Licence of the weights."""
    notes: str = field(default="")
    """Anything else a reader should know."""
    library: str = "se_viz"
    """Who builds it: ``se_viz``, ``torchvision`` or ``timm``."""
    num_classes: int = 0
    """Number of logits; 0: as many as there are ``classes``."""
    weights: str = ""
    """The library's name of these weights, e.g. ``IMAGENET1K_V1``."""
    source: str = ""
    """Where the weights are downloaded: a file's address (torchvision), a repository of the hub
    (timm)."""
    download_bytes: int = 0
    """Size of the download; for timm four bytes a parameter, which is about right."""
    resize: int | None = None
    """Side that the image is scaled to before the crop, see `View`; None: ``input_size``."""
    crop: str = "centre"
    """What happens to the rest of the image, see `View`."""
    interpolation: str = "bilinear"
    """How pixels are scaled, see `View`."""
    gflops: float | None = None
    """Multiply-adds of one image in 10^9, as papers count them; convolutions and matrix
    products."""
    lenders: str = ""
    """Hash of the file of gates that images lend, beside the weights; empty where there is none."""
    blocks: int | None = None
    """Number of SE blocks."""
    se_parameters: int | None = None
    """How many of the parameters belong to SE blocks."""
    se_gflops: float | None = None
    """How many of the multiply-adds belong to SE blocks, in 10^9."""
    multi_label: bool = False
    """Whether any number of the classes may be true of one image, so that each has a probability
    of its own."""
    input_shape: tuple[int, ...] = ()
    """Channels and sides of an input that is no photo; empty: a square of three colours."""
    preprocess: str = ""
    """What makes an input of a file, for people; empty: a photo is scaled, cut and normalised."""
    answer: str = "classes"
    """What its numbers are, one of the kinds of `se_viz.readings`."""
    twin: str = ""
    """Name of the network that differs from it by SE blocks alone; empty: their names tell."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and sides of one input."""
        return self.input_shape or (3, self.input_size, self.input_size)

    @property
    def independent(self) -> bool:
        """Whether each logit is a yes or no by itself: of a multi-label network, and of one with a
        single logit.
        """
        return self.shares and (self.multi_label or len(self.classes) == 1)

    @property
    def shares(self) -> bool:
        """Whether its numbers become probabilities; a similarity and a value are as they are."""
        return KINDS[self.answer].shares

    @property
    def view(self) -> View:
        """What the network sees of a photo."""
        return View(self.input_size, self.resize, self.crop, self.interpolation)


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("name", "title", "architecture", "data", "date", "sha256", "licence"), str),
    **dict.fromkeys(
        ("evaluated_with", "trained_with", "notes", "library", "weights", "source"), str
    ),
    **dict.fromkeys(("crop", "interpolation", "answer", "twin"), str),
    **dict.fromkeys(("classes", "mean", "std"), (list, tuple)),
    **dict.fromkeys(("input_size", "parameters", "num_classes", "download_bytes"), int),
    **dict.fromkeys(("resize", "blocks", "se_parameters"), (int, NoneType)),
    **dict.fromkeys(("top1", "gflops", "se_gflops"), (int, float, NoneType)),
    "arguments": dict,
    "multi_label": bool,
    "input_shape": (list, tuple),
    "preprocess": str,
}


def _is(value: object, kinds: type | tuple[type, ...]) -> bool:
    # True is a whole number to Python, and hardly meant for one.
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    return (
        isinstance(value, kinds)
        and (not isinstance(value, bool) or bool in kinds)
        and not _is_broken(value)
    )


def _is_broken(value: object) -> bool:
    # JSON can write halves of letters, which no page and no file can show, and numbers that nobody
    # can compute with.
    if isinstance(value, str):
        return len(value) > _MAX_LETTERS or any("\ud800" <= letter <= "\udfff" for letter in value)
    return isinstance(value, (int, float)) and not abs(value) < _MAX_NUMBER


def _are_colours(values: Sequence[object], *, least: float = -math.inf) -> bool:
    return len(values) == 3 and all(
        _is(value, (int, float)) and math.isfinite(value) and value > least  # pyright: ignore
        for value in values
    )


_CONTENTS: dict[str, Callable[[Any], bool]] = {
    "classes": lambda names: (
        0 < len(names) <= MAX_CLASSES
        and all(_is(name, str) and len(name) <= MAX_LABEL for name in names)
    ),
    "mean": _are_colours,
    "std": partial(_are_colours, least=0.0),
    "input_size": lambda side: 1 <= side <= _MAX_SIDE,
    "input_shape": lambda sides: (
        len(sides) <= 5 and all(_is(side, int) and 0 < side <= _MAX_VALUES for side in sides)
    ),
    "preprocess": lambda text: not text or text.partition(":")[0] in READY,
    "resize": lambda side: side is None or 1 <= side <= _MAX_SIDE,
    "crop": ("centre", "squash").__contains__,
    "interpolation": ("bilinear", "bicubic").__contains__,
    "answer": KINDS.__contains__,
}
"""What a value must be beyond its kind."""
MAX_CLASSES = 100_000
MAX_LABEL = 1000
"""Most letters of a class's name."""
_MAX_LETTERS = 20_000
_MAX_NUMBER = 2**63
_MAX_SIDE = 4096
_MAX_VALUES = 2**26


def card_to_json(card: NetworkCard) -> dict[str, Any]:
    """Turn a card into plain JSON values; fields that say nothing new are left out."""
    usual = {entry.name: entry.default for entry in fields(card) if entry.default is not MISSING}
    return {
        name: value
        for name, value in asdict(card).items()
        if name not in usual or value != usual[name]
    }


def card_from_json(values: object, *, source: str) -> NetworkCard:
    """Read a card from plain JSON values.

    Raises:
        CheckpointError: a field is missing or unknown.
    """
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{source} is no network card: it holds no JSON object. Restore the file."
        )
    wrong = [
        name for name, kinds in _KINDS.items() if name in values and not _is(values[name], kinds)
    ]
    # Of what is no photo the numbers of channels and sides are others; `read_view` checks them.
    other = ("mean", "std", "input_size") if values.get("input_shape") else ()
    names = [name for name in _CONTENTS if name in values and name not in (*wrong, *other)]
    wrong += [name for name in names if not _CONTENTS[name](values[name])]
    if wrong:
        value = show_name(repr(values[wrong[0]]))
        raise CheckpointError(
            f"{source} is no network card: {wrong[0]} is {value}. Restore the file."
        )
    try:
        lists = ("classes", "mean", "std", "input_shape")
        tuples = {key: tuple(values[key]) for key in lists if key in values}
        return NetworkCard(**{**values, **tuples})
    except TypeError as error:
        detail = show_name(str(error).replace("NetworkCard.__init__() ", ""))
        raise CheckpointError(
            f"{source} is no network card: {detail}. Restore the file."
        ) from error
