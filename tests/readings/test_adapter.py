"""A model whose answer is read elsewhere is the model itself in all else."""

import copy

import pytest
import torch
from torch import nn

from se_viz import Network, capture_gates, edit_gates, find_gates
from se_viz.attribution.passes.copies import copy_modules, copy_unrolled
from se_viz.attribution.passes.folded import swift_copy
from se_viz.errors import CaptureError
from se_viz.readings import Answering, Reading, model_inside
from tests.support.answers import load_code

HALF = Reading((0.0, 0.0, 1.0, 0.5))


@pytest.fixture
def network() -> Network:
    """A segmenter of two blocks."""
    return Network.from_model(load_code().segmenter(), answer="segments", input_size=64)


@pytest.fixture
def images() -> torch.Tensor:
    """Two images."""
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def inner_of(network: Network) -> nn.Module:
    assert isinstance(network.model, Answering)
    return model_inside(network.model)


def test_blocks_have_the_names_of_the_model(network: Network):
    """Whoever edits or captures by a name has it from the model."""
    sites = find_gates(inner_of(network), size=64)
    assert network.inspection.sites == sites
    assert [site.name for site in sites] == ["encoder.0.3", "encoder.1.3"]
    paths = [path for path, _ in network.model.named_modules()]
    assert paths == [path for path, _ in inner_of(network).named_modules()]
    assert network.model.state_dict().keys() == inner_of(network).state_dict().keys()


def test_a_copy_shares_nothing(network: Network, images: torch.Tensor):
    """A method may change a copy, and others use the network meanwhile."""
    before = network.model(images)
    twin = copy.deepcopy(network.model)
    assert isinstance(twin, Answering)
    assert torch.equal(twin(images), before)
    for value in twin.parameters():
        value.data.zero_()
    assert twin(images).abs().max() == 0
    assert torch.equal(network.model(images), before)
    # The copy's model and the copy are still one.
    assert next(model_inside(twin).parameters()) is next(twin.parameters())


def test_a_replaced_module_is_replaced_in_the_model(network: Network, images: torch.Tensor):
    """Copies of attribution put modules of their own in the place of others."""
    twin = copy.deepcopy(network.model)
    twin.set_submodule("head", nn.Conv2d(32, 2, 1))
    assert twin(images).shape == (2, 2)
    twin.head = nn.Conv2d(32, 3, 1)
    assert twin(images).shape == (2, 3)


@pytest.mark.parametrize("make", [copy_modules, lambda model: model])
def test_moves_and_precision_reach_all_weights(network: Network, make, images: torch.Tensor):
    """The model's weights are those of what reads it, whoever is asked to move."""
    model = make(network.model).to(torch.float64)
    assert model(images.double()).dtype == torch.float64
    assert {value.dtype for value in model_inside(model).parameters()} == {torch.float64}
    model.to("meta")
    assert all(value.is_meta for value in model_inside(model).parameters())


def test_the_mode_reaches_the_model_itself(images: torch.Tensor):
    """Detectors ask themselves, and no child of theirs, whether they are trained."""
    network = Network.from_model(load_code().ssd(), answer="boxes", input_size=64)
    network.model.train()(images)
    assert inner_of(network).training
    assert network.model.eval()(images).shape == (2, 3)
    assert not inner_of(network).training


def test_no_child_of_a_model_is_hidden(images: torch.Tensor):
    """A model's children may have any name, and a path has to lead to them."""
    torch.manual_seed(0)
    model = load_code().wrapped()
    network = Network.from_model(model, answer=("segments", load_code().pick), input_size=64)
    assert network.model.get_submodule("inner.head") is model.inner.head
    assert network.inspection.sites[0].block == "inner.encoder.0.3"


def test_copies_of_attribution_give_the_same_answer(network: Network, images: torch.Tensor):
    """Folded and unrolled copies are proven against the model, and are others than it."""
    elsewhere = network.at(HALF)
    expected = elsewhere.model(images[:1])
    folded = swift_copy(elsewhere.model, images[:1])
    assert folded is not elsewhere.model
    torch.testing.assert_close(folded(images[:1]), expected)
    assert torch.equal(copy_unrolled(elsewhere.model, images[:1])(images[:1]), expected)


def test_captures_and_edits_at_two_places_are_apart(network: Network, images: torch.Tensor):
    """Siblings share their modules: what is read of one is no record of the other."""
    elsewhere = network.at(HALF)
    with capture_gates(network.model) as records:
        answer = network.model(images)
    assert [record.block for record in records] == ["encoder.0.3", "encoder.1.3"]
    with capture_gates(network.model), pytest.raises(CaptureError, match="A part of the model"):
        elsewhere.model(images)
    with edit_gates(elsewhere.model, {"encoder.1.3": torch.zeros_like}):
        edited = elsewhere.model(images)
    # Without the last map, the head's bias is everywhere.
    bias = inner_of(network).get_parameter("head.bias")
    torch.testing.assert_close(edited, bias.expand(2, -1))
    assert torch.equal(network.model(images), answer)


def test_another_place_needs_no_second_inspection(network: Network, images: torch.Tensor):
    """A question at another region would otherwise wait for a pass of noise."""
    elsewhere = network.at(HALF)
    assert elsewhere.inspection is network.inspection
    assert elsewhere.card is network.card
    assert network.at(Reading()) is network
