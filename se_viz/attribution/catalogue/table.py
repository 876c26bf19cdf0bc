"""Every attribution method as one row of a table: what it explains, what it takes, and what it
needs.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from se_viz.attribution.catalogue import GATE_METHODS
from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.catalogue.method import KINDS, PHOTO, Passes
from se_viz.attribution.catalogue.neurons import NEURON_METHODS, say_of_gate
from se_viz.attribution.catalogue.pixels import METHODS

EXPLAINED = {
    "image": "The answer, by the pixels: `attribute`",
    "feature map": "The answer, by the cells of a feature map: `attribute_layer`",
    "gates": "The answer, by the gates of a block: `attribute_gates`",
    "one gate": "One gate, by the pixels: `attribute_neuron`",
}
"""What methods explain, by what, and the function to call."""


def tabulate_methods(*, shape: tuple[int, ...] = PHOTO, channels: int = 256) -> pd.DataFrame:
    """Return one row a method and thing that it explains.

    ``explains`` is a key of ``EXPLAINED``; ``forward`` and ``backward`` are about how many images
    run there and back with the method's own options, for inputs of ``shape``, (channels, *sides),
    and a block of ``channels``; ``needs`` names what not every network has, by keys of ``NEEDS``.
    """
    return pd.DataFrame(_rows(shape, channels))


def _rows(shape: tuple[int, ...], channels: int) -> Iterator[dict[str, Any]]:
    for row in METHODS.values():
        yield _row("image", row, row.passes(shape=shape))
    for row in NEURON_METHODS.values():
        yield {
            **_row("one gate", row, row.passes(shape=shape)),
            "looks_for": say_of_gate(row, "gate"),
        }
    for row in LAYER_METHODS.values():
        yield _row("feature map", row, row.cost(row.options.get("n_steps", 1), channels))
    for row in GATE_METHODS.values():
        yield _row("gates", row, row.cost(channels))


def _row(explains: str, row: Any, passes: Passes) -> dict[str, Any]:
    forward, backward = passes
    return {
        "explains": explains,
        "method": row.key,
        "title": row.title,
        "kind": KINDS[row.kind],
        "forward": forward,
        "backward": backward,
        "needs": ", ".join(getattr(row, "needs", ())),
        "looks_for": row.looks_for,
        "source": row.source,
    }
