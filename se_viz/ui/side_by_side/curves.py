"""Which curves of scored maps are in colour: those whose rows are ticked, and each keeps its
colour meanwhile.
"""

from collections.abc import Mapping, Sequence

import streamlit as st

from se_viz.attribution.scores import CONTROLS
from se_viz.charts import LIGHT

TABLE = "scores-table"
"""Key of the table whose rows are ticked."""

MOST = len(LIGHT.series)
"""How many curves are in colour at once."""

_AT_FIRST = 3


def colour_curves(ranked: Sequence[str]) -> dict[str, int]:
    """Return the number of the colour of each map that is picked, by title.

    ``ranked`` are all, the best first.

    Nobody having picked one of these, it is the best few.
    """
    picked = [title for title in st.session_state.get("picked_curves", ()) if title in ranked]
    colours = keep_colours(picked or ranked[:_AT_FIRST], st.session_state.get("curve_colours", {}))
    st.session_state.curve_colours = colours
    return colours


def tick_rows(titles: Sequence[str], colours: Mapping[str, int]) -> None:
    """Tick the rows of what has a colour, and no others; to be called before the table is shown."""
    st.session_state.curve_rows = [*titles]
    rows = [row for row, title in enumerate(titles) if title in colours]
    # Only where it differs: the browser looks at what is set when that is not what was set last.
    if st.session_state.get(TABLE, {"selection": {"rows": []}})["selection"]["rows"] != rows:
        st.session_state[TABLE] = {"selection": {"rows": rows, "columns": [], "cells": []}}


def pick_rows() -> None:
    """Pick the maps that people have ticked; beyond the most, what was picked first makes room."""
    rows, before = st.session_state.curve_rows, [*st.session_state.curve_colours]
    ticked = [rows[row] for row in st.session_state[TABLE]["selection"]["rows"]]
    new = [title for title in ticked if title not in (*before, *CONTROLS.values())]
    st.session_state.picked_curves = [*new, *(title for title in before if title in ticked)][:MOST]


def keep_colours(titles: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """Return a colour's number for each title: the one it had, or else the lowest that is free."""
    kept = {title: before[title] for title in titles if title in before}
    free = (number for number in range(MOST) if number not in kept.values())
    return {title: kept[title] if title in kept else next(free) for title in titles}
