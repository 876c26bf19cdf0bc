import math
from collections.abc import Sequence

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

from se_viz import edit_gates
from se_viz.errors import AttributionError, EditError, NoSEBlocksError
from se_viz.experiments.analysis import analyse
from se_viz.experiments.effects import (
    SHUFFLES,
    ablate_channels,
    compare_slopes,
    describe_slopes,
    estimate_effects,
    find_outliers,
    rank_correlation,
    tabulate_effects,
)
from se_viz.networks import Network
from tests.support.reused import TwiceApart

pytestmark = pytest.mark.slow

BLOCK = "layer1.1.bn3.1"
LAST = "layer4.2.bn3.1"


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
            with edit_gates(
                network.model,
                {BLOCK: lambda gate, c=channel: gate.index_fill(1, torch.tensor([c]), 0)},
            ):
                alone = live - network.model(inputs)[0]
            # An image alone is added up in another order than in a batch.
            torch.testing.assert_close(effects[channel], alone, rtol=1e-5, atol=1e-5)
    assert effects.abs().max() > 1e-3


def test_some_channels_can_be_asked_alone(network: Network, photo: Image.Image):
    """In the order they are asked for, the rows of the whole; a number that is not there is
    named.
    """
    whole = ablate_channels(network, photo, BLOCK)
    # Another number of rows is added up in another order.
    torch.testing.assert_close(
        ablate_channels(network, photo, BLOCK, channels=[40, 3]), whole[[40, 3]], atol=1e-5, rtol=0
    )
    with pytest.raises(EditError, match=r"has no channel 64\. Choose from 0 to 63"):
        ablate_channels(network, photo, BLOCK, channels=[1, 64])


