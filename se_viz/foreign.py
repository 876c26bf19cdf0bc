"""Names that strangers wrote, in files or as names of files, made fit to stand in a sentence."""

import unicodedata

_MOST = 80
# Control, format (which turns the direction of writing), surrogate, unassigned; ends of lines.
_UNFIT = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def show_name(name: object) -> str:
    """Return a name as one line of at most 80 letters that no terminal or page obeys."""
    text = str(name)
    short = text if len(text) <= _MOST else text[: _MOST - 1] + "…"
    # A backtick would end what a page shows as code.
    return "".join(_fit(letter) for letter in short)


def _fit(letter: str) -> str:
    if letter == "`":
        return "'"
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in _UNFIT else letter
