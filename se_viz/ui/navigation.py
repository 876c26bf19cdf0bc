"""The table of pages: navigation, links between pages, and what a page begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from se_viz.ui.session import keys


@dataclass(frozen=True, slots=True)
class PageRow:
    """One page of the app."""

    title: str
    """Its name in the navigation."""
    icon: str
    """What stands before it there: a Material symbol."""
    file: str
    """Its script, from the repository's root; its address is the file's name."""
    needs: Literal["photo", "network", "nothing"]
    """What has to be chosen before it can show anything: a photo needs a network too."""
    heading: str = ""
    """What stands above everything else on it, where that is not its title."""


ICON = Path(__file__).with_name("icon.png")
"""The app in a browser's tab: three gates."""

PAGES: Mapping[str, PageRow] = {
    "explore": PageRow("Explore", "search", "pages/explore.py", "photo", "What did the gates do?"),
    "microscope": PageRow("Open a gate", "biotech", "pages/microscope.py", "photo"),
    "surgery": PageRow("Change the gates", "tune", "pages/surgery.py", "photo"),
    "bench": PageRow("Design a block", "architecture", "pages/bench.py", "photo"),
    "counterfactuals": PageRow("Does it matter?", "balance", "pages/counterfactuals.py", "photo"),
    "attribution": PageRow("Where did it look?", "map", "pages/attribution.py", "photo"),
    "compare": PageRow("Two networks", "compare", "pages/compare.py", "photo"),
    "benefit": PageRow("What SE buys", "trending_up", "pages/benefit.py", "nothing"),
    "networks": PageRow("Networks", "hub", "pages/networks.py", "nothing"),
    "guide": PageRow("How to read it", "menu_book", "pages/guide.py", "nothing"),
}
"""Every page by name, in the order of the navigation; the first is the app's own address."""


def path_of(name: str) -> str:
    """Return the last part of a page's address; the first page has none."""
    return "" if name == next(iter(PAGES)) else Path(PAGES[name].file).stem


def link_page(name: str, label: str) -> None:
    """Show a link to a page; none where a page runs by itself, without `app.py`."""
    if page := keys.PAGES.get().get(name):
        st.page_link(page, label=label)


GUIDED: Mapping[str, str] = {
    "block": "How to read the block",
    "gate-map": "How to read the gate map",
    "opened-block": "How to read the opened block",
    "attribution": "How to read the map",
    "one-gate": "How to read the map of a gate",
    "side-by-side": "How to read methods side by side",
    "stage-by-stage": "How to read maps by stage",
    "through-the-gates": "How to read both parts",
    "healthy-gates": "How to read healthy gates",
    "stages": "How to read names of blocks",
    "limits": "What no picture shows",
}
"""Links to passages of *How to read it*, by the anchor that they lead to."""


def link_guide(passage: str) -> None:
    """Show a link to the passage of *How to read it* that is about what stands beside it."""
    if page := keys.PAGES.get().get("guide"):
        query = {keys.READ: passage}
        st.page_link(page, label=GUIDED[passage], query_params=query, width="content")
