"""A network and a photo in a notebook: one call, and an object that draws itself.

Nothing in what it draws needs the internet, or a notebook's own scripts.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch import nn

from se_viz import charts
from se_viz.attribution.catalogue import find_method
from se_viz.attribution.pixels import attribute
from se_viz.attribution.question import Attribution
from se_viz.charts import LIGHT, Figure, Map
from se_viz.experiments import Analysis, analyse
from se_viz.gates.tables import gather_gates, summarise_blocks
from se_viz.images import open_image
from se_viz.networks import Network

_OPACITY = 0.8
_MARGIN = 24
_CELL = "padding:2px 12px 2px 0;text-align:left;border:0"


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a network made of one photo: its answer, every gate, and a map of its best class."""

    network: Network
    image: Image.Image
    """The square that the network saw."""
    analysis: Analysis
    attribution: Attribution

    @property
    def answer(self) -> pd.DataFrame:
        """The five most probable classes, best first: columns ``class`` and ``probability``."""
        rows = self.analysis.top()
        return pd.DataFrame(
            {
                "class": [self.network.classes[index] for index, _ in rows],
                "probability": [value for _, value in rows],
            }
        )

    @property
    def blocks(self) -> pd.DataFrame:
        """One row an SE block: mean and spread of its gates, and shares near 0, 0.5 and 1."""
        return summarise_blocks(self.analysis.records)

    @property
    def gates(self) -> Figure:
        """The gate map: every gate of every block, on the range of the gate function."""
        table = gather_gates(self.analysis.records)
        span = charts.gate_span(self.network.inspection.sites, table["gate"])
        return charts.draw_gates(table, LIGHT, gates=span)

    @property
    def map(self) -> Image.Image:
        """The attribution over the photo in grey, red for and blue against the class where it has
        a sign.
        """
        values = Map(self.attribution.map.numpy(), self.attribution.signed)
        reach = charts.fit_reach([values])
        return charts.paint_map(self.image, values, LIGHT, reach=reach, opacity=_OPACITY)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        explained = escape(self.network.classes[self.attribution.target])
        pictures = (
            (self.image, "What the network saw"),
            (self.map, f"{find_method(self.attribution.method).title} for {explained}"),
        )
        figures = "".join(
            f'<figure style="margin:0"><img src="{charts.to_uri(picture)}" width="224" '
            f'alt="{words}"><figcaption>{words}</figcaption></figure>'
            for picture, words in pictures
        )
        # A frame of its own: its scripts and styles touch nothing of the notebook.
        figure = self.gates
        page = escape(charts.to_html(figure, LIGHT).decode())
        height = dict(figure.to_dict()["layout"])["height"] + _MARGIN
        return (
            f'<div style="display:flex;gap:24px;flex-wrap:wrap">{figures}{self._rows()}</div>'
            f'<iframe title="Every gate of every block" srcdoc="{page}" '
            f'style="width:100%;height:{height}px;border:0"></iframe>'
        )

    def _rows(self) -> str:
        rows = "".join(
            f'<tr><td style="{_CELL}">{escape(name)}</td><td style="{_CELL}">{value:.1%}</td></tr>'
            for name, value in self.answer.itertuples(index=False)
        )
        return f'<table style="align-self:start">{rows}</table>'


def show(
    network: Network | nn.Module, image: Image.Image | Path | str | bytes, method: str = "grad_cam"
) -> Shown:
    """Run one photo through a network, and return what a notebook draws as the last line of a cell.

    A model is taken as `Network.from_model` does: ImageNet's normalisation, 224 pixels, numbered
    classes; make a `Network` of it to say otherwise. ``image`` is a Pillow image, a path, or the
    bytes of a file. ``method`` is a key of the attribution catalogue, and explains the best class.

    Raises:
        SeVizError: as `Network.from_model`, `open_image`, `analyse` and `attribute`.
    """
    if isinstance(network, nn.Module):
        network = Network.from_model(network)
    photo = image if isinstance(image, Image.Image) else open_image(image)
    analysis = analyse(network, photo)
    best = int(np.argmax(analysis.logits.numpy()))
    result = attribute(network, network.preprocess(photo), best, method)
    return Shown(network, network.crop(photo), analysis, result)
