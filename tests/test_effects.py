import math
from collections.abc import Sequence

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from se_viz import edit_gates
from se_viz.analysis import analyse
from se_viz.effects import ablate_channels, estimate_effects, find_outliers, rank_correlation, tabulate_effects
from se_viz.errors import AttributionError, EditError, NoSEBlocksError
from se_viz.networks import Network
from tests.reused import TwiceApart

BLOCK, LAST = "layer1.1.bn3.1", "layer4.2.bn3.1"


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return Image.fromarray(np.random.default_rng(6).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def gate_module(network: Network, block: str) -> nn.Module:
    """Return the sigmoid whose output is the gate, by its name in torchvision."""
    return network.model.get_submodule(f"{block}.scale_activation")


def test_ablation_is_one_edit_after_another(network: Network, photo: Image.Image):
    """Batched or not, the effect is what the logit loses when one gate is set to 0."""
    effects = ablate_channels(network, photo, BLOCK)
    inputs = network.preprocess(photo)
    assert effects.shape == (64, 5)
    with torch.no_grad():
        live = network.model(inputs)[0]
        for channel in range(64):
            with edit_gates(network.model, {BLOCK: lambda gate, c=channel: gate.index_fill(1, torch.tensor([c]), 0)}):
                alone = live - network.model(inputs)[0]
            # An image alone is added up in another order than in a batch.
            torch.testing.assert_close(effects[channel], alone, rtol=1e-5, atol=1e-5)
    assert effects.abs().max() > 1e-3


def test_some_channels_can_be_asked_alone(network: Network, photo: Image.Image):
    """In the order they are asked for, the rows of the whole; a number that is not there is named."""
    whole = ablate_channels(network, photo, BLOCK)
    # Another number of rows is added up in another order.
    torch.testing.assert_close(
        ablate_channels(network, photo, BLOCK, channels=[40, 3]), whole[[40, 3]], atol=1e-5, rtol=0
    )
    with pytest.raises(EditError, match=r"has no channel 64\. Choose from 0 to 63"):
        ablate_channels(network, photo, BLOCK, channels=[1, 64])


@pytest.mark.parametrize("target", [0, 3])
def test_ablation_is_captums_ablation_of_the_gate(network: Network, photo: Image.Image, target: int):
    """Captum puts 0 in place of one output of the sigmoid after another, with hooks of its own."""
    ablation = captum.attr.LayerFeatureAblation(network.model, gate_module(network, BLOCK))
    with torch.no_grad():
        theirs = ablation.attribute(network.preprocess(photo), layer_baselines=0.0, target=target)
    assert isinstance(theirs, Tensor)
    ours = ablate_channels(network, photo, BLOCK)[:, target]
    torch.testing.assert_close(ours, theirs.flatten(), rtol=1e-5, atol=1e-5)  # of another order of additions


@pytest.mark.parametrize("block", [BLOCK, LAST])
def test_gradient_x_gate_is_gradient_x_activation_at_the_output(network: Network, photo: Image.Image, block: str):
    """X~ = s U, so s dL/ds = s sum(U dL/dX~) = sum(X~ dL/dX~), whatever comes after the block."""
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        outputs.append(output.clone().requires_grad_())
        # A copy: what comes next adds to it in place.
        return outputs[0].clone()

    with torch.enable_grad():
        handle = network.model.get_submodule(block).register_forward_hook(keep)
        logit = network.model(network.preprocess(photo))[0, 2]
        handle.remove()
        (slope,) = torch.autograd.grad(logit, outputs)
    expected = (slope * outputs[0]).detach().sum((0, 2, 3))
    estimate = estimate_effects(network, photo, block, 2)
    torch.testing.assert_close(estimate, expected, rtol=1e-5, atol=1e-5)
    assert estimate.abs().max() > 1e-3


def test_in_the_last_block_the_estimate_is_nearly_exact(network: Network, photo: Image.Image):
    """After it come a ReLU, a mean and a linear layer: where no pixel crosses 0 the two are equal."""
    exact = ablate_channels(network, photo, LAST)[:, 1].numpy()
    estimate = estimate_effects(network, photo, LAST, 1).numpy()
    assert np.corrcoef(exact, estimate)[0, 1] > 0.9


def test_inference_mode_around_it_changes_nothing(network: Network, photo: Image.Image):
    """A caller's inference mode would keep gradients off."""
    plain = estimate_effects(network, photo, BLOCK, 0)
    with torch.inference_mode():
        assert torch.equal(estimate_effects(network, photo, BLOCK, 0), plain)
    assert not plain.requires_grad


def test_the_second_use_of_a_block_has_effects_of_its_own(photo: Image.Image):
    """After the second use all is linear: there estimate and ablation agree, which for the first they need not."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network.from_model(TwiceApart(), input_size=64)
    first, second = (ablate_channels(network, photo, name)[:, 3] for name in ("se", "se#2"))
    torch.testing.assert_close(estimate_effects(network, photo, "se#2", 3), second, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(first, second, atol=1e-4)


def test_what_is_not_there_is_refused(network: Network, photo: Image.Image):
    """Each sentence names what there is."""
    for ask in (
        lambda: ablate_channels(network, photo, "layer9"),
        lambda: estimate_effects(network, photo, "layer9", 0),
    ):
        with pytest.raises(NoSEBlocksError, match=r"no SE block 'layer9'\. Choose among: layer1"):
            ask()
    with pytest.raises(AttributionError, match="no class 5: choose one of 0 to 4"):
        estimate_effects(network, photo, BLOCK, 5)


def slow_ranks(values: Sequence[float]) -> list[float]:
    """Rank by counting: those below, and half of those that are equal."""
    return [sum(other < one for other in values) + (sum(other == one for other in values) + 1) / 2 for one in values]


def test_rank_correlation_is_the_correlation_of_ranks():
    """Spearman's definition, ties sharing their mean rank, in plain Python."""
    dice = np.random.default_rng(0)
    first = dice.integers(0, 12, 40).astype(float)
    second = first + dice.normal(0, 6, 40).round()
    found = rank_correlation(first, second)
    one, two = slow_ranks(first.tolist()), slow_ranks(second.tolist())
    middle = 41 / 2
    top = sum((a - middle) * (b - middle) for a, b in zip(one, two, strict=True))
    bottom = math.sqrt(sum((a - middle) ** 2 for a in one) * sum((b - middle) ** 2 for b in two))
    assert found is not None
    assert found.value == pytest.approx(top / bottom)
    assert found.low < found.value < found.high


def test_the_interval_holds_the_truth_nineteen_times_in_twenty():
    """For normal pairs Spearman's value in the population is 6/pi asin(r/2) (Pearson, 1907)."""
    dice, truth, hits, runs = np.random.default_rng(1), 6 / math.pi * math.asin(0.6 / 2), 0, 400
    for _ in range(runs):
        pairs = dice.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 60)
        found = rank_correlation(pairs[:, 0], pairs[:, 1])
        assert found is not None
        hits += found.low <= truth <= found.high
    # Four standard errors of a share of 0.95 in 400 runs are 0.044.
    assert abs(hits / runs - 0.95) < 0.044


