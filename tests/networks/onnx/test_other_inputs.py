"""ONNX files whose inputs are no photos: sound, channels, volumes, grey images."""

import types
from pathlib import Path

import pytest
import torch
from torch import nn

from se_viz import capture_gates, load_network
from se_viz.errors import CheckpointError, NetworkError
from se_viz.experiments import analyse
from se_viz.networks.card import card_from_json, card_to_json
from se_viz.networks.network import Network
from se_viz.networks.onnx.loading import look_at_onnx, read_onnx
from se_viz.networks.own import forget, keep
from tests.support.other_inputs import KINDS, NET, TimeFirst, file_for

pytestmark = pytest.mark.slow

NETS = types.ModuleType("nets")
exec(NET, NETS.__dict__)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keep networks in a folder of the test's own."""
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))


def export(name: str, folder: Path) -> tuple[Network, Path]:
    """Return a network of each kind, and its ONNX file."""
    way, shape = KINDS[name]
    model = getattr(NETS, name)().eval()
    path = folder / f"{name}.onnx"
    torch.onnx.export(
        model, (torch.randn(1, *shape),), path, verbose=False, external_data=False, dynamo=True
    )
    return Network.from_model(model, input_size=shape, preprocess=way), path


@pytest.mark.parametrize("name", KINDS)
def test_a_file_gives_the_modules_gates_for_the_same_input(name: str, tmp_path: Path):
    """Read by its way, run and captured; kept, it loads by name and reads as before."""
    expected, path = export(name, tmp_path)
    way, shape = KINDS[name]
    network = read_onnx(path, preprocess=way)
    assert network.card.shape == shape
    assert network.card.preprocess == way
    content = file_for(name)[1]
    inputs = network.prepare(content, confined=True)
    torch.testing.assert_close(inputs, expected.prepare(content), atol=0, rtol=0)
    one, other = analyse(expected, inputs), analyse(network, inputs)
    torch.testing.assert_close(other.logits, one.logits, atol=1e-5, rtol=1e-4)
    for first, second in zip(one.records, other.records, strict=True):
        torch.testing.assert_close(second.gate, first.gate, atol=1e-6, rtol=1e-5)
    assert network.card.parameters >= expected.card.parameters - 8
    card = keep(network)
    again = load_network(card.name)
    torch.testing.assert_close(again.prepare(content), inputs, atol=0, rtol=0)
    with torch.no_grad(), capture_gates(again.model) as records:
        again.model(inputs)
    torch.testing.assert_close(records[0].gate, other.records[0].gate, atol=0, rtol=0)
    forget(card.name)


def test_samples_with_channels_last(tmp_path: Path):
    """Signals may have their channels last too; nobody can tell it from the file."""
    model = nn.Sequential(TimeFirst(), NETS.signal()).eval()
    path = tmp_path / "turned.onnx"
    torch.onnx.export(
        model, (torch.randn(1, 600, 1),), path, verbose=False, external_data=False, dynamo=True
    )
    assert look_at_onnx(path).shape == (600, 1)
    network = read_onnx(path, preprocess="waveform", channels_last=True)
    assert network.card.shape == (1, 600)
    inputs = network.prepare(file_for("signal")[1])
    with torch.no_grad():
        expected = model[1](inputs)
        torch.testing.assert_close(network.model(inputs), expected, atol=1e-5, rtol=1e-4)


def test_the_shape_is_read_off_the_file(tmp_path: Path):
    """What is a photo is told from what is none."""
    _, path = export("signal", tmp_path)
    guess = look_at_onnx(path)
    assert guess.shape == (1, 600)
    assert not guess.photo


def test_without_a_way_the_sentence_names_some(tmp_path: Path):
    """A sound is no photo."""
    _, path = export("signal", tmp_path)
    with pytest.raises(NetworkError, match=r"inputs of 1x600, .* e\.g\. preprocess waveform\."):
        read_onnx(path)
    with pytest.raises(NetworkError, match="grey makes inputs of 1 x height x width"):
        read_onnx(path, preprocess="grey")
    with pytest.raises(CheckpointError, match="takes inputs of 1x600, and not of 1x500"):
        read_onnx(path, preprocess="waveform", shape=(1, 500))


def test_by_its_name_with_the_options_of_the_command_line(tmp_path: Path):
    """`load_network("net.onnx", preprocess=..., input=...)`."""
    _, path = export("mel", tmp_path)
    network = load_network(str(path), preprocess="log-mel:hop=80", input="1x32x48")
    assert network.prepare(file_for("mel")[1]).shape == (1, 1, 32, 48)


def test_a_card_names_no_code(tmp_path: Path):
    """Ready ways alone: a card may have been written by anybody."""
    _, path = export("mel", tmp_path)
    values = card_to_json(read_onnx(path, preprocess="log-mel").card)
    assert card_from_json(values, source="card").shape == (1, 32, 48)
    for text in ("os:system", "net.py:make", "nothing"):
        with pytest.raises(CheckpointError, match="preprocess is"):
            card_from_json({**values, "preprocess": text}, source="card")
    with pytest.raises(CheckpointError, match="input_shape is"):
        card_from_json({**values, "input_shape": [1, -3]}, source="card")
