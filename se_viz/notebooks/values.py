"""Attributions as a notebook draws them: a map on white, since they hold no photo, and a table."""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from html import escape

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from se_viz import charts
from se_viz.attribution.catalogue import (
    GATE_METHODS,
    LAYER_METHODS,
    find_method,
    find_neuron_method,
)
from se_viz.attribution.gates import GateAttribution
from se_viz.attribution.paths import Flow, Trace
from se_viz.attribution.question import (
    WHERE,
    Attribution,
    LayerAttribution,
    NeuronAttribution,
    Target,
)
from se_viz.charts import LIGHT, Map

_WIDTH = 224
_STRONGEST = 5
"""Channels at each end of a table of gates."""
_ROW = "display:flex;gap:24px;flex-wrap:wrap;align-items:flex-start"


@singledispatch
def draw(value: object) -> str:
    """Return a value of the library as HTML that needs nothing from elsewhere.

    Raises:
        TypeError: nothing here draws values of its kind.
    """
    raise TypeError(f"{type(value).__name__} is not drawn in a notebook.")


@draw.register
def draw_attribution(value: Attribution) -> str:
    """Return the map with what it explains."""
    title = find_method(value.method).title
    rows = {
        "explains": _name_target(Target(value.target, value.against)),
        "completeness error": _logits(value.completeness_error),
        "seconds": f"{value.seconds:.2f}",
    }
    return _lay_out([_figure(value.map, title, signed=value.signed)], _table(rows))


@draw.register
def draw_neuron(value: NeuronAttribution) -> str:
    """Return the map of one gate with the gate itself."""
    neuron = value.neuron
    title = find_neuron_method(value.method).title
    explained = "before its gate function" if neuron.logit else "gate"
    rows = {
        "explains": f"{explained} #{neuron.channel} of {neuron.block}",
        "value": f"{value.value:.3f}",
        "seconds": f"{value.seconds:.2f}",
    }
    return _lay_out([_figure(value.map, title, signed=value.signed)], _table(rows))


@draw.register
def draw_layer(value: LayerAttribution) -> str:
    """Return the map on the grid of its layer."""
    height, width = value.map.shape
    title = LAYER_METHODS[value.method].title
    rows = {
        "explains": _name_target(value.target),
        "layer": f"{WHERE[value.layer.where]}: {value.layer.of}",
        "grid": f"{height} x {width}, {len(value.values)} channels",
        "seconds": f"{value.seconds:.2f}",
    }
    return _lay_out([_figure(value.map, title, signed=value.signed)], _table(rows))


@draw.register
def draw_gates(value: GateAttribution) -> str:
    """Return the channels at both ends, the most first."""
    numbers = value.values.numpy()
    order = np.argsort(-numbers, kind="stable")
    if len(order) > 2 * _STRONGEST:
        order = np.concatenate([order[:_STRONGEST], order[-_STRONGEST:]])
    channels = pd.DataFrame({"channel": order, "value": numbers[order]})
    rows = {
        "method": GATE_METHODS[value.method].title,
        "block": value.block,
        "channels": str(len(numbers)),
        "past the gates": _logits(value.bypass),
        "error": _logits(value.error),
    }
    return _lay_out([], _table(rows), channels.to_html(index=False, float_format="%+.4f"))


@draw.register
def draw_flow(value: Flow) -> str:
    """Return both parts of the rise, and where the one past the gates came from."""
    past = _figure(value.map, "Past the gates", signed=True)
    return _lay_out([past], _flows({"": value}))


@draw.register
def draw_trace(value: Trace) -> str:
    """Return the parts of the rise for each set of gates, and the maps of the first set."""
    rows = {
        "explains": _name_target(value.target),
        "rise": f"{value.before:.3f} to {value.after:.3f}: {value.rise:+.3f} logits",
        "steps": f"{value.steps}, which miss {value.miss:.3f} logits",
    }
    maps: dict[str, Tensor] = {}
    if value.flows:
        name = next(iter(value.flows))
        maps = {
            f"Past the gates of {name}": value.flows[name].map,
            f"Through the gates of {name}": value.gate_map(name),
        }
    # One scale: what is pale beside the other is small beside it.
    reach = charts.fit_reach([Map(item.numpy(), signed=True) for item in maps.values()] or [_ZERO])
    figures = [_figure(item, words, signed=True, reach=reach) for words, item in maps.items()]
    return _lay_out(figures, _table(rows), _flows(value.flows))


_ZERO = Map(np.zeros((1, 1)), signed=True)


def _flows(flows: Mapping[str, Flow]) -> str:
    table = pd.DataFrame(
        {
            "set of gates": [*flows],
            "past them, logits": [flow.bypass for flow in flows.values()],
            "through them, logits": [flow.carried for flow in flows.values()],
            "error": [flow.error for flow in flows.values()],
        }
    )
    return table.to_html(index=False, float_format="%+.3f")


def _figure(values: Tensor, words: str, *, signed: bool, reach: float | None = None) -> str:
    """Return a map on white: red for, blue against, where it has a sign."""
    drawn = Map(values.numpy(), signed)
    ground = Image.new("RGB", drawn.values.shape[::-1], "white")
    reach = charts.fit_reach([drawn]) if reach is None else reach
    picture = charts.paint_map(ground, drawn, LIGHT, reach=reach, opacity=1.0)
    if picture.width < _WIDTH:
        # The cells of a layer's grid stay squares.
        height = round(picture.height * _WIDTH / picture.width)
        picture = picture.resize((_WIDTH, height), Image.Resampling.NEAREST)
    words = escape(words)
    return (
        f'<figure style="margin:0"><img src="{charts.to_uri(picture)}" width="{_WIDTH}" '
        f'alt="{words}"><figcaption>{words}</figcaption></figure>'
    )


def _table(rows: Mapping[str, str]) -> str:
    table = pd.DataFrame({"": [*rows], " ": [*rows.values()]})
    return table.to_html(index=False, header=False)


def _lay_out(figures: Sequence[str], *tables: str) -> str:
    return f'<div style="{_ROW}">{"".join(figures)}{"".join(tables)}</div>'


def _name_target(target: Target) -> str:
    name = f"class {target.index}"
    return name if target.against is None else f"{name} against class {target.against}"


def _logits(value: float | None) -> str:
    return "nothing promised" if value is None else f"{value:+.3f} logits"
