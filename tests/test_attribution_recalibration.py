"""The same map on both sides of a gate: what differs is what the gates do."""

import pytest
import torch
from torch import Tensor

from se_viz import capture_gates, gate_jacobian
from se_viz.attribution.layers import LayerAttribution, attribute_layer
from se_viz.attribution.places import Layer
from se_viz.attribution.recalibration import COMPARABLE, Recalibration, compare_sides
from se_viz.attribution.targets import Target
from se_viz.errors import AttributionError
from se_viz.gates import GateRecord
from se_viz.networks import Network

BLOCK, TARGET = "layer3.2.bn3.1", Target(2)


@pytest.fixture
def record(network: Network, images: Tensor) -> GateRecord:
    with capture_gates(network.model, keep_features=[BLOCK]) as records, torch.no_grad():
        network.model(images[:1])
    return next(one for one in records if one.block == BLOCK)


def sides(network: Network, images: Tensor, method: str) -> tuple[LayerAttribution, LayerAttribution]:
    before, after = (
        attribute_layer(network, images[:1], TARGET, method, layer=Layer(where, BLOCK)) for where in ("before", "after")
    )
    return before, after


def compare(network: Network, images: Tensor, method: str, record: GateRecord) -> Recalibration:
    return compare_sides(*sides(network, images, method), record.gate[0])


def test_activations_differ_by_what_the_gates_take_away(network: Network, images: Tensor, record: GateRecord):
    """X~ - U = (s - 1) U, by the paper's eq. 4: its mean over channels, and each channel's part summed over cells."""
    assert record.features is not None
    lost = ((record.gate[..., None, None] - 1) * record.features)[0]
    found = compare(network, images, "activation", record)
    torch.testing.assert_close(found.difference, lost.mean(0))
    table = found.channels.sort_values("channel")
    torch.testing.assert_close(torch.tensor(table["difference"].to_numpy()), lost.sum((1, 2)) / len(lost))
    torch.testing.assert_close(torch.tensor(table["gate"].to_numpy()), record.gate[0])


def test_gradients_differ_by_what_runs_through_the_excitation(network: Network, images: Tensor, record: GateRecord):
    """dL/du = s dL/dx~ + dL/ds ds/dz dz/du: so per channel, U minus X~ is z_c times the sum over k of dL/ds_k J_kc."""
    found = compare(network, images, "gradient_x_activation", record)
    after = sides(network, images, "gradient_x_activation")[1].values.sum((1, 2)).double()
    # dL/ds_k, as s_k dL/ds_k is the sum of dL/dx~ x~ over the cells.
    slope = after / record.gate[0].double()
    through = record.squeeze[0].double() * (slope @ gate_jacobian(network.model, record).double())
    table = found.channels.sort_values("channel")
    difference = torch.tensor(table["difference"].to_numpy()).double()
    # Each difference is one of two nearly equal sums in float32.
    torch.testing.assert_close(difference, -through, rtol=1e-3, atol=1e-4 * after.abs().max().item())
    assert through.abs().max() > 1e-3 * after.abs().max()


@pytest.mark.parametrize("method", COMPARABLE)
def test_channels_add_up_to_the_difference_of_the_maps(
    network: Network, images: Tensor, record: GateRecord, method: str
):
    """The list explains the picture: its parts are the picture's sum, largest first, each channel once."""
    found = compare(network, images, method, record)
    total = found.channels["difference"].to_numpy().sum()
    assert total == pytest.approx(found.difference.sum().item(), rel=1e-3, abs=1e-4)
    torch.testing.assert_close(
        torch.tensor((found.channels["after"] - found.channels["before"]).to_numpy()),
        torch.tensor(found.channels["difference"].to_numpy()),
        atol=1e-5,
        rtol=1e-4,
    )
    sizes = found.channels["difference"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(found.channels["channel"]) == list(range(256))


@pytest.mark.parametrize(("first", "second"), [("grad_cam", "activation"), ("feature_ablation", "feature_ablation")])
def test_what_does_not_add_up_is_refused(network: Network, images: Tensor, record: GateRecord, first: str, second: str):
    """A list whose parts are not those of the picture would be read as if they were."""
    layer = Layer("after", "layer4.2.bn3.1")
    one, other = (attribute_layer(network, images[:1], TARGET, method, layer=layer) for method in (first, second))
    with pytest.raises(
        AttributionError, match=r"no parts that add up on both sides of a gate\. Choose one of: grad_cam"
    ):
        compare_sides(one, other, record.gate[0])
