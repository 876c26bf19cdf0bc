"""ONNX files become networks with gates, and files that mean harm end in one sentence."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from se_viz import capture_gates, load_network
from se_viz.errors import CheckpointError, SeVizError
from se_viz.networks.onnx.guesses import Guess
from se_viz.networks.onnx.loading import look_at_onnx, read_onnx
from se_viz.networks.own import forget, keep
from tests.support.onnx_files import CHANNELS, CLASSES, HOSTILE, answer, make_file

pytestmark = pytest.mark.slow

IMAGE = np.random.default_rng(1).standard_normal((2, 3, 16, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever a file holds, nothing stays on the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path))
    yield
    assert not os.listdir(tmp_path)


def test_gates_and_answers_are_those_of_the_graph():
    """Both equal the same arithmetic by plain products; a batch is taken though nobody said so."""
    network = read_onnx(make_file().SerializeToString(), name="my net.onnx")
    with torch.no_grad(), capture_gates(network.model) as records:
        logits = network.model(torch.from_numpy(IMAGE))
    expected = [answer(image) for image in IMAGE]
    assert records[0].gate.shape == (2, CHANNELS)
    for place, (gate, logit) in enumerate(expected):
        assert np.allclose(records[0].gate[place].numpy(), gate, atol=1e-6)
        assert np.allclose(logits[place].numpy(), logit, atol=1e-6)
    assert network.card.name.startswith("own/my_net-")
    assert network.classes == tuple(f"class {index}" for index in range(CLASSES))


def test_what_is_kept_loads_by_name_and_can_be_forgotten(tmp_path: Path):
    """The simplified file lies beside its card, and its hash is checked."""
    network = read_onnx(make_file().SerializeToString(), labels=list("abcd"))
    card = keep(network)
    images = torch.from_numpy(IMAGE)
    again = load_network(card.name)
    with torch.no_grad():
        assert torch.equal(again.model(images), network.model(images))
    assert again.classes == tuple("abcd")
    file = next(tmp_path.rglob("*.onnx"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match=r"was changed\. Remove it, and bring"):
        load_network(card.name)
    forget(card.name)
    assert not [*tmp_path.rglob("*.onnx"), *tmp_path.rglob("*.json")]
    file.parent.rmdir()


def test_what_it_costs_is_counted():
    """Weights of the stem, both layers of the block and the head; multiply-adds of one image."""
    card = read_onnx(make_file().SerializeToString()).card
    assert (card.parameters, card.blocks, card.se_parameters) == (216 + 16 + 16 + 32, 1, 32)
    assert card.gflops == pytest.approx((216 * 256 + 32 + 32) / 1e9)


@pytest.mark.parametrize(("last", "independent"), [("Softmax", False), ("Sigmoid", True)])
def test_probabilities_at_the_end_are_cut_off(last: str, independent: bool):
    """A second softmax would make others of them; a sigmoid says that classes are independent."""
    network = read_onnx(make_file(last=last).SerializeToString())
    with torch.no_grad():
        logits = network.model(torch.from_numpy(IMAGE[:1]))
    assert np.allclose(logits[0].numpy(), answer(IMAGE[0])[1], atol=1e-6)
    assert network.card.multi_label is independent
    assert f"The {last.lower()} at its end was cut off" in network.card.notes


def test_an_open_size_is_asked_for():
    """Where the file does not say, a photo of 224 pixels is guessed; any other may be given."""
    content = make_file(size="side").SerializeToString()
    guess = look_at_onnx(content)
    assert (guess.size, guess.fixed) == (224, False)
    assert read_onnx(content, size=32).card.input_size == 32
    with pytest.raises(CheckpointError, match=r"takes inputs of 3x16x16, and not of 3x32x32"):
        read_onnx(make_file().SerializeToString(), size=32)


def test_a_layout_that_the_file_leaves_open_is_given():
    """Sides and channels of any number may be either way round: whoever knows says it, and the
    network that is kept takes photos as before.
    """
    content = make_file(size="side", channels_last=True).SerializeToString()
    guess = look_at_onnx(content)
    assert (guess.channels_last, guess.declared) == (False, "?x?x?")
    network = read_onnx(content, size=16, channels_last=True)
    with torch.no_grad(), capture_gates(network.model) as records:
        logits = network.model(torch.from_numpy(IMAGE))
    gate, logit = answer(IMAGE[0])
    assert np.allclose(records[0].gate[0].numpy(), gate, atol=1e-6)
    assert np.allclose(logits[0].numpy(), logit, atol=1e-6)
    card = keep(network)
    with torch.no_grad():
        assert torch.equal(load_network(card.name).model(torch.from_numpy(IMAGE)), logits)
    forget(card.name)
    Path(os.environ["SE_VIZ_CACHE"], "own").rmdir()


@pytest.mark.parametrize(
    ("declared", "last", "turned"),
    [
        ((0, 3, 224), True, (224, 0, 3)),
        ((1, 600), True, (600, 1)),
        ((3, 64, 64), False, (64, 64, 3)),
    ],
)
def test_dimensions_are_read_in_the_other_order(declared, last: bool, turned):
    """There and back again it is the same; the file's own order stays what it is."""
    guess = Guess(64, True, not last, "0 to 1", (), declared)
    other = guess.laid(last)
    assert other.shape == turned
    assert other.declared == guess.declared
    assert other.laid(not last).shape == declared
    assert guess.laid(not last) == guess


def test_labels_count_as_many_as_the_answers():
    content = make_file().SerializeToString()
    assert read_onnx(content, labels=list("abcd")).classes == ("a", "b", "c", "d")
    with pytest.raises(CheckpointError, match=r"has 2 labels, and .* answers with 4 values"):
        read_onnx(content, labels=["a", "b"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_means_harm_ends_in_a_sentence(name: str):
    """And in bounded memory: what a child process took at most is less than 4 GB."""
    change, words = HOSTILE[name]
    model: ModelProto = make_file()
    change(model)
    with pytest.raises(SeVizError, match=words) as told:
        read_onnx(model.SerializeToString(), name="theirs.onnx")
    text = str(told.value)
    assert "Traceback" not in text
    assert text.endswith(".")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 * 2**20


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world", make_file().SerializeToString()[:900], b"\x0a\xff" * 99],
    ids=["empty", "text", "cut", "noise"],
)
def test_what_is_no_onnx_file_is_told(content: bytes):
    with pytest.raises(CheckpointError, match=r"no readable ONNX file|holds no network|no valid"):
        read_onnx(content, name="theirs.onnx")


def test_a_file_of_two_gigabytes_is_not_read(tmp_path: Path):
    """A sparse file: it has no blocks on the disk, and none is read."""
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(CheckpointError, match=r"has 2\.1 GB, more than the 1\.1 GB"):
        read_onnx(path)
    path.unlink()
