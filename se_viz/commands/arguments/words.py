"""What every parser here shares: how words are read, and what an option's help says."""

import argparse
from typing import Any

TABLE = "file for the table: .csv, .parquet, .json or .npz"
IMAGES = "images, folders and patterns such as *.jpg"
PLOT = "file for {}: .html, or .svg, .pdf, .png with se_viz[figures]"


class _Once(argparse.Action):
    """Keeps a value, and refuses a second one: the first would count for nothing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string:
            options = getattr(namespace, "option_names", ())
            if self.dest in options:
                parser.error(f"argument {option_string}: it is given twice. Give it once.")
            if "" in (values if isinstance(values, list) else [values]):
                parser.error(
                    f"argument {option_string}: it is empty. Give it a value, or leave it out."
                )
            namespace.option_names = (*options, self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """Every option once, and in full: a part of its name may be that of a later one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)
        for kind in (None, "store"):
            self.register("action", kind, _Once)


def read_port(text: str) -> int:
    """Return the number of a port."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port: give a whole number from 1 to 65535"
        )
    return int(text)


def read_share(word: str) -> float:
    """Return a number from 0 to 1."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{word} is no number from 0 to 1")
    return value
