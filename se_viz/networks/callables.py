"""Code of one's own that makes a network: imported and called; what it raises is one sentence."""

import importlib
import importlib.util
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from hashlib import sha256
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from se_viz.errors import NetworkError, SeVizError
from se_viz.inputs import Preprocess
from se_viz.names import show_name
from se_viz.networks.network import Network
from se_viz.networks.sources import Source, name_in_folder, split_make
from se_viz.readings import Answer, split_answer

_importing = threading.RLock()
_LIBRARY = tuple(
    sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)
_PACKAGE = str(Path(__file__).parents[1])
_LONGEST = 300


def call_source(source: Source) -> "nn.Module | Network":
    """Import what a source names, call it without arguments, and return what it returns.

    A module that is named itself is copied: it may be asked for again, on another device.

    Raises:
        NetworkError: there is no such file, module or name; its code raised something, or returned
            no network.
    """
    with _importing, _found_first(_folders_of(source)), _in_words(source):
        named = _find(source)
        made = deepcopy(named) if isinstance(named, nn.Module | Network) else _call(named, source)
    if not isinstance(made, nn.Module | Network):
        raise NetworkError(
            f"{source.plain} returns a {type(made).__name__}. Let it return a torch.nn.Module with "
            "its weights loaded, or a se_viz.Network."
        )
    return made


def find_preprocess(source: Source) -> Preprocess:
    """Import the code of one's own that makes inputs, and return it.

    Raises:
        NetworkError: there is none, it cannot be called, or importing it raised something.
    """
    return _find_function(source, source.preprocess, "an open file and returns one input")


def find_answer(source: Source) -> Answer:
    """Import the code of one's own that reads answers, if there is some, and return what reads.

    Raises:
        NetworkError: there is none, it cannot be called, or importing it raised something.
    """
    kind, code = split_answer(source.answer)
    if not code:
        return kind
    return kind, _find_function(source, code, "what the network returns and returns what is read")


def _find_function(source: Source, code: str, words: str) -> Any:
    place = replace(source, make=code, architecture="", title="")
    with _importing, _found_first(_folders_of(place)), _in_words(place):
        function = _find(place)
    if not callable(function):
        raise NetworkError(
            f"{place.plain} is a {type(function).__name__}. Name a function that takes {words}."
        )
    return function


def _call(named: Any, source: Source) -> Any:
    if not callable(named):
        raise NetworkError(
            f"{source.plain} is a {type(named).__name__}. Name a function without arguments that "
            "returns the network, or the network itself."
        )
    needed = _needed(named)
    if needed:
        raise NetworkError(
            f"{source.plain} takes {' and '.join(needed)}, and is called without arguments. Name "
            "one that needs none, e.g. a function of your own that calls it."
        )
    return named()


def _needed(function: Any) -> list[str]:
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        # Of some built-in ones nobody knows: the call tells.
        return []
    free = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is Parameter.empty and parameter.kind not in free
    ]


def _find(source: Source) -> Any:
    place, attribute = split_make(source.make)
    module = _run_file(Path(place)) if place.endswith(".py") else _import(place, source)
    value: Any = module
    for name in attribute.split("."):
        if not hasattr(value, name):
            names = [key for key in vars(module) if not key.startswith("_")]
            near = get_close_matches(name, names, n=1, cutoff=0.6)
            question = f" Did you mean {near[0]}?" if near else ""
            raise NetworkError(
                f"{source.plain.rpartition(':')[0]} has no {name!r}.{question} Name a function "
                "that returns the network."
            )
        value = getattr(value, name)
    return value


def _run_file(path: Path) -> ModuleType:
    """Run a file as a module of its own, anew each time: its name may be that of a library."""
    if not path.is_file():
        raise NetworkError(f"There is no file {path.name}. Check the name.")
    name = f"_se_viz_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look a class's module up by its name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import(name: str, source: Source) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only where the module itself is missing: it may lack another one.
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise NetworkError(
            f"There is no module {show_name(error.name)!r}, which {source.plain} is in. Install "
            "it, start in the folder that it lies in, or name a file: file.py:callable."
        ) from error


def _folders_of(source: Source) -> list[str]:
    place = Path(source.make.rpartition(":")[0])
    folders = [str(place.parent)] if place.suffix == ".py" else []
    return [*folders, *filter(None, [source.folder])]


@contextmanager
def _found_first(folders: Sequence[str]) -> Iterator[None]:
    """Let modules beside the code be imported, before others of their names, as scripts find them.

    Afterwards its folders are the last that are looked in: the code may still import from them, and
    nothing of the app is hidden by them.
    """
    before = [*sys.path]
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        del sys.path[: len(folders)]
        sys.path += [folder for folder in dict.fromkeys(folders) if folder not in before]


@contextmanager
def _in_words(source: Source) -> Iterator[None]:
    """Say what somebody's code raised, and where in it, in one sentence."""
    try:
        yield
    except SeVizError:
        raise
    # A script that was meant to be run alone may end the process.
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())[:_LONGEST].rstrip(".")
        reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
        where = _place_of(error, source)
        raise NetworkError(
            f"{source.plain} failed: {_one_line(reason)} ({where}). Correct it there, and try "
            "again."
        ) from error


def _place_of(error: BaseException, source: Source) -> str:
    """Return file and line of the last step in somebody's own code: a path from its folder."""
    place = source.make.rpartition(":")[0]
    steps = [(step.filename, step.lineno) for step in traceback.extract_tb(error.__traceback__)]
    own = [(name, line) for name, line in steps if _is_own(name, place.partition(".")[0])]
    name, line = own[-1] if own else (source.plain.rpartition(":")[0], None)
    if isinstance(error, SyntaxError) and error.filename:
        name, line = error.filename, error.lineno
    name = name_in_folder(source, Path(name))
    return f"{name}:{line}" if line else name


def _is_own(name: str, package: str) -> bool:
    if name.startswith(("<", _PACKAGE)):
        return False
    library = next((folder for folder in _LIBRARY if name.startswith(folder)), "")
    # An installed package that brings the network is its author's own code all the same.
    parts = Path(name.removeprefix(library)).with_suffix("").parts
    return not library or package in parts


def _one_line(text: str) -> str:
    """Return what a stranger's code says as one line that no page obeys."""
    return "".join(show_name(text[start : start + 80]) for start in range(0, len(text), 80))
