"""Networks of one's own that can be loaded by name: what whoever runs the program has listed.

They come from `se_viz app --network`, from a configuration and from installed packages. Free of
PyTorch.
"""

import os
from pathlib import Path

from se_viz.networks.sources import Source, source_from_json

NETWORK = "SE_VIZ_NETWORK"
"""Environment variable, set by `se_viz app --network`: the name of a listed network, or one of
one's own as `source_to_json` writes it."""


def list_given(config: Path | str | None = None) -> tuple[Source, ...]:
    """Return the sources of all networks of one's own, that of the command line first."""
    return _from_command_line()


def find_source(name: str, config: Path | str | None = None) -> Source | None:
    """Return the source of a name, or None where nobody has given one of this name."""
    return next((source for source in list_given(config) if source.name == name), None)


def first_name() -> str:
    """Return the name of the network that the app begins with; empty where none was named."""
    named = _from_command_line()
    return named[0].name if named else os.environ.get(NETWORK, "")


def _from_command_line() -> tuple[Source, ...]:
    text = os.environ.get(NETWORK, "")
    return (source_from_json(text),) if text.startswith("{") else ()
