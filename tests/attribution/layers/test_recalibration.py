"""The same map on both sides of a gate: what differs is what the gates do."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, gate_jacobian
from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.layers.recalibration import (
    APART,
    COMPARABLE,
    Recalibration,
    compare_sides,
    sum_up,
)
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.records import LayerAttribution
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError
from se_viz.gates import GateRecord
from se_viz.networks import Network

pytestmark = pytest.mark.slow

BLOCK = "layer3.2.bn3.1"
TARGET = Target(2)


@pytest.fixture
def record(network: Network, images: Tensor) -> GateRecord:
    with capture_gates(network.model, keep_features=[BLOCK]) as records, torch.no_grad():
        network.model(images[:1])
    return next(record for record in records if record.block == BLOCK)


def sides(
    network: Network, images: Tensor, method: str
) -> tuple[LayerAttribution, LayerAttribution]:
    before, after = (
        attribute_layer(network, images[:1], TARGET, method, layer=Layer(where, BLOCK))
        for where in ("before", "after")
    )
    return before, after


def compare(network: Network, images: Tensor, method: str, record: GateRecord) -> Recalibration:
    before, after = (sum_up(side) for side in sides(network, images, method))
    return compare_sides(before, after, record.gate[0])


def test_activations_differ_by_what_the_gates_take_away(
    network: Network, images: Tensor, record: GateRecord
):
    """X~ - U = (s - 1) U, by the paper's eq.

    4: its mean over channels, and each channel's part summed over cells.
    """
    assert record.features is not None
    difference = ((record.gate[..., None, None] - 1) * record.features)[0]
    recalibration = compare(network, images, "activation", record)
    torch.testing.assert_close(recalibration.difference, difference.mean(0))
    table = recalibration.channels.sort_values("channel")
    torch.testing.assert_close(
        torch.tensor(table["difference"].to_numpy()), difference.sum((1, 2)) / len(difference)
    )
    torch.testing.assert_close(torch.tensor(table["gate"].to_numpy()), record.gate[0])


def test_gradients_differ_by_what_runs_through_the_excitation(
    network: Network, images: Tensor, record: GateRecord
):
    """dL/du = s dL/dx~ + dL/ds ds/dz dz/du: so per channel, U minus X~ is z_c times the sum over k
    of dL/ds_k J_kc.
    """
    recalibration = compare(network, images, "gradient_x_activation", record)
    after = sides(network, images, "gradient_x_activation")[1].values.sum((1, 2)).double()
    # dL/ds_k, as s_k dL/ds_k is the sum of dL/dx~ x~ over the cells.
    slope = after / record.gate[0].double()
    through = record.squeeze[0].double() * (slope @ gate_jacobian(network.model, record).double())
    table = recalibration.channels.sort_values("channel")
    difference = torch.tensor(table["difference"].to_numpy()).double()
    # Each difference is one of two nearly equal sums in float32.
    torch.testing.assert_close(
        difference, -through, rtol=1e-3, atol=1e-4 * after.abs().max().item()
    )
    assert through.abs().max() > 1e-3 * after.abs().max()


@pytest.mark.parametrize("method", COMPARABLE)
def test_channels_add_up_to_the_difference_of_the_maps(
    network: Network, images: Tensor, record: GateRecord, method: str
):
    """The list explains the picture: its parts are the picture's sum, largest first, each channel
    once.
    """
    recalibration = compare(network, images, method, record)
    total = recalibration.channels["difference"].to_numpy().sum()
    assert total == pytest.approx(recalibration.difference.sum().item(), rel=1e-3, abs=1e-4)
    torch.testing.assert_close(
        torch.tensor(
            (recalibration.channels["after"] - recalibration.channels["before"]).to_numpy()
        ),
        torch.tensor(recalibration.channels["difference"].to_numpy()),
        atol=1e-5,
        rtol=1e-4,
    )
    sizes = recalibration.channels["difference"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(recalibration.channels["channel"]) == list(range(256))


@pytest.mark.parametrize(
    ("first", "second"), [("grad_cam", "activation"), ("feature_ablation", "feature_ablation")]
)
def test_what_does_not_add_up_is_refused(
    network: Network, images: Tensor, record: GateRecord, first: str, second: str
):
    """A list whose parts are not those of the picture would be read as if they were."""
    layer = Layer("after", "layer4.2.bn3.1")
    before, after = (
        sum_up(attribute_layer(network, images[:1], TARGET, method, layer=layer))
        for method in (first, second)
    )
    with pytest.raises(
        AttributionError,
        match=r"no parts that add up on both sides of a gate\. Choose one of: grad_cam",
    ):
        compare_sides(before, after, record.gate[0])


class Scaled(nn.Module):
    """A network whose feature map is counted in another unit before and after its gates; its
    answers are the same.
    """

    def __init__(self, unit: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExcitation(8, 2)
        self.head = nn.Conv2d(8, 3, 1)
        with torch.no_grad():
            self.stem.weight.mul_(unit)
            self.stem.get_parameter("bias").mul_(unit)
            self.se.fc1.weight.div_(unit)
            self.head.weight.div_(unit)

    def forward(self, images: Tensor) -> Tensor:
        """Return three logits."""
        return self.head(self.se(self.stem(images)).relu()).mean((2, 3))


def test_every_method_is_compared_or_stands_apart():
    """A new row in neither would break the page, one in both would contradict itself."""
    assert sorted([*COMPARABLE, *APART]) == sorted(LAYER_METHODS)


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("method", APART)
def test_maps_share_a_scale_where_they_do_not_depend_on_the_unit_of_activations(
    method: str, where: str
):
    """Gates change that unit: a map that follows it is smaller after them though it says no less.

    Four times as large a feature map, read a quarter as strongly, gives the same answers; a map in
    logits stays.
    """
    image = torch.randn(1, 3, 16, 16)
    plain, scaled = (
        attribute_layer(
            Network.from_model(Scaled(unit).eval(), input_size=16),
            image,
            Target(0),
            method,
            layer=layer,
        )
        for unit, layer in ((1.0, Layer(where, "se")), (4.0, Layer(where, "se")))
    )
    assert plain.map.any()
    # Float32 sums in another order.
    torch.testing.assert_close(
        scaled.map, plain.map * (1 if APART[method].same_unit else 4), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("method", ["deep_lift", "conductance", "integrated_gradients"])
def test_both_sides_of_a_gate_share_out_the_same_sum(network: Network, images: Tensor, method: str):
    """All that comes through U goes on through X~ alone: what adds up to a rise differs in its
    shares, not in its sum.

    Completeness: arXiv 1704.02685, eq. 1; 1805.12233, eq. 2; 1703.01365, proposition 1.
    """
    before, after = (sum_up(side) for side in sides(network, images, method))
    assert (after.channels - before.channels).abs().sum() > 1e-3 * after.channels.abs().sum()
    # 32 steps through a network with kinks; DeepLift takes none.
    slack = 1e-4 if method == "deep_lift" else 0.05
    assert after.channels.sum().item() == pytest.approx(
        before.channels.sum().item(), abs=slack * after.channels.abs().sum().item()
    )
