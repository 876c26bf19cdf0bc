"""Attributions of signals, spectrograms, many channels and volumes."""

import types

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from se_viz.attribution.catalogue import GATE_METHODS, LAYER_METHODS, METHODS, NEURON_METHODS
from se_viz.attribution.gates import attribute_gates, attribute_neuron, check_region, mark_strongest
from se_viz.attribution.layers import attribute_layer, sum_up
from se_viz.attribution.paths import trace_paths
from se_viz.attribution.pixels import attribute, judge_method
from se_viz.attribution.question import BASELINES, Layer, Target, make_baseline
from se_viz.attribution.scores import Exam, make_yardstick
from se_viz.errors import AttributionError
from se_viz.experiments import (
    Replacement,
    ablate_channels,
    analyse,
    estimate_effects,
    gates_of,
    run_counterfactuals,
)
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network
from tests.support.other_inputs import KINDS, NET

NETS = types.ModuleType("nets")
exec(NET, NETS.__dict__)


def make(name: str) -> tuple[Network, Tensor]:
    way, shape = KINDS[name]
    network = Network.from_model(getattr(NETS, name)(), input_size=shape, preprocess=way)
    return network, torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> tuple[Network, Tensor]:
    """Return a network and an input of each kind."""
    return make(request.param)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_has_the_sides_of_the_input(case: tuple[Network, Tensor], method: str):
    """Every method; what promises to be complete is."""
    network, inputs = case
    result = attribute(network, inputs, 1, method)
    assert result.map.shape == inputs.shape[2:]
    assert result.map.isfinite().all()
    # LIME's penalty leaves nothing of logits that hardly move.
    assert result.map.any() or method == "lime"
    if METHODS[method].kind in ("path", "rule") and result.explained is not None:
        assert result.completeness_error is not None
        assert result.completeness_error <= 0.1 * abs(result.explained) + 1e-4


def test_saliency_is_the_gradient(case: tuple[Network, Tensor]):
    """Autograd's own, the largest size of all channels."""
    network, inputs = case
    image = inputs.clone().requires_grad_()
    network.model(image)[0, 2].backward()
    assert image.grad is not None
    expected = image.grad[0].abs().amax(0)
    torch.testing.assert_close(attribute(network, inputs, 2, "saliency").map, expected)


def test_grad_cam_is_the_papers_formula(case: tuple[Network, Tensor]):
    """ReLU of the channels weighed by their mean gradients (arXiv 1610.02391, equations 1 and 2),
    enlarged linearly in each dimension.
    """
    network, inputs = case
    model = network.model
    features = model[:6](inputs).requires_grad_()  # type: ignore[index]
    (slope,) = torch.autograd.grad(model[6:](features)[0, 1], features)  # type: ignore[index]
    weights = slope.flatten(2).mean(2).view(1, -1, *[1] * (features.ndim - 2))
    cells = (weights * features).sum(1, keepdim=True).relu()
    mode = ("linear", "bilinear", "trilinear")[inputs.ndim - 3]
    expected = F.interpolate(cells, inputs.shape[2:], mode=mode)[0, 0].detach()
    torch.testing.assert_close(
        attribute(network, inputs, 1, "grad_cam").map, expected, atol=1e-6, rtol=1e-4
    )


def test_occlusion_covers_the_same_share_of_a_signal_as_of_a_photo():
    """32 of 224 pixels, a seventh: 86 of 600 values, every 43: the mean fall over the windows that
    hold a value.
    """
    network, inputs = make("signal")
    falls, covers = torch.zeros(600), torch.zeros(600)
    start = make_baseline(network, inputs, "mean")
    with torch.no_grad():
        whole = network.model(inputs)[0, 1]
        for left in range(0, 600, 43):
            covered = inputs.clone()
            covered[..., left : left + 86] = start[..., left : left + 86]
            falls[left : left + 86] += whole - network.model(covered)[0, 1]
            covers[left : left + 86] += 1
            if left + 86 >= 600:
                break
    torch.testing.assert_close(
        attribute(network, inputs, 1, "occlusion").map, falls / covers, atol=1e-6, rtol=1e-4
    )
    assert METHODS["occlusion"].passes(shape=(1, 600))[0] == 13 + 1


@pytest.mark.parametrize("key", BASELINES)
def test_baselines_are_made_of_the_input(case: tuple[Network, Tensor], key: str):
    """Within its range, and the same each time."""
    network, inputs = case
    baseline = make_baseline(network, inputs, key)
    assert baseline.shape == inputs.shape
    torch.testing.assert_close(baseline, make_baseline(network, inputs, key), atol=0, rtol=0)
    assert baseline.min() >= inputs.min()
    assert baseline.max() <= inputs.max()
    if key == "mean":
        means = inputs.flatten(2).mean(2)
        torch.testing.assert_close(baseline.flatten(2)[..., 0], means)
        assert (baseline.flatten(2) == baseline.flatten(2)[..., :1]).all()
    if key == "black":
        assert (baseline == inputs.min()).all()


