"""Names that strangers wrote, of files and in files, made fit for a sentence, a table or a line of
a terminal.
"""

import os
import re
import unicodedata
from pathlib import Path

_MOST = 80
# Control, format (which turns the direction of writing), surrogate, unassigned; ends of lines.
_UNFIT = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINES = re.compile("[\t\n\r\u2028\u2029]")


def show_name(name: object) -> str:
    """Return a name as one line of at most 80 letters that no terminal or page obeys."""
    text = str(name)
    short = text if len(text) <= _MOST else text[: _MOST - 1] + "…"
    # A backtick would end what a page shows as code.
    return "".join(_fit(letter) for letter in short)


def name_path(path: Path | str) -> str:
    """Return a path as text for a table: bytes that are no UTF-8 are written as ``\\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def show_path(path: Path | str) -> str:
    r"""Return a path as text for one line of a terminal.

    It is as `name_path` has it, with line ends and controls as ``\n``.
    """
    return show_text(name_path(path))


def show_text(text: str) -> str:
    r"""Return text for one line of a terminal: line ends and controls as ``\n``."""
    return escape_controls(_LINES.sub(_escape, text))


def escape_controls(text: str) -> str:
    """Return text of several lines without a character that moves or colours anything on a
    terminal.
    """
    return _CONTROLS.sub(_escape, text)


def _fit(letter: str) -> str:
    if letter == "`":
        return "'"
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in _UNFIT else letter


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
