"""The address of a page: what a link restores, and what the address bar holds.

Values come from links that anybody can write: each is checked against what can be chosen where it
is shown.

Why: docs/decisions/041-the-address-is-the-state.md
"""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import quote

import streamlit as st

from se_viz.ui.session import keys

Option = TypeVar("Option", str, int)
Number = TypeVar("Number", int, float)

_LONGEST = 4000
"""Characters of an address: what is longer is cut by mail programs and proxies."""
_LONGEST_NAME = 40
_SAFE = "/:@!*,;-_.~"
"""What needs no escape in the query of an address (RFC 3986, section 3.4), and keeps it
readable."""
OTHERS = ("embed", "embed_options")
"""What Streamlit keeps in an address."""


def take_link() -> None:
    """Note what the address holds that opened the session; once a session."""
    if keys.LINK_TAKEN.get():
        return
    keys.LINK_TAKEN.set(True)
    values = {name: st.query_params[name] for name in st.query_params if name not in OTHERS}
    if sum(len(name) + len(value) for name, value in values.items()) > _LONGEST:
        complain(
            f"The link is longer than {_LONGEST:,} characters, and was left out. Copy it anew from "
            "the page."
        )
        return
    if unknown := [name for name in values if not _is_known(name)]:
        complain(
            f"The link holds {_name(unknown[0])}, which this version does not know. The rest of it "
            "was used."
        )
    keys.LINK.set({name: value for name, value in values.items() if name not in unknown})


def take(name: str) -> str | None:
    """Return what the link holds under a name, once; None where it holds nothing."""
    link = keys.LINK.get()
    if name not in link:
        return None
    keys.LINK.set({other: value for other, value in link.items() if other != name})
    return link[name]


def complain(sentence: str) -> None:
    """Add a sentence about the link to those that the page shows."""
    keys.LINK_PROBLEMS.set((*keys.LINK_PROBLEMS.get(), sentence))


def refuse(name: str, value: str, instead: str) -> None:
    """Say that a value of the link cannot be used, and what to do instead."""
    complain(f"The link asks for {name} {_name(value)}, which does not exist here. {instead}")


def link_option(widget: str, options: Collection[Option], default: Option | None) -> None:
    """Set a picker, which stands below, from the link; from then on the address holds its choice.

    What is ``default`` is left out of the address.
    """
    note(widget, lambda: keys.value_of(widget), default)
    value = take(widget)
    if value is None:
        return
    choice = {str(option): option for option in options}.get(value)
    if choice is None:
        refuse(widget, value, "The default is shown: choose anew below.")
    else:
        keys.set_value(widget, choice)


def link_number(widget: str, *, low: Number, high: Number, default: Number) -> None:
    """Set a slider, which stands below, from the link; from then on the address holds its
    number.
    """
    note(widget, lambda: keys.value_of(widget), default)
    value = take(widget)
    if value is None:
        return
    try:
        number = type(default)(value)
    except ValueError:
        number = None
    # Also what is no number: nan is not between any two.
    if number is None or not low <= number <= high:
        refuse(widget, value, f"Choose a number from {low:g} to {high:g} below.")
    else:
        keys.set_value(widget, number)


def note(name: str, value: Callable[[], object], default: object = None) -> None:
    """Keep a value in the address of this page, unless it is its default or None."""
    keys.ADDRESS.set({**keys.ADDRESS.get(), name: (value, default)})


def begin_address(page: str) -> None:
    """Forget what the last run kept in the address: this run's page notes its own."""
    keys.ADDRESS.set({})
    keys.PAGE.set(page)


def write_address() -> str:
    """Return the query of the page's address, without the question mark."""
    values: Mapping[str, tuple[Callable[[], object], object]] = keys.ADDRESS.get()
    now = {name: (value(), default) for name, (value, default) in values.items()}
    parts = [
        f"{name}={quote(str(value), safe=_SAFE)}"
        for name, (value, default) in now.items()
        if value is not None and value != default
    ]
    return "&".join(parts)


def _is_known(name: str) -> bool:
    """Tell whether the app has anything of this name; some names go on with that of a network."""
    return any(name == known or name.startswith(f"{known}-") for known in keys.list_names())


def _name(value: str) -> str:
    short = value if len(value) <= _LONGEST_NAME else f"{value[:_LONGEST_NAME]}…"
    return f"“{short}”"
