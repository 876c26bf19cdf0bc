"""The ready ways from a file to an input by name, with their options; free of PyTorch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from se_viz.errors import NetworkError
from se_viz.names import show_name

_PICTURES = ("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp", "gif")


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a file to an input that needs no code of one's own."""

    words: str
    """What becomes of a file."""
    suffixes: tuple[str, ...]
    """Endings of the files that are taken from a folder."""
    options: Mapping[str, float]
    """What can be set, and what it is otherwise; 0 stands for what the shape or the file says."""
    noun: str = "photo"
    """What people call such a file."""

    @property
    def photos(self) -> bool:
        """Whether it takes photos too."""
        return "png" in self.suffixes


READY = {
    "rgb": Way("a photo in three colours, scaled and cut", _PICTURES, {}),
    "grey": Way("a photo in grey, 0 to 1", _PICTURES, {}),
    "channels": Way(
        "an array of channels, or an image of three", (*_PICTURES, "npy"), {}, "photo or array"
    ),
    "log-mel": Way(
        "the logarithm of a mel spectrogram of a WAV file",
        ("wav",),
        {"rate": 16e3, "window": 400.0, "hop": 160.0, "low": 0.0, "high": 0.0, "floor": 1e-6},
        "WAV file",
    ),
    "waveform": Way("the samples of a WAV file, -1 to 1", ("wav",), {"rate": 0.0}, "WAV file"),
    "array": Way("an array as it is", ("npy", "npz"), {}, "array"),
}
"""Each ready way by its name."""

OWN = Way("a file that its own code reads", (), {}, "file")
"""What is known of code of one's own."""


def find_way(text: str) -> Way:
    """Return what a ready way takes, by its name with or without options; for any other text what
    is known of code of one's own.
    """
    return READY.get(text.partition(":")[0], OWN)


FITS: dict[str, tuple[Callable[[tuple[int, ...]], bool], str]] = {
    "rgb": (lambda shape: len(shape) == 3 and shape[0] == 3, "3 x side x side"),
    "grey": (lambda shape: len(shape) == 3 and shape[0] == 1, "1 x height x width"),
    "channels": (lambda shape: len(shape) == 3, "channels x height x width"),
    "log-mel": (
        lambda shape: len(shape) == 2 or (len(shape) == 3 and shape[0] == 1),
        "1 x bands x frames, or bands x frames",
    ),
    "waveform": (lambda shape: len(shape) == 2 and shape[0] == 1, "1 x samples"),
    "array": (lambda shape: True, "any shape"),
}
"""Which shapes each ready way makes, (channels, *sides), and these in words."""


def can_make(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether a ready way makes inputs of a shape, whose open sides are 0."""
    return FITS[name][0](
        tuple(side or (1 if place == 0 else 0) for place, side in enumerate(shape))
    )


def read_way(text: str) -> tuple[str, dict[str, float]]:
    """Split the name of a ready way and its options: ``log-mel:rate=8000,hop=80``.

    Raises:
        NetworkError: there is no such way or option, or a value is no number above 0.
    """
    name, _, rest = text.partition(":")
    if name not in READY:
        near = get_close_matches(name, READY, n=1)
        question = f" Did you mean {near[0]}?" if near else ""
        raise NetworkError(
            f"There is no way {show_name(name)!r} to make an input.{question} Choose one of: "
            f"{', '.join(READY)}; or name code of your own: file.py:callable."
        )
    options = dict(READY[name].options)
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key.strip() not in options:
            raise NetworkError(
                f"{name} has no option {show_name(key)!r}. Choose one of: "
                f"{', '.join(options) or 'none'}; write them as {name}:key=value,key=value."
            )
        options[key.strip()] = _read_number(name, key.strip(), value)
    return name, options


def _read_number(name: str, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    whole = key in ("rate", "window", "hop")
    if not 0 <= value < 1e9 or (whole and (value != int(value) or value < 1)):
        raise NetworkError(
            f"{key} of {name} is {show_name(text)!r}. Give a "
            f"{'whole number from 1 on' if whole else 'number from 0 on'}."
        )
    return value
