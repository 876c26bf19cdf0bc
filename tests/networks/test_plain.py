"""Networks without SE blocks, which stand second in a comparison: loaded where that is asked for,
answered and explained, and refused by all that needs gates.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.pixels import attribute, judge_method
from se_viz.engine import LocalEngine
from se_viz.engine.questions import Analyse, Case
from se_viz.errors import AttributionError, NoSEBlocksError
from se_viz.experiments import analyse
from se_viz.networks import Network, list_networks, load_network
from tests.support.photos import noise
from tests.support.plain import write_plain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a plain network's code, and a list that names it."""
    monkeypatch.chdir(tmp_path)
    write_plain(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def resnet() -> Network:
    """ResNet-18 of torchvision, untrained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torchvision.models.resnet18(num_classes=3)
    return Network.from_model(model, input_size=64, plain=True)


LOADS: dict[str, Callable[..., Network]] = {
    "code that makes a model": lambda **words: load_network("net.py:plain", "cpu", **words),
    "code that makes a network": lambda **words: load_network("net.py:network", "cpu", **words),
    "a listed name": lambda **words: load_network("resnet", "cpu", **words),
}


@pytest.mark.parametrize("way", LOADS)
def test_a_plain_network_loads_where_that_is_asked_for_alone(folder: Path, way: str):
    """Whoever looks at gates is told at once that there are none; whoever compares is not."""
    with pytest.raises(NoSEBlocksError, match="ResNet has no squeeze-and-excitation block"):
        LOADS[way]()
    network = LOADS[way](plain=True)
    assert network.inspection.sites == ()
    assert network.lack.startswith("ResNet has no squeeze-and-excitation block")


def test_a_network_with_blocks_lacks_nothing(network: Network):
    """The word is empty, also where plain networks are let in."""
    again = Network.from_model(network.model, input_size=64, plain=True)
    assert network.lack == again.lack == ""
    assert len(again.inspection.sites) == 16


class Idle(nn.Module):
    """A network with an SE block that nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 4, 3)
        self.se = torchvision.ops.SqueezeExcitation(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one logit a channel."""
        return self.start(images).mean((2, 3))


def test_blocks_that_cannot_be_read_are_still_refused():
    """Such a network is no plain twin: its gates would be hidden without a word."""
    with pytest.raises(NoSEBlocksError, match="no SE block that can be read"):
        Network.from_model(Idle(), input_size=16, plain=True)


def test_its_answer_is_the_models_own(resnet: Network):
    """To the bit, as one pass gives it; no record stands beside it."""
    photo = noise()
    with torch.inference_mode():
        expected = resnet.model(resnet.preprocess(photo))[0]
    analysis = analyse(resnet, photo)
    assert analysis.records == ()
    torch.testing.assert_close(analysis.logits, expected, atol=0, rtol=0)
    torch.testing.assert_close(analysis.probabilities, expected.softmax(0))


UNSTAGED = [row.key for row in METHODS.values() if not row.staged]


@pytest.mark.parametrize("method", UNSTAGED)
def test_every_method_that_explains_the_input_runs(resnet: Network, method: str):
    """None of them needs a gate."""
    options: dict[str, Any] = {"n_samples": 4} if "n_samples" in METHODS[method].options else {}
    assert judge_method(resnet, method).runs
    found = attribute(resnet, resnet.preprocess(noise()), 1, method, **options)
    assert found.map.shape == (64, 64)
    assert found.map.isfinite().all()


@pytest.mark.parametrize("method", [row.key for row in METHODS.values() if row.staged])
def test_a_method_that_looks_at_a_stage_says_why_it_cannot(resnet: Network, method: str):
    """Stages are those of SE blocks; the sentence is the same before and at the question."""
    fitness = judge_method(resnet, method)
    assert not fitness.runs
    assert fitness.words.startswith("Stages are told by SE blocks, and this network has none.")
    with pytest.raises(AttributionError) as error:
        attribute(resnet, resnet.preprocess(noise()), 1, method)
    assert str(error.value) == fitness.words


def test_an_engine_answers_for_it_and_says_what_it_lacks(folder: Path):
    """What pages know of a network is its view: there stands why it has no gates."""
    engine = LocalEngine()
    view = engine.view("resnet", "cpu")
    assert view.lack.startswith("ResNet has no squeeze-and-excitation block")
    assert engine.ask(Case("resnet", "cpu", "a"), noise(), Analyse()).records == ()
    card = next(card for card in list_networks() if card.name == "resnet")
    with pytest.raises(NoSEBlocksError, match="ResNet has no squeeze-and-excitation block"):
        engine.inspect(card)
