"""The list of networks of one's own in ``se_viz.toml``: read and checked, nothing run."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from se_viz.errors import NetworkError, SeVizError
from se_viz.files import read_file
from se_viz.inputs import READY
from se_viz.names import show_name
from se_viz.networks.sources import Source, is_name, make_source, read_input
from se_viz.readings import KINDS

NAME = "se_viz.toml"
CONFIG = "SE_VIZ_CONFIG"
"""Environment variable: another file than `NAME` in the working directory."""
_MAX_BYTES = 1 << 20
_STEP = (
    'Correct the file: [networks.NAME] begins a network, and make = "net.py:callable" says what '
    "makes it."
)


@dataclass(frozen=True, slots=True)
class Config:
    """What a file lists."""

    sources: tuple[Source, ...]
    """The networks, in the file's order."""
    problems: Mapping[str, str]
    """Why others are left out, by name."""
    title: str = NAME
    """What messages call the file."""
    problem: str = ""
    """Why the whole file cannot be used."""


def read_config(file: Path | str | None = None) -> Config:
    """Read a list of networks: ``file``, what `CONFIG` names, or `NAME` in the working directory.

    Where there is none, nothing is listed. Paths in the file are relative to its folder.
    """
    named = file or os.environ.get(CONFIG)
    path = Path(named or NAME).absolute()
    try:
        status = path.stat()
    except OSError as error:
        if not named:
            return Config((), {})
        words = f"{show_name(path.name)} cannot be read: {error.strerror}. Check the name."
        return Config((), {}, path.name, words)
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, written: int, size: int) -> Config:
    try:
        content = read_file(path, _MAX_BYTES)
        tables = _tables_of(tomllib.loads(content.decode("utf-8-sig")))
    except (OSError, ValueError) as error:
        words = show_name(getattr(error, "strerror", None) or error)
        return Config((), {}, path.name, f"{path.name}: {words}. {_STEP}")
    sources: list[Source] = []
    problems: dict[str, str] = {}
    for name, table in tables.items():
        try:
            sources.append(_source_of(name, table, path))
        except SeVizError as error:
            problems[name] = str(error)
    return Config(tuple(sources), problems, path.name)


def _tables_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tables of the networks.

    Raises:
        ValueError: there is something else.
    """
    if others := [key for key in values if key != "networks"]:
        raise ValueError(f"{others[0]} is no table that se_viz knows")
    tables = values.get("networks", {})
    if not isinstance(tables, dict) or not all(isinstance(row, dict) for row in tables.values()):
        raise ValueError("networks holds something else than tables")
    return tables


def _source_of(name: str, table: Mapping[str, Any], path: Path) -> Source:
    place = f"{path.name}: networks.{show_name(name)}"
    if not is_name(name):
        raise NetworkError(
            f"{place} is no name of letters, digits, and _ - + . between them. Rename the table."
        )
    for key, value in table.items():
        _check(key, value, place)
    if ("make" in table) == ("architecture" in table):
        found = "neither make nor" if "make" not in table else "both make and"
        raise NetworkError(
            f'{place} has {found} architecture. Give one: make = "net.py:callable", or the '
            "architecture of your weights."
        )
    if "architecture" in table and "weights" not in table:
        raise NetworkError(f"{place}.weights is missing. Name the file for its architecture.")
    details = {key: _READERS.get(key, lambda value: value)(value) for key, value in table.items()}
    try:
        return make_source(folder=path.parent, name=name, origin=path.name, **details)
    except SeVizError as error:
        key = _blamed(table, str(error))
        raise NetworkError(f"{place}.{key}: {error}") from error


def _blamed(table: Mapping[str, Any], reason: str) -> str:
    """Return the key whose value a refusal names."""
    kept = ("make", "answer", "preprocess")
    return next((key for key in kept if str(table.get(key)) in reason), kept[-1])


def _check(key: str, value: Any, place: str) -> None:
    if key not in _KEYS:
        near = get_close_matches(key, _KEYS, n=1)
        step = f"Did you mean {near[0]}?" if near else f"Choose one of: {', '.join(_KEYS)}."
        raise NetworkError(f"{place}.{show_name(key)} is no key. {step}")
    is_right, needed = _KEYS[key]
    if not is_right(value):
        raise NetworkError(f"{place}.{key} is {show_name(repr(value))}. Give {needed}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_shape(value: Any) -> bool:
    try:
        return bool(read_input(value))
    except NetworkError:
        return False


def _are_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(number, (int, float)) and not isinstance(number, bool) for number in value
        )
    )


_NUMBERS = "a list of numbers, one for each channel"
_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "make": (_is_text, 'what makes it, e.g. "net.py:callable"'),
    "architecture": (_is_text, 'the architecture of your weights, e.g. "timm/seresnet50"'),
    "weights": (_is_text, "the name of a file"),
    "labels": (_is_text, "the name of a file"),
    "input": (_is_shape, 'the side of an RGB square, e.g. 224, or a shape, e.g. "1x256"'),
    "mean": (_are_numbers, _NUMBERS),
    "std": (_are_numbers, _NUMBERS),
    "preprocess": (_is_text, f'one of {", ".join(READY)}, or code: "file.py:callable"'),
    "answer": (_is_text, f'one of {", ".join(KINDS)}, or code: "file.py:callable"'),
    "title": (_is_text, "a text"),
    "multi_label": (lambda value: isinstance(value, bool), "true or false"),
}
"""What may stand in a table: whether a value is right, and what it has to be."""
_READERS: dict[str, Callable[[Any], Any]] = {
    "input": read_input,
    "mean": tuple,
    "std": tuple,
}
