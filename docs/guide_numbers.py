"""Make the numbers of the pictures of *How to read it*, from a sample and the bundled network.

`PYTHONPATH=. python docs/guide_numbers.py` writes `se_viz/ui/guide/numbers.json`, in a minute or
two.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from se_viz import load_network, open_image
from se_viz.attribution.paths import trace_paths
from se_viz.attribution.pixels import attribute
from se_viz.charts import sum_cells
from se_viz.experiments import analyse
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.images.reading import list_samples

SAMPLE = "temple"
CELLS = 64
"""Channels of a row of the gate map: as many as can be told from each other."""
BLOCK = "SE_3_2"
"""Its maps are fine enough to be known for the photo's."""
LOW, HIGH = 0.25, 0.45
"""Gates between which a channel is seen to fade, and is not gone."""
FILE = Path(__file__).parents[1] / "se_viz" / "ui" / "guide" / "numbers.json"


def make_numbers() -> dict[str, Any]:
    """Compute what the pictures show."""
    network = load_network("se_resnet50_half_imagenette")
    sample = next(sample for sample in list_samples() if sample.path.stem == SAMPLE)
    image = open_image(sample.path)
    labels = label_blocks(network.inspection.sites)
    path = next(path for path, label in labels.items() if label == BLOCK)
    analysis = analyse(network, image, keep_features=[path])
    inputs = network.preprocess(image)
    target = int(analysis.logits.argmax())
    cells = sum_cells(attribute(network, inputs, target).map.numpy())
    trace = trace_paths(network, inputs, target)
    return {
        "sample": SAMPLE,
        "network": network.card.title,
        "answer": network.classes[target],
        "gates": {
            labels[record.name]: _round(record.gate[0, :CELLS]) for record in analysis.records
        },
        "channel": _choose_channel(analysis.record(path)),
        "map": _round(cells / np.abs(cells).max()),
        "rise": round(trace.rise, 2),
        "flows": {name: _round([flow.bypass, flow.carried]) for name, flow in trace.flows.items()},
    }


def _choose_channel(record: GateRecord) -> dict[str, Any]:
    """Return a channel that fades: of those with such gates the one whose map has most contrast."""
    assert record.features is not None
    gates = record.gate[0]
    contrast = record.features[0].std((1, 2))
    fades = (gates > LOW) & (gates < HIGH)
    channel = int(contrast.where(fades, -1.0).argmax())
    features = record.features[0, channel].numpy()
    return {
        "block": BLOCK,
        "number": channel,
        "gate": round(gates[channel].item(), 2),
        "map": _round(features / np.abs(features).max()),
    }


def _round(values: Any) -> list[Any]:
    """Return two decimals, which is finer than what a picture shows."""
    return (np.round(np.asarray(values, dtype=float), 2) + 0.0).tolist()


if __name__ == "__main__":
    FILE.write_text(json.dumps(make_numbers(), separators=(",", ":")) + "\n", encoding="utf-8")
