"""The kinds of answers by name, and where in an image one is read; free of PyTorch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, TypeAlias

from se_viz.errors import NetworkError
from se_viz.names import show_name

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle, as shares of the square that a network sees."""

PIXEL = 1e-4
"""Least side of a region: a mask is read at one cell at least."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where an answer is read: part of every question about it, and of every cache's key."""

    region: Region | None = None
    """The rectangle whose mask or box is meant; None: the whole image."""
    beside: str = ""
    """SHA-256 of the file of a second image, which an embedding is compared with."""


WHOLE = Reading()
"""The whole image, beside no other."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the numbers of an answer are, in words for people."""

    words: str
    """What one number is, with its unit."""
    number: str
    """What is explained and drawn on an axis."""
    shares: bool = True
    """Whether numbers become probabilities; otherwise they are shown as they are."""
    located: bool = False
    """Whether a region may be named."""


KINDS = {
    "classes": Kind("the logit of a class", "logit"),
    "segments": Kind("the mean logit of a class over a region of the mask", "logit", located=True),
    "boxes": Kind("the score of a class's strongest box", "logit of the score", located=True),
    "embedding": Kind("the cosine similarity to a second image", "similarity", shares=False),
    "value": Kind("a number as the network returns it", "value", shares=False),
}
"""Each kind of answer by its name."""


def split_answer(text: str) -> tuple[str, str]:
    """Split what an option says into a kind, and code of one's own that picks the answer.

    ``segments``, ``file.py:callable`` (numbers as they are) or ``segments=file.py:callable``.

    Raises:
        NetworkError: there is no such kind.
    """
    name, mark, code = text.partition("=")
    if not mark and (":" in text or text.endswith(".py")):
        return "value", text
    if name not in KINDS or (mark and not code):
        near = get_close_matches(name, KINDS, n=1)
        question = f" Did you mean {near[0]}?" if near else ""
        raise NetworkError(
            f"There is no kind of answer {show_name(text)!r}.{question} Choose one of: "
            f"{', '.join(KINDS)}; or name code of your own: file.py:callable."
        )
    return name, code


def read_region(value: Any) -> Region:
    """Return a rectangle: of ``"0.1,0.2,0.5,0.6"`` or of four numbers.

    Raises:
        NetworkError: it is none, or has no room.
    """
    parts = value.split(",") if isinstance(value, str) else value
    with suppress(TypeError, ValueError):
        numbers = tuple(map(float, parts)) if isinstance(parts, Sequence) else ()
        if len(numbers) == 4 and all(map(isfinite, numbers)):
            left, top, right, bottom = numbers
            wide = right - left >= PIXEL and bottom - top >= PIXEL
            if wide and min(left, top) >= 0 and max(right, bottom) <= 1:
                return left, top, right, bottom
    raise NetworkError(
        f"The region {show_name(value)!r} is no rectangle in the image. Give left, top, right and "
        "bottom from 0 to 1, e.g. 0.25,0.25,0.75,0.75."
    )
