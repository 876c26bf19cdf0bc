"""A network that Keras has exported: channels last, pixels as they are in a file, a softmax."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from se_viz import capture_gates, open_gate
from se_viz.networks.onnx.loading import look_at_onnx, read_onnx
from tests import ROOT

pytestmark = pytest.mark.slow


def test_answer_and_gates_are_those_of_keras(tmp_path: Path):
    """Layout and pixel values are read off the file; the softmax is cut off its end."""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.keras_export", str(tmp_path)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)},
    )
    file = tmp_path / "net.onnx"
    guess = look_at_onnx(file)
    assert (guess.size, guess.channels_last, guess.normalisation) == (32, True, "0 to 255")
    network = read_onnx(file)
    numbers = np.load(tmp_path / "numbers.npz")
    image = torch.from_numpy(numbers["image"]).permute(0, 3, 1, 2)
    with torch.no_grad(), capture_gates(network.model) as records:
        answer = network.model(image).softmax(-1)
    assert np.allclose(answer.numpy(), numbers["answer"], atol=1e-6)
    assert np.allclose(records[0].gate.numpy(), numbers["gate"].reshape(1, 16), atol=1e-6)
    excitation = open_gate(network.model, records[0])
    assert (len(excitation.hidden), excitation.delta, excitation.exact) == (4, "ReLU", True)
    assert np.allclose(excitation.gate.numpy(), numbers["gate"].reshape(16), atol=1e-6)
    assert network.card.std == (1 / 255, 1 / 255, 1 / 255)
