"""The map of the widest gates equals its definition (Roxo et al., arXiv 2412.05134), and says so
when it is empty.
"""

from statistics import NormalDist, mean, pstdev

import pytest
import torch
from torch import Tensor

from se_viz import capture_gates
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.layers.se_vector import (
    USUAL_Z,
    make_se_vector,
    select_channels,
    weigh_by_class,
)
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError
from se_viz.networks import Network

pytestmark = pytest.mark.slow

LAST = "layer4.2.bn3.1"


def test_the_usual_z_keeps_a_tenth_of_normal_gates():
    """1.282 is the 90th percentile of the standard normal distribution, to three digits."""
    assert round(NormalDist().inv_cdf(0.9), 3) == USUAL_Z


def test_gates_above_mean_and_z_deviations_are_kept():
    """By the standard library's population deviation: 0.5 + 1 x 0.25 for these five."""
    gates = [0.25, 0.25, 0.5, 0.5, 1.0]
    mask, threshold = select_channels(torch.tensor(gates), 1.0)
    assert threshold == pytest.approx(mean(gates) + pstdev(gates))
    assert mask.tolist() == [False, False, False, False, True]


def test_a_gate_at_the_threshold_is_not_kept():
    """The paper keeps what is greater: with Z = 0 and two even halves the mean lies between, with
    one value at it.
    """
    mask, threshold = select_channels(torch.tensor([0.25, 0.5, 0.75]), 0.0)
    assert threshold == 0.5
    assert mask.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "gates", [torch.full((8,), 0.3), torch.ones(4), torch.tensor([0.0] + [1.0] * 9)]
)
def test_where_no_channel_passes_there_is_a_sentence(gates: Tensor):
    """An average of nothing would be a division by zero: of even gates, and of gates that nearly
    all stand open.
    """
    with pytest.raises(
        AttributionError, match=r"No channel passes: the widest gate .* Choose a smaller Z"
    ):
        make_se_vector(gates, torch.ones(len(gates), 2, 2))


def test_the_map_is_the_mean_of_the_kept_channels_of_x(network: Network, images: Tensor):
    """X~ from a plain hook on the block, one channel after the other in a loop."""
    outputs: list[Tensor] = []
    hook = network.model.get_submodule(LAST).register_forward_hook(
        lambda _m, _i, output: outputs.append(output.clone())
    )
    with hook, capture_gates(network.model, keep_features=[LAST]) as records, torch.no_grad():
        network.model(images[:1])
    record = next(record for record in records if record.block == LAST)
    assert record.features is not None
    vector = make_se_vector(record.gate[0], record.features[0])
    gates = record.gate[0].tolist()
    bound = mean(gates) + 1.282 * pstdev(gates)
    channels = [channel for channel, gate in enumerate(gates) if gate > bound]
    assert vector.mask.nonzero().flatten().tolist() == channels
    assert 0 < len(channels) < len(gates)
    torch.testing.assert_close(
        vector.map, sum(outputs[0][0, channel] for channel in channels) / len(channels)
    )


def test_the_class_weighs_the_same_channels(network: Network, images: Tensor):
    """ReLU of the mean of weight x X~: weights are mean gradients by autograd at a clone of X~, by
    hand.
    """
    leaves: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> Tensor:
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[0].clone()

    hook = network.model.get_submodule(LAST).register_forward_hook(keep)
    with hook, capture_gates(network.model, keep_features=[LAST]) as records:
        logits = network.model(images[:1])[0]
    record = next(heat for heat in records if heat.block == LAST)
    assert record.features is not None
    vector = make_se_vector(record.gate[0], record.features[0])
    maps = []
    for target, logit in enumerate(logits):
        weights = torch.autograd.grad(logit, leaves[0], retain_graph=True)[0].mean((2, 3))[0]
        expected = (
            (weights[:, None, None] * leaves[0].detach()[0])[vector.mask].mean(0).clamp_min(0)
        )
        attribution = attribute_layer(
            network, images[:1], Target(target), layer=Layer("after", LAST)
        )
        maps.append(weigh_by_class(vector, attribution))
        torch.testing.assert_close(maps[-1], expected)
    # Not the same for every class, as the map without weights is.
    assert {bool(heat.any()) for heat in maps} == {True, False}
