"""Gates of ONNX files that others trained, beside the values that onnxruntime computes.

python -m benchmarks.elsewhere net.onnx=3x48x192 other.onnx=3x64x64

Each file is read as the app reads it, and runs once on noise. Prints how many blocks it has, and
the largest difference of a gate from onnxruntime's own value. docs/your-network.md names files.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper

from benchmarks.measure import as_table
from se_viz import capture_gates
from se_viz.networks.onnx.child import prepare
from se_viz.networks.onnx.conversion import convert_model
from se_viz.networks.sources import read_input


def main(words: list[str]) -> None:
    """Print a table, a row a file."""
    rows = []
    for word in words:
        path, _, sides = word.rpartition("=")
        count, difference = compare(Path(path), read_input(sides))
        rows.append([Path(path).name, sides, str(count), f"{difference:.1e}"])
    print(as_table(["file", "input", "gates", "largest difference"], rows))


def compare(path: Path, shape: tuple[int, ...]) -> tuple[int, float]:
    """Return the number of blocks, and the largest difference between a gate and onnxruntime's."""
    out = BytesIO()
    prepare(
        memoryview(path.read_bytes()), out, title=path.name, shape=[*shape], channels_last=False
    )
    ready = onnx.load_model_from_string(out.getvalue().partition(b"\n")[2])
    converted = convert_model(ready, channels_last=False)
    images = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
    with torch.no_grad(), capture_gates(converted) as records:
        converted(torch.from_numpy(images))
    products = {node.name: node for node in ready.graph.node}
    differences = [
        np.abs(
            record.gate.numpy()
            - run_for_gate(ready, [*products[record.block].input], images, record.gate.shape)
        ).max()
        for record in records
    ]
    return len(records), float(max(differences))


def run_for_gate(
    model: onnx.ModelProto, names: list[str], images: np.ndarray, shape: torch.Size
) -> np.ndarray:
    """Return the factor of a product that has one value a channel, as onnxruntime computes it:
    (images, channels) for the names of both factors.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    copy.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    session = onnxruntime.InferenceSession(copy.SerializeToString())
    given = session.get_inputs()[0].name
    rows = []
    for image in images:
        values = [np.asarray(value) for value in session.run(names, {given: image[None]})]
        # Some networks spread a gate over its map before they multiply.
        channels = [value.reshape(shape[1], -1) for value in values if value.size >= shape[1]]
        rows.append(next(value[:, 0] for value in channels if not np.ptp(value, axis=1).any()))
    return np.stack(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
