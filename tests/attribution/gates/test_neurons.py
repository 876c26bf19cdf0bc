"""Each map of a gate equals Captum's own neuron attribution, and others may use the model
meanwhile.
"""

from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from timm.layers.eca import EcaModule
from timm.layers.squeeze_excite import EffectiveSEModule
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates
from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.gates.run import attribute_gates
from se_viz.attribution.paths.trace import trace_paths
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.baselines import scatter
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError, CaptureError, NoSEBlocksError, OvertakenError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from tests.support.passes import batches, uploading
from tests.support.reused import Last, TwiceApart

pytestmark = pytest.mark.slow

MIDDLE = "layer3.0.bn3.1"
LAST = "layer4.0.bn3.1"
CHANNEL = 5
MOVED = {MIDDLE: 22, LAST: 56}
"""Channels by whose gates much of a logit's rise came: of another one, every pixel's part may be
0."""


@pytest.fixture
def network(shallow: Network) -> Network:
    """What a method makes of one gate does not depend on how many blocks there are."""
    return shallow


@pytest.mark.parametrize("method", ["gradient_shap", "smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_noise_of_full_precision_reaches_a_network_of_half(method, precision):
    """Methods draw in float32.

    The map is that of full precision, but for what half of it rounds.
    """
    small = seeded(lambda: Reads(SqueezeExcitation(8, 4)))
    inputs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = attribute_neuron(small, inputs, Neuron("se", 2), method).map
    small.model.to(precision)
    heat = attribute_neuron(small, inputs, Neuron("se", 2), method).map
    assert expected.any()
    assert torch.corrcoef(torch.stack([heat.flatten(), expected.flatten()]))[0, 1] > 0.95


class GatesAlone(nn.Module):
    """Logits that are sums of a block's gates: nothing of the image passes it by."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.se = SqueezeExcitation(8, 4)
        self.end = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        # Far from 0: what is divided by it loses no digit.
        features = self.stem(images).abs() + 1
        return self.end((self.se(features) / features).mean((2, 3)))


class Reads(nn.Module):
    """One block between two layers."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.se = block
        self.end = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        return self.end(self.se(self.stem(images).relu()).mean((2, 3)))


def seeded(build: Callable[[], nn.Module]) -> Network:
    """Return a small network, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = build()
    return Network.from_model(model, input_size=64)


def modules(network: Any, path: str) -> dict[bool, nn.Module]:
    """Return the modules whose outputs are the logit and the gate of torchvision's block."""
    block = network.model.get_submodule(path)
    return {True: block.fc2, False: block.scale_activation}


def assert_same(values: Tensor, expected: Tensor) -> None:
    """Compare maps on the scale of their greatest value: other batch sizes add in another order."""
    assert expected.any()
    torch.testing.assert_close(
        values, expected.detach(), rtol=0, atol=1e-4 * expected.abs().max().item()
    )


@pytest.mark.parametrize("logit", [False, True])
@pytest.mark.parametrize("path", [MIDDLE, LAST])
def test_integrated_gradients_are_captums_of_the_neuron(network, image, path, logit):
    """Called directly, with its hook on the gate's module: the reader of a paper would do so."""
    direct = captum.attr.NeuronIntegratedGradients(network.model, modules(network, path)[logit])
    expected = direct.attribute(image, (CHANNEL, 0, 0), n_steps=32, internal_batch_size=8)
    attribution = attribute_neuron(network, image, Neuron(path, CHANNEL, logit))
    assert_same(attribution.map, expected[0].sum(0))
    assert attribution.map.abs().max() > 0


@pytest.mark.parametrize("logit", [False, True])
def test_the_fast_methods_are_captums_gradient_of_the_neuron(network, image, logit):
    """Saliency is its greatest magnitude over colours, the other its product with the input,
    summed.
    """
    direct = captum.attr.NeuronGradient(network.model, modules(network, LAST)[logit])
    slope = direct.attribute(image.clone().requires_grad_(), (CHANNEL, 0, 0))
    assert isinstance(slope, Tensor)
    neuron = Neuron(LAST, CHANNEL, logit)
    saliency = attribute_neuron(network, image, neuron, "saliency")
    assert_same(saliency.map, slope[0].abs().amax(0))
    assert not saliency.signed
    assert_same(
        attribute_neuron(network, image, neuron, "input_x_gradient").map, (slope * image)[0].sum(0)
    )


@pytest.mark.parametrize("baseline", [0.0, -1.0])
def test_the_map_sums_to_the_rise_of_the_gate(network, image, baseline):
    """Completeness (arXiv 1703.01365, proposition 1): gate(image) - gate(baseline), up to the
    reported error.
    """
    with torch.no_grad(), capture_gates(network.model) as records:
        network.model(image)
        network.model(torch.full_like(image, baseline))
    after, before = [record.gate[0, CHANNEL].item() for record in records if record.block == LAST]
    attribution = attribute_neuron(network, image, Neuron(LAST, CHANNEL), baselines=baseline)
    assert attribution.value == after
    assert attribution.explained == pytest.approx(after - before, abs=1e-6)
    assert attribution.completeness_error == pytest.approx(
        abs(attribution.map.sum().item() - (after - before)), abs=1e-5
    )
    # 32 steps through a network with kinks.
    assert attribution.completeness_error is not None
    assert attribution.completeness_error < 0.1 * abs(after - before)


def test_a_method_that_promises_no_sum_reports_none(network, image):
    """A number there would be read as an error of a method that never promised one."""
    attribution = attribute_neuron(network, image, Neuron(LAST, CHANNEL), "saliency")
    assert (attribution.completeness_error, attribution.explained) == (None, None)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_callers_gradient_mode_does_not_matter(network, image, mode):
    """Pages and notebooks wrap whole scripts in inference mode."""
    expected = attribute_neuron(network, image, Neuron(LAST, CHANNEL), n_steps=4)
    with mode():
        attribution = attribute_neuron(network, image.clone(), Neuron(LAST, CHANNEL), n_steps=4)
    assert torch.equal(attribution.map, expected.map)


def test_others_run_in_between_and_change_nothing(network, image):
    """No hook is on the model between two slices: both get to the bit what each gets alone."""
    neuron = Neuron(MIDDLE, CHANNEL)
    alone = attribute_neuron(network, image, neuron)
    with uploading(network) as uploads:
        attribution = attribute_neuron(network, image, neuron, watch=uploads.watch)
        uploads.expect_alike()
    assert torch.equal(attribution.map, alone.map)
    assert len(uploads.hooks) >= 4
    assert not any(uploads.hooks)


def test_feature_ablation_is_captums_of_the_neuron(network, image):
    """The same patches, painted alike, and the gate read by Captum's own hook."""
    rows, columns = torch.meshgrid(torch.arange(64) // 16, torch.arange(64) // 16, indexing="ij")
    patches = (4 * rows + columns)[None, None]
    direct = captum.attr.NeuronFeatureAblation(network.model, modules(network, LAST)[False])
    expected = direct.attribute(image, (CHANNEL, 0, 0), baselines=0, feature_mask=patches)
    attribution = attribute_neuron(
        network, image, Neuron(LAST, CHANNEL), "feature_ablation", feature_mask=patches
    )
    assert_same(attribution.map, expected[0].mean(0))


def test_gradient_shap_is_captums_of_the_neuron(network, image):
    """The same pictures near the baseline, and the same places on the ways to them."""
    direct = captum.attr.NeuronGradientShap(network.model, modules(network, LAST)[False])
    before: Any = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        np.random.seed(0)
        expected = direct.attribute(
            image, (CHANNEL, 0, 0), scatter(torch.zeros_like(image), 8), n_samples=24
        )
    np.random.set_state(before)
    attribution = attribute_neuron(network, image, Neuron(LAST, CHANNEL), "gradient_shap")
    assert_same(attribution.map, expected[0].sum(0))


@pytest.mark.parametrize("against", [None, 3])
@pytest.mark.parametrize("path", [MIDDLE, LAST])
def test_conductance_is_captums_of_the_neuron(network, image, path, against):
    """Called directly, with its hook on the gate's module of the model itself; a lead is a
    difference of maps.
    """
    direct = captum.attr.NeuronConductance(network.model, modules(network, path)[False])
    settings = {"n_steps": 32, "method": "gausslegendre", "internal_batch_size": 8}
    expected = direct.attribute(image, (MOVED[path], 0, 0), target=1, **settings)
    if against is not None:
        expected = expected - direct.attribute(
            image, (MOVED[path], 0, 0), target=against, **settings
        )
    target = Target(1, against)
    attribution = attribute_neuron(
        network, image, Neuron(path, MOVED[path]), "conductance", target=target
    )
    assert_same(attribution.map, expected[0].sum(0))
    assert (
        attribution.target,
        attribution.signed,
        attribution.completeness_error,
        attribution.explained,
    ) == (
        target,
        True,
        None,
        None,
    )


@pytest.mark.parametrize("path", [MIDDLE, LAST])
def test_the_map_of_conductance_sums_to_what_came_through_the_gate(network, image, path):
    """Both are the integral of dF/ds ds/da along the way (arXiv 1805.12233, eq.

    1): by pixel, and as the gate moves.
    """
    neuron = Neuron(path, MOVED[path])
    heat = attribute_neuron(network, image, neuron, "conductance", target=1, n_steps=128).map
    total = heat.sum().item()
    flow = trace_paths(network, image, 1, sets={path: [path]}, n_steps=256).flows[path]
    # Both are sums of a function with kinks.
    assert total == pytest.approx(flow.through[path][MOVED[path]].item(), rel=0.01)
    values = attribute_gates(network, image, 1, "conductance", block=path).values
    # It stops at an error of 1 % of what moves, by whatever way.
    assert total == pytest.approx(values[MOVED[path]].item(), abs=0.01 * flow.size)
    assert abs(total) > 1e-4


def test_the_maps_of_all_gates_are_what_bypasses_none(image):
    """In a network that reads its gates alone, the maps of all gates add up to the logit's rise,
    and to its map.
    """
    network = seeded(GatesAlone)
    maps = [
        attribute_neuron(network, image, Neuron("se", c), "conductance", target=2).map
        for c in range(8)
    ]
    whole = attribute(network, image, 2, "integrated_gradients")
    assert whole.explained
    assert_same(torch.stack(maps).sum(0), whole.map)


def test_conductance_through_a_gate_and_its_logit_are_one(network, image):
    """All that the logit does, it does through the gate; what is reported as the neuron's value
    differs.
    """
    gate, logit = (
        attribute_neuron(
            network, image, Neuron(LAST, MOVED[LAST], of_logit), "conductance", target=1, n_steps=4
        )
        for of_logit in (False, True)
    )
    assert torch.equal(gate.map, logit.map)
    assert gate.value == pytest.approx(torch.tensor(logit.value).sigmoid().item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["eca", "ese", "last"])
def test_conductance_of_gates_in_other_spellings_is_captums(image, kind):
    """Gates of (batch, 1, channels), hard ones, and channels that come last."""
    build, place = {
        "eca": (lambda: Reads(EcaModule(8)), (0, 2)),
        "ese": (lambda: Reads(EffectiveSEModule(8)), (2, 0, 0)),
        "last": (Last, (0, 0, 2)),
    }[kind]
    network = seeded(build)
    direct = captum.attr.NeuronConductance(network.model, network.model.get_submodule("se.gate"))
    expected = direct.attribute(
        image, place, target=2, n_steps=32, method="gausslegendre", internal_batch_size=8
    )
    attribution = attribute_neuron(network, image, Neuron("se", 2), "conductance", target=2)
    assert_same(attribution.map, expected[0].sum(0))


@pytest.mark.parametrize("use", ["se", "se#2"])
def test_conductance_tells_the_uses_of_a_block_apart(image, use):
    """What came through the gate of one use, by the trace of the paths, which holds the other
    use's gates live.
    """
    network = seeded(TwiceApart)
    attribution = attribute_neuron(
        network, image, Neuron(use, CHANNEL), "conductance", target=2, n_steps=64
    )
    flow = trace_paths(network, image, 2, sets={use: [use]}, n_steps=64).flows[use]
    assert attribution.map.sum().item() == pytest.approx(
        flow.through[use][CHANNEL].item(), rel=0.01
    )


def test_others_run_between_the_steps_of_conductance(network, image):
    """Captum's hooks hang on an object of the call: between two passes there is none on the
    model.
    """
    neuron = Neuron(MIDDLE, MOVED[MIDDLE])
    alone = attribute_neuron(network, image, neuron, "conductance", target=1)
    with uploading(network) as uploads:
        attribution = attribute_neuron(
            network, image, neuron, "conductance", target=1, watch=uploads.watch
        )
        uploads.expect_alike()
    assert torch.equal(attribution.map, alone.map)
    assert len(uploads.hooks) >= 4
    assert not any(uploads.hooks)


@pytest.mark.parametrize("method", ["integrated_gradients", "conductance"])
def test_one_that_nobody_wants_stops_at_its_next_slice(network, image, method):
    """What the watch raises arrives as it was raised, and no hook stays."""
    looks = iter([None, None, OvertakenError("gone")])

    def watch(_: int) -> None:
        if error := next(looks):
            raise error

    target = 1 if method == "conductance" else None
    with pytest.raises(OvertakenError, match=r"^gone$"):
        attribute_neuron(network, image, Neuron(LAST, 0), method, target=target, watch=watch)
    assert sum(len(module._forward_hooks) for module in network.model.modules()) == 0
    assert not any(
        value.requires_grad or value.grad is not None for value in network.model.parameters()
    )


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "conductance"])
def test_a_long_method_reports_how_far_it_is(network, image, method):
    """Numbers that rise, and a total that stays: what a bar is drawn from."""
    reports: list[tuple[int, int]] = []
    target = 1 if method == "conductance" else None
    report = lambda *numbers: reports.append(numbers)  # noqa: E731
    attribute_neuron(network, image, Neuron(LAST, 0), method, target=target, report=report)
    counts, totals = zip(*reports, strict=True)
    assert [*counts] == sorted(counts)
    assert len({*totals}) == 1
    assert 0 < counts[-1] <= totals[0]


@pytest.mark.parametrize("most", [1, 2])
def test_conductance_takes_smaller_pieces_where_memory_runs_out(network, image, most):
    """As every long method does: the same map from fewer images in a pass."""
    expected = attribute_neuron(
        network, image, Neuron(LAST, MOVED[LAST]), "conductance", target=1, n_steps=8
    ).map
    with batches(network.model, most) as sizes:
        heat = attribute_neuron(
            network, image, Neuron(LAST, MOVED[LAST]), "conductance", target=1, n_steps=8
        ).map
    assert max(size for size in sizes if size <= most) == most
    assert_same(heat, expected)


@pytest.mark.parametrize(
    ("neuron", "method", "options", "error", "message"),
    [
        (
            Neuron(LAST, 0),
            "grad_cam",
            {},
            AttributionError,
            r"^Grad-CAM is not run for a gate: .* before its own stage ends\. Choose Integrated "
            r"Gradients\.$",
        ),
        (
            Neuron(LAST, 0),
            "guided_grad_cam",
            {},
            AttributionError,
            r"^Guided Grad-CAM, .* Choose Guided Backprop\.$",
        ),
        (Neuron(LAST, 0), "lrp", {}, AttributionError, r"^LRP .* is not run here: it has no rule"),
        (
            Neuron(LAST, 0),
            "magic",
            {},
            AttributionError,
            r"^There is no method 'magic'\. Choose one of: integrated",
        ),
        (
            Neuron(LAST, 0),
            "saliency",
            {"steps": 9},
            AttributionError,
            r"^Saliency cannot run with these options: .*steps",
        ),
        (
            Neuron(LAST, 0),
            "conductance",
            {"n_steps": 0, "target": 1},
            AttributionError,
            r"^Conductance cannot run with n_steps=0\. Choose 1 or more\.$",
        ),
        (
            Neuron(LAST, 0),
            "saliency",
            {"target": 1},
            AttributionError,
            r"^Saliency explains the gate, whatever the class\. Leave the target out, or use "
            r"conductance\.$",
        ),
        (
            Neuron(LAST, 0),
            "conductance",
            {},
            AttributionError,
            r"^Conductance explains a class by what came through the gate\. Give one as target\.$",
        ),
        (
            Neuron(LAST, 0),
            "conductance",
            {"target": 5},
            AttributionError,
            r"^There is no class 5: this network has",
        ),
        (
            Neuron(LAST, 9999),
            "saliency",
            {},
            CaptureError,
            r"has no channel 9999\. Choose one from 0 to 127\.$",
        ),
        (
            Neuron(LAST, 999),
            "conductance",
            {"target": 1},
            CaptureError,
            r"has no channel 999\. Choose one from 0",
        ),
        (
            Neuron("se", 0),
            "conductance",
            {"target": 1},
            NoSEBlocksError,
            r"^There is no SE block 'se'\. Choose among",
        ),
    ],
)
def test_what_cannot_be_explained_is_said(network, image, neuron, method, options, error, message):
    """Each refusal names the value and ends in what to do."""
    with pytest.raises(error, match=message):
        attribute_neuron(network, image, neuron, method, **options)


def test_values_that_are_no_numbers_are_no_map(network, image):
    """A baseline that is none makes them, and a picture of them would be blank."""
    options = {"target": 1, "n_steps": 2, "baselines": float("inf")}
    words = (
        r"^Conductance cannot run with these options: its values .* are NaN or infinite\. Change "
        r"them\.$"
    )
    with pytest.raises(AttributionError, match=words):
        attribute_neuron(network, image, Neuron(LAST, 0), "conductance", **options)
