"""Words of users on a page: names of files, classes and networks may hold Markdown, which must not
be drawn.
"""

import re

_MARKS = re.compile(
    r"[\\`*\[\]$~]"
    # Not inside of a word, as in SE_4_3.
    r"|_(?![^\W_])|(?<![^\W_])_"
    # Colours, HTML, addresses and entities.
    r"|:(?=[A-Za-z])|<(?=[\w/!?])|&(?=[#\w])"
    # Inside of what Streamlit looks for when all marks are read, where a backslash helps no more:
    # symbols as :cat:, icons, addresses and arrows.
    r"|(?P<late>(?<=:[\w+-])(?=[\w+-]*:)|(?<=:m)(?=aterial/)|(?<=:/)(?=/)|(?<=[Ww])(?=[Ww]{2}\.)|(?=@)"
    r"|(?<=[-<>~])(?=[-=>]))"
)
"""What Markdown reads as more than itself."""

_BEGINNING = re.compile(r"\A(\d+(?=[.)])|(?=[-+>|=#]))")
"""Before what it reads so at the beginning of a line alone: headings, quotations, tables and
lists."""

_NOTHING = ":small[]"
"""Markdown of Streamlit that draws nothing, and parts what stands before it from what comes
after."""

_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that set the direction of writing."""

_CODE = re.compile(r"(`[^`]+`)")

_BETWEEN = re.compile(r"(?<=[.!?])(?<! al\.) (?=[A-Z`*])")
"""Where one of our own sentences ends and the next begins."""


def plain(text: str) -> str:
    """Return Markdown that shows a text as it is, in one line: no mark, link, picture, symbol or
    arrow comes of it.
    """
    escaped = _BEGINNING.sub(r"\1\\", _escape(" ".join(text.splitlines()).strip()))
    if not _TURNS.search(escaped):
        return escaped
    # What a text says of the direction of writing holds for itself alone, also where it ends an
    # isolate.
    depth = 1 + escaped.count("\u2069")
    return "\u2068" * depth + escaped + "\u2069" * depth


def as_markdown(text: object) -> str:
    """Return Markdown that shows a sentence of se_viz: what stands in backticks as code, the rest
    as it is.
    """
    parts = _CODE.split(" ".join(str(text).split()))
    words = "".join(part if number % 2 else _escape(part) for number, part in enumerate(parts))
    return _BEGINNING.sub(r"\1\\", words)


def split_words(text: str) -> tuple[str, str]:
    """Return the first two sentences of a text of ours, which stand in a caption, and the rest,
    for its help mark.
    """
    sentences = _BETWEEN.split(text)
    return " ".join(sentences[:2]), " ".join(sentences[2:])


def code(text: str) -> str:
    """Return Markdown that shows a name or path as code, whatever it holds."""
    line = " ".join(text.splitlines())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    # A space at either end is not drawn, and keeps backticks of the text apart.
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def _escape(text: str) -> str:
    return _MARKS.sub(lambda match: f"\\{match[0]}" if match["late"] is None else _NOTHING, text)
