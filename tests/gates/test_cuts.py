"""The way back ends at the gates that are held, and at no others."""

import pytest
import torch
from torch import Tensor, nn

from se_viz.errors import NoSEBlocksError
from se_viz.gates import GateSite, edit_gates, find_gates
from se_viz.gates.cuts import cut_gates

FIRST = "layer1.0.bn3.1"
LAST = "layer4.2.bn3.1"


@pytest.fixture
def sites(se_net: nn.Module) -> tuple[GateSite, ...]:
    return find_gates(se_net, size=64)


def test_with_no_gate_held_it_is_the_plain_gradient(
    se_net: nn.Module, sites: tuple[GateSite, ...], images: Tensor
):
    """The cuts change neither answer nor gradient while nothing is held."""
    images = images.requires_grad_()
    plain = se_net(images)[:, 1].sum()
    with cut_gates(se_net, sites) as cuts:
        value = se_net(images)[:, 1].sum()
    slope, slopes = cuts.slopes(value, images, {"none": []})["none"]
    assert torch.equal(value, plain)
    assert torch.equal(slope, torch.autograd.grad(plain, images)[0])
    assert slopes == {}


@pytest.mark.parametrize("blocks", [[FIRST], [LAST], [FIRST, LAST]])
def test_a_held_gate_is_an_input_like_the_image(
    se_net: nn.Module, sites: tuple[GateSite, ...], images: Tensor, blocks: list[str]
):
    """Equal to replacing the held gates by leaves of the same value before the pass; one pass
    serves all sets.
    """
    images = images.requires_grad_()
    with cut_gates(se_net, sites) as cuts:
        value = se_net(images)[:, 1].sum()
    sets = {"all": [site.name for site in sites], "some": blocks}
    slope, slopes = cuts.slopes(value, images, sets)["some"]
    leaves = {block: cuts.gates[block].clone().requires_grad_() for block in blocks}
    with edit_gates(
        se_net, {block: lambda _, leaf=leaf: leaf.clone() for block, leaf in leaves.items()}
    ):
        expected = torch.autograd.grad(se_net(images)[:, 1].sum(), [images, *leaves.values()])
    derivatives = [slope, *(slopes[block] for block in blocks)]
    for derivative, expected_derivative in zip(derivatives, expected, strict=True):
        assert torch.equal(derivative, expected_derivative)


def test_nothing_stays_on_the_model(se_net: nn.Module, sites: tuple[GateSite, ...], images: Tensor):
    """The way back needs no hook."""
    with cut_gates(se_net, sites):
        se_net(images)
    assert sum(len(module._forward_hooks) for module in se_net.modules()) == 0


def test_a_block_that_is_not_there_is_refused(se_net: nn.Module):
    """The sentence is that of `edit_gates`."""
    site = GateSite("layer9", 2, 8, "Sigmoid")
    with (
        pytest.raises(NoSEBlocksError, match=r"^There is no SE block 'layer9'\. Choose"),
        cut_gates(se_net, [site]),
    ):
        pass
