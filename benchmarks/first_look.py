"""What the first page shows before the first click: one sample through the bundled network.

python -m benchmarks.first_look

Writes the file that `se_viz.ui.explore.first_look` reads: run it again when the network, the sample
or the order of channels changes. A test compares the file with the network.
"""

import numpy as np
from torch import Tensor

from se_viz import attribute, load_network
from se_viz.experiments import Analysis, analyse
from se_viz.gates.tables import gather_gates, label_blocks
from se_viz.images import list_samples, open_image
from se_viz.networks import Network
from se_viz.ui.explore.first_look import FILE

NETWORK = "se_resnet50_half_imagenette"
SAMPLE = "temple"
_SHOWN = 4


def main() -> None:
    """Write the file."""
    arrays = compute(load_network(NETWORK, device="cpu"))
    np.savez_compressed(FILE, allow_pickle=False, **arrays)
    print(f"{FILE.name}: {FILE.stat().st_size / 1024:.0f} KiB")


def compute(network: Network) -> dict[str, np.ndarray]:
    """Return what the first page shows: answer, gates, Grad-CAM, and a few channels of one block
    before their gates.
    """
    sample = next(sample for sample in list_samples() if sample.name == SAMPLE)
    photo = open_image(sample.path, trusted=True)
    block = _uneven(analyse(network, photo))
    analysis = analyse(network, photo, keep_features=[block])
    record = analysis.record(block)
    assert record.features is not None
    features = record.features[0]
    channels = _choose(record.gate[0], features)
    answers, shares = zip(*analysis.top(5), strict=True)
    heat = attribute(network, network.preprocess(photo), answers[0], "grad_cam").map.numpy()
    table = gather_gates(analysis.records)
    return {
        "sample": np.array(SAMPLE),
        "network": np.array(NETWORK),
        "title": np.array(network.card.title),
        "side": np.array(network.card.view.size),
        "names": np.array([network.classes[index] for index in answers]),
        "shares": np.array(shares, dtype=np.float32),
        # 1/255 of the largest value is finer than the colours of a screen.
        "heat": np.rint(255 * heat / np.abs(heat).max()).astype(np.uint8),
        "paths": np.array([record.name for record in analysis.records]),
        "blocks": np.array([*label_blocks(analysis.records).values()]),
        "stages": np.array([record.stage for record in analysis.records]),
        "channels": np.array([record.gate.shape[1] for record in analysis.records]),
        "gates": table["gate"],
        "block": np.array(label_blocks(analysis.records)[block]),
        "shown": np.array(channels),
        "squeezes": record.squeeze[0, channels].numpy(),
        "features": features[channels].numpy().astype(np.float16),
    }


def _uneven(analysis: Analysis) -> str:
    """Return the block of the finest maps among those whose gates differ, so that they can be
    seen.
    """
    early = [record for record in analysis.records if record.stage == 3]
    return max(early, key=lambda record: float(record.gate.std())).name


def _choose(gates: Tensor, features: Tensor) -> list[int]:
    """Return channels from the highest gate to the lowest, evenly apart, of the half whose maps
    have the most to see.
    """
    relief = features.std((1, 2))
    order = gates.argsort(descending=True)
    order = order[relief[order] >= relief.median()].tolist()
    return [order[round(at * (len(order) - 1) / (_SHOWN - 1))] for at in range(_SHOWN)]


if __name__ == "__main__":
    main()