@pytest.mark.parametrize("target", [0, 3])
def test_ablation_is_captums_ablation_of_the_gate(
    network: Network, photo: Image.Image, target: int
):
    """Captum puts 0 in place of one output of the sigmoid after another, with hooks of its own."""
    ablation = captum.attr.LayerFeatureAblation(network.model, gate_module(network, BLOCK))
    with torch.no_grad():
        expected = ablation.attribute(network.preprocess(photo), layer_baselines=0.0, target=target)
    assert isinstance(expected, Tensor)
    effects = ablate_channels(network, photo, BLOCK)[:, target]
    # Captum runs one image at a time, which is added up in another order than a batch.
    torch.testing.assert_close(effects, expected.flatten(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [BLOCK, LAST])
def test_gradient_x_gate_is_gradient_x_activation_at_the_output(
    network: Network, photo: Image.Image, block: str
):
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
    """After it come a ReLU, a mean and a linear layer: where no pixel crosses 0 the two are
    equal.
    """
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
    """After the second use all is linear: there estimate and ablation agree, which for the first
    they need not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network.from_model(TwiceApart(), input_size=64)
    first, second = (ablate_channels(network, photo, name)[:, 3] for name in ("se", "se#2"))
    torch.testing.assert_close(
        estimate_effects(network, photo, "se#2", 3), second, rtol=1e-4, atol=1e-6
    )
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
    ranks = []
    for value in values:
        below = sum(number < value for number in values)
        equal = sum(number == value for number in values)
        ranks.append(below + (equal + 1) / 2)
    return ranks


def test_rank_correlation_is_the_correlation_of_ranks():
    """Spearman's definition, ties sharing their mean rank, in plain Python."""
    dice = np.random.default_rng(0)
    first = dice.integers(0, 12, 40).astype(float)
    second = first + dice.normal(0, 6, 40).round()
    correlation = rank_correlation(first, second)
    first_ranks = slow_ranks(first.tolist())
    second_ranks = slow_ranks(second.tolist())
    middle = 41 / 2
    covariance = sum(
        (a - middle) * (b - middle) for a, b in zip(first_ranks, second_ranks, strict=True)
    )
    first_variance = sum((rank - middle) ** 2 for rank in first_ranks)
    second_variance = sum((rank - middle) ** 2 for rank in second_ranks)
    expected = covariance / math.sqrt(first_variance * second_variance)
    assert correlation == pytest.approx(expected)


def test_an_order_that_is_not_there_has_no_correlation():
    """A collapsed block has no order."""
    assert rank_correlation(np.full(10, 0.5), np.arange(10)) is None
    assert rank_correlation(np.arange(10), np.arange(0, 100, 10)) == pytest.approx(1)


GATES = {
    "near 0.5": lambda dice, channels: 0.5 + dice.normal(0, 0.02, channels),
    "spread": lambda dice, channels: 1 / (1 + np.exp(-dice.normal(0, 2, channels))),
    "saturated": lambda dice, channels: (
        dice.choice([0.0, 1e-3, 0.999, 1.0], channels) + dice.uniform(0, 1e-4)
    ),
}
"""Gates as blocks have them."""


def draw_slopes(dice: np.random.Generator, channels: int) -> np.ndarray:
    """Return slopes of both signs, a few far steeper than the rest, and a fifth of them 0, as of
    dead channels.
    """
    return dice.standard_t(3, channels) * (dice.random(channels) > 0.2)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("sizes", [True, False], ids=["size", "signed"])
def test_slopes_that_have_nothing_to_do_with_gates_are_seldom_called_more(kind: str, sizes: bool):
    """The wrong word is said of at most one block in twenty, however gates and slopes are
    distributed.
    """
    dice = np.random.default_rng(2)
    wrong = 0
    draws = 120
    for draw in range(draws):
        gates = GATES[kind](dice, 24)
        test = compare_slopes(gates, gates * draw_slopes(dice, 24), sizes=sizes, seed=draw)
        assert test is not None
        wrong += test.standing != "inside"
    # Four standard errors of a share of 0.05 in 120 draws are 0.08.
    assert wrong / draws < 0.05 + 0.08


def test_gates_that_go_with_their_slopes_are_told():
    """Steeper slopes at wider gates are above, flatter ones below, in nearly all draws of 64
    channels.
    """
    dice = np.random.default_rng(3)
    standings = {1: [], -1: []}
    for draw in range(40):
        gates = GATES["spread"](dice, 64)
        for sign, words in standings.items():
            slopes = np.exp(sign * 3 * gates) * dice.normal(0, 1, 64)
            test = compare_slopes(gates, gates * slopes, sizes=True, seed=draw)
            words.append(test and test.standing)
    assert standings[1].count("above") >= 36
    assert standings[-1].count("below") >= 36
    assert "below" not in standings[1]
    assert "above" not in standings[-1]


def test_zero_is_not_what_chance_gives():
    """Effect = gate x slope: with shuffled slopes the correlation is far above 0, as SciPy and a
    loop find too.
    """
    dice = np.random.default_rng(4)
    gates = GATES["spread"](dice, 40)
    slopes = draw_slopes(dice, 40)
    test = compare_slopes(gates, gates * slopes, sizes=True)
    assert test is not None
    loop = [
        float(np.asarray(spearmanr(gates, abs(gates * dice.permutation(slopes))))[0])
        for _ in range(500)
    ]
    # Four standard errors of a difference of two means over some 500 shuffles each.
    assert test.mean == pytest.approx(
        float(np.mean(loop)), abs=4 * float(np.std(loop)) * math.sqrt(2 / 500)
    )
    assert test.mean > 0.2
    assert len(test.shuffled) == SHUFFLES
    low, high = test.band
    assert np.mean((test.shuffled >= low) & (test.shuffled <= high)) == pytest.approx(
        0.95, abs=0.01
    )


def test_a_gate_of_zero_keeps_its_effect_of_zero():
    """No slope gives a shut gate an effect: shuffles that did would be another network's."""
    gates = np.array([0.0] * 12 + [0.2, 0.4, 0.6, 0.8])
    test = compare_slopes(gates, gates * np.arange(16.0), sizes=True)
    assert test is not None
    # Twelve ties below four effects: no order of the four can undo that.
    assert test.shuffled.min() > 0.8
    assert test.standing == "inside"


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_few_channels_are_not_judged(channels: int):
    """Four channels in perfect order are one of 24 orders, and no interval is wide enough to say
    so.
    """
    gates = np.linspace(0.1, 0.9, channels)
    assert compare_slopes(gates, gates, sizes=True) is None
    words = f"{channels} channels are too few to distinguish an order from chance; 8 are needed."
    assert describe_slopes(None, None, channels) == words


def test_the_sentence_names_the_null_and_where_the_value_lies():
    """Everything that it takes to check the bold word: the value, the mean of shuffles and their
    band.
    """
    dice = np.random.default_rng(5)
    gates = GATES["spread"](dice, 64)
    effects = gates * np.exp(4 * gates) * dice.choice([-1.0, 1.0], 64)
    size, signed = (compare_slopes(gates, effects, sizes=sizes) for sizes in (True, False))
    assert size is not None
    assert signed is not None
    sentence = describe_slopes(size, signed, 64)
    assert f"**{size.value:+.2f}**, **above** the 95% that shuffled slopes give" in sentence
    assert f"with shuffled slopes the correlation is {size.mean:+.2f} on average" in sentence
    assert "Large gates have steeper slopes too" in sentence
    assert describe_slopes(None, None, 64).startswith("All gates, or all effects, are equal here")


def test_in_an_untrained_network_gates_say_nothing_of_their_slopes(
    shallow: Network, photo: Image.Image
):
    """Weights of the excitation's last layer drawn anew: no word but *inside* is right, in 19 of
    20 blocks.
    """
    dice = torch.Generator().manual_seed(6)
    standings = []
    blocks = [site.block for site in shallow.inspection.sites]
    for draw in range(20):
        for block in blocks:
            last = shallow.model.get_submodule(f"{block}.fc2.weight".rpartition(".")[0])
            assert isinstance(last, nn.Conv2d)
            last.weight.copy_(torch.randn(last.weight.shape, generator=dice))
        records = {
            record.block: record.gate[0].numpy() for record in analyse(shallow, photo).records
        }
        for block in blocks:
            effects = estimate_effects(shallow, photo, block, draw % 5).numpy()
            test = compare_slopes(records[block], effects, sizes=True, seed=draw)
            assert test is not None
            standings.append(test.standing)
    # Four standard errors of a share of 0.05 in 80 blocks are 0.1.
    outside = sum(standing != "inside" for standing in standings)
    assert outside / len(standings) < 0.05 + 0.1


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
