"""Words of users on a page: names of files and classes may hold Markdown, which must not be drawn."""

import re


def plain(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|$:~<>&])", r"\\\1", text)
