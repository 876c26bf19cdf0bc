"""Which curves of scored maps are in colour: those whose rows are ticked, and each keeps its
colour meanwhile.
"""

from collections.abc import Mapping, Sequence

from se_viz.attribution.scores import CONTROLS
from se_viz.charts import LIGHT
from se_viz.ui.session import keys

MOST = len(LIGHT.series)
"""How many curves are in colour at once."""

_AT_FIRST = 3


def colour_curves(ranked: Sequence[str]) -> dict[str, int]:
    """Return the number of the colour of each map that is picked, by title.

    ``ranked`` are all, the best first.

    Nobody having picked one of these, it is the best few.
    """
    ticked_titles = [title for title in keys.PICKED_CURVES.get() if title in ranked]
    colours = keep_colours(ticked_titles or ranked[:_AT_FIRST], keys.CURVE_COLOURS.get())
    keys.CURVE_COLOURS.set(colours)
    return colours


def tick_rows(titles: Sequence[str], colours: Mapping[str, int]) -> None:
    """Tick the rows of what has a colour, and no others; to be called before the table is shown."""
    keys.CURVE_ROWS.set(tuple(titles))
    rows = [row for row, title in enumerate(titles) if title in colours]
    # Only where it differs: the browser looks at what is set when that is not what was set last.
    table = keys.value_of(keys.SCORES_TABLE)
    ticked = table["selection"]["rows"] if table else []
    if ticked != rows:
        selection = {"rows": rows, "columns": [], "cells": []}
        keys.set_value(keys.SCORES_TABLE, {"selection": selection})


def pick_rows() -> None:
    """Pick the maps that people have ticked; beyond the most, what was picked first makes room."""
    rows = keys.CURVE_ROWS.get()
    before = [*keys.CURVE_COLOURS.get()]
    ticked = [rows[row] for row in keys.value_of(keys.SCORES_TABLE)["selection"]["rows"]]
    new = [title for title in ticked if title not in (*before, *CONTROLS.values())]
    stayed = [title for title in before if title in ticked]
    keys.PICKED_CURVES.set((*new, *stayed)[:MOST])


def keep_colours(titles: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """Return a colour's number for each title: the one it had, or else the lowest that is free."""
    colours = {title: before[title] for title in titles if title in before}
    free = (number for number in range(MOST) if number not in colours.values())
    return {title: colours[title] if title in colours else next(free) for title in titles}
