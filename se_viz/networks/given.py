"""Networks of one's own that can be loaded by name: what whoever runs the program has listed.

They come from `se_viz app --network`, from a configuration and from installed packages. Free of
PyTorch, and nothing is run.
"""

import os
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from se_viz.errors import NetworkError
from se_viz.names import show_name
from se_viz.networks import checkpoints
from se_viz.networks.config import Config, read_config
from se_viz.networks.sources import Source, is_name, make_source, source_from_json

NETWORK = "SE_VIZ_NETWORK"
"""Environment variable, set by `se_viz app --network`: the name of a listed network, or one of
one's own as `source_to_json` writes it."""
GROUP = "se_viz.networks"
"""Group of entry points by which a package brings networks: each is a name and what makes it."""


def list_named(config: Path | str | None = None) -> tuple[Source, ...]:
    """Return the networks of the command line and of the configuration."""
    named = _from_command_line()
    taken = {source.name for source in named}
    listed = read_config(config).sources
    return (*named, *(source for source in listed if source.name not in taken | _bundled()))


def list_installed(config: Path | str | None = None) -> tuple[Source, ...]:
    """Return the networks that installed packages bring, apart from those whose names are taken."""
    taken = _bundled() | {source.name for source in list_named(config)}
    return tuple(source for source in _installed().sources if source.name not in taken)


def problems_of(config: Path | str | None = None) -> dict[str, str]:
    """Return why networks are left out, by name; of a whole file, by the file's name."""
    listed = read_config(config)
    installed = _installed()
    return {
        **({listed.title: listed.problem} if listed.problem else {}),
        **installed.problems,
        **_taken(installed, _bundled() | {source.name for source in list_named(config)}),
        **listed.problems,
        **_taken(listed, _bundled()),
    }


def find_source(name: str, config: Path | str | None = None) -> Source | None:
    """Return the source of a name, or None where nobody has given one of this name."""
    sources = (*list_named(config), *list_installed(config))
    return next((source for source in sources if source.name == name), None)


def first_name() -> str:
    """Return the name of the network that the app begins with; empty where none was named."""
    named = _from_command_line()
    return named[0].name if named else os.environ.get(NETWORK, "")


def _from_command_line() -> tuple[Source, ...]:
    text = os.environ.get(NETWORK, "")
    return (source_from_json(text),) if text.startswith("{") else ()


def _bundled() -> set[str]:
    return {Path(name).stem for name in checkpoints.list_files()}


def _taken(config: Config, names: set[str]) -> dict[str, str]:
    """Say of networks whose name another one has: which of the two is meant nobody could tell."""
    return {
        source.name: f"{config.title}: the network {source.name} has the name of another one. "
        "Rename it."
        for source in config.sources
        if source.name in names
    }


def _installed() -> Config:
    return _scan(tuple(sys.path))


@lru_cache(maxsize=1)
def _scan(path: tuple[str, ...]) -> Config:
    """Look once for what packages on a path bring: it takes time with their number."""
    sources: list[Source] = []
    problems: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            sources.append(_source_of(point))
        except NetworkError as error:
            problems[show_name(point.name)] = str(error)
    return Config(tuple(sources), problems, "An installed package")


def _source_of(point: EntryPoint) -> Source:
    package = f"package {point.dist.name}" if point.dist else "an installed package"
    if not is_name(point.name):
        raise NetworkError(
            f"The network {show_name(point.name)!r} of {package} has no name of letters, digits, "
            "and _ - + . between them. Ask its author to rename the entry point."
        )
    make = f"{point.module}:{point.attr}" if point.attr else point.module
    try:
        return make_source(make, name=point.name, origin=package, installed=True)
    except NetworkError as error:
        raise NetworkError(f"The network {point.name} of {package}: {error}") from error