def test_an_order_that_is_not_there_has_no_correlation():
    """A collapsed block has no order, and three channels no interval."""
    assert rank_correlation(np.full(10, 0.5), np.arange(10)) is None
    assert rank_correlation(np.array([1, 2, 3]), np.array([3, 1, 2])) is None
    same = rank_correlation(np.arange(10), np.arange(0, 100, 10))
    assert same is not None
    assert (same.low, same.value, same.high) == pytest.approx((1, 1, 1))


def test_outliers_are_the_misleading_channels(network: Network, photo: Image.Image):
    """Twelve channels by hand: the three widest by least effect, the three narrowest by most."""
    gates = [0.99, 0.98, 0.97, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.01, 0.02, 0.03]
    effects = [2.0, -0.001, 0.1, 9.0, 0, 0, 0, 0, 0, 0.2, -3.0, 0.0]
    table = pd.DataFrame({"channel": range(12), "gate": gates, "effect": effects})
    useless, decisive = find_outliers(table, 2)
    assert useless["channel"].tolist() == [1, 2]
    assert decisive["channel"].tolist() == [10, 9]
    assert list(useless) == ["channel", "gate", "effect"]


def test_the_table_has_one_row_a_channel(network: Network, photo: Image.Image):
    """Gate and effect of the same channel stand in one row."""
    record = next(record for record in analyse(network, photo).records if record.block == BLOCK)
    effects = estimate_effects(network, photo, BLOCK, 0)
    table = tabulate_effects(record.gate[0], effects)
    assert table["channel"].tolist() == list(range(64))
    np.testing.assert_array_equal(table["gate"], record.gate[0].numpy())
    np.testing.assert_array_equal(table["effect"], effects.numpy())