@pytest.mark.parametrize("method", NEURON_METHODS)
def test_a_gate_is_explained_by_the_input(case: tuple[Network, Tensor], method: str):
    """Its map has the input's sides."""
    network, inputs = case
    neuron = Neuron(network.inspection.sites[-1].name, 3)
    target = 1 if method == "conductance" else None
    assert (
        attribute_neuron(network, inputs, neuron, method, target=target).map.shape
        == (inputs.shape[2:])
    )


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_feature_maps_are_explained(case: tuple[Network, Tensor], method: str):
    """On their own grid; the sums over cells are the channels'."""
    network, inputs = case
    layer = Layer("after", network.inspection.sites[0].name)
    result = attribute_layer(network, inputs, Target(1), method, layer=layer)
    assert result.values.ndim == inputs.ndim - 1
    assert result.map.shape == result.values.shape[1:]
    side = sum_up(result)
    assert side.channels.shape == (12,)


@pytest.mark.parametrize("method", GATE_METHODS)
def test_gates_are_attributed_to(case: tuple[Network, Tensor], method: str):
    """One number a channel."""
    network, inputs = case
    block = network.inspection.sites[-1].name
    assert attribute_gates(network, inputs, 1, method, block=block).values.shape == (24,)


def test_the_way_through_the_gates_adds_up(case: tuple[Network, Tensor]):
    """What came past the gates and through them is the rise of the logit."""
    network, inputs = case
    trace = trace_paths(network, inputs, 1)
    with torch.no_grad():
        ends = network.model(torch.cat([make_baseline(network, inputs, "mean"), inputs]))[:, 1]
    assert trace.rise == pytest.approx((ends[1] - ends[0]).item(), abs=1e-5)
    assert trace.miss <= 0.02


def test_effects_and_counterfactuals_are_those_of_passes_by_hand(case: tuple[Network, Tensor]):
    """A gate shut by hand in the module that makes it; the estimate is gradient x gate."""
    network, inputs = case
    block = network.inspection.sites[-1].name
    falls = ablate_channels(network, inputs, block, channels=[5])
    gate = network.model.get_submodule(f"{block}.fc2")
    with torch.no_grad():
        live = network.model(inputs)
        handle = gate.register_forward_hook(
            lambda _, __, out: out.index_fill(1, torch.tensor([5]), -1e9)
        )
        shut = network.model(inputs)
        handle.remove()
    torch.testing.assert_close(falls, live - shut, atol=1e-5, rtol=1e-3)
    assert estimate_effects(network, inputs, block, 1).shape == (24,)
    own = gates_of(analyse(network, inputs))
    rows = run_counterfactuals(network, inputs, Replacement("mean"), own)
    # Its own gates in place of its own: nothing changes.
    assert all(abs(row.change) < 1e-6 for row in rows)


def test_what_a_gates_map_marks_is_erased_and_moved_elsewhere(case: tuple[Network, Tensor]):
    """40 other places in one, two and three dimensions; what is erased has the filling's values."""
    network, inputs = case
    neuron = Neuron(network.inspection.sites[0].name, 3)
    values = torch.rand(inputs.shape[2:], generator=torch.Generator().manual_seed(0))
    region = mark_strongest(values, 0.2)
    result = check_region(network, inputs, region, neuron, fill="mean")
    assert len(result.controls) == 40
    assert isinstance(result.picture, Tensor)
    torch.testing.assert_close(result.picture[..., ~region], inputs[..., ~region])
    mean = make_baseline(network, inputs, "mean")
    torch.testing.assert_close(result.picture[..., region], mean[..., region])


def test_scores_refuse_what_is_no_picture():
    """In one sentence; two dimensions are scored."""
    network, inputs = make("volume")
    with pytest.raises(AttributionError, match="this input has 3"):
        make_yardstick(network, inputs, Exam(Target(1)))
    network, inputs = make("bands")
    assert make_yardstick(network, inputs, Exam(Target(1))).controls


def test_rules_are_judged_on_an_input_of_this_shape(case: tuple[Network, Tensor]):
    """DeepLift's shares add up on noise."""
    network, _ = case
    assert judge_method(network, "deep_lift").runs


def test_an_input_of_another_shape_is_refused():
    """With the shape that is needed."""
    network, _ = make("signal")
    with pytest.raises(AttributionError, match=r"One input is needed, \(1, 1, 600\)"):
        attribute(network, torch.zeros(1, 3, 64, 64), 1, "saliency")
