"""Words of users on a page: names of files and classes may hold Markdown, which must not be drawn."""

import re

# What Markdown acts on anywhere, around words, in addresses and names of icons, and at the beginning.
_ACTIVE = re.compile(r"[\\\[\]<>*~$&@]|(?<!\w)_|_(?!\w)|:(?=//)|:(?=[\w+\-/]+:)|(?<=www)\.|^[#+\-=|]|(?<=^\d)[.)]")


def plain(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|$:~<>&])", r"\\\1", text)


def as_markdown(text: object) -> str:
    """Return Markdown that shows a sentence of se_viz: what stands in backticks as code, the rest as it is.

    Names of tensors, files and classes stand in it. What Markdown does not act on stays readable.
    """
    parts = " ".join(str(text).split()).split("`")
    if len(parts) % 2 == 0:
        # A backtick too many opens nothing.
        parts[-2:] = ["'".join(parts[-2:])]
    return "".join(
        f"`{part}`" if place % 2 and part else _ACTIVE.sub(r"\\\g<0>", part) for place, part in enumerate(parts)
    )
