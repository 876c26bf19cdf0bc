import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from se_viz import list_networks, load_network, open_image
from se_viz.errors import DataError, LimitError
from se_viz.gates import (
    BlockHealth,
    GateRecord,
    GateSite,
    Limits,
    capture_gates,
    check_health,
    find_gates,
)
from se_viz.gates.health import (
    CONSTANT,
    DEAD,
    FIXED,
    FLAGS,
    NO_NUMBER,
    SATURATED,
    STUCK,
    UNDECIDED,
    count_dead,
    tabulate_health,
)
from se_viz.gates.verdicts import MEANINGS, describe_block, describe_network
from se_viz.images.reading import list_samples

SIGMOID = GateSite("block", stage=3, channels=4, function="Sigmoid")
PAIR = [[0.2, 0.4, 0.6, 0.8], [0.8, 0.6, 0.4, 0.2]]
"""Two images that turn up opposite channels."""
MIXED = PAIR * 3
"""Enough images to tell that gates depend on the image."""


def record(gates: Sequence[Sequence[float]], *, features: Tensor | None = None) -> GateRecord:
    """Make a record of one block, whose squeeze is nowhere 0 unless the features say so."""
    gate = torch.tensor(gates)
    squeeze = torch.ones_like(gate) if features is None else features.mean((2, 3))
    return GateRecord("block", 3, squeeze, gate, features)


def check(
    gates: Sequence[Sequence[float]], *, site: GateSite = SIGMOID, **limits: float
) -> BlockHealth:
    """Check one block with as many channels as its gates have."""
    (block,) = check_health(
        [record(gates)], [replace(site, channels=len(gates[0]))], limits=Limits(**limits)
    )
    return block


def excite(model: nn.Module, *, bias: float) -> None:
    """Let every excitation's last layer be zero but for its bias, so that each gate is the sigmoid
    of it.
    """
    for name, module in model.named_modules():
        if name.endswith(".fc2"):
            assert isinstance(module, nn.Conv2d)
            nn.init.zeros_(module.weight)
            assert module.bias is not None
            nn.init.constant_(module.bias, bias)


def check_model(model: nn.Module, images: Tensor) -> tuple[BlockHealth, ...]:
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    return check_health(records, find_gates(model, size=64))


def test_the_numbers_are_those_of_a_calculation_by_hand():
    """Channels of 0.2 and 0.4 in one image, 0.6 and 0.4 in the other: every number from paper and
    pencil.
    """
    block = check([[0.2, 0.4], [0.6, 0.4]], middle=0.11, end=0.21)
    assert (block.label, block.images, block.site.channels, block.dead) == ("SE_3_1", 2, 2, 0)
    assert block.mean == pytest.approx(0.4)
    # 0.1 in either image, where the two channels are 0.2 apart.
    assert block.over_channels == pytest.approx(0.1)
    # The first channel is 0.2 from its mean of 0.4 in both, the second never: (0.08 + 0) / (2 - 1)
    # / 2 channels.
    assert block.over_images == pytest.approx(math.sqrt(0.04))
    # Both channels have the mean 0.4, so that all variance is between images.
    assert block.image_share == pytest.approx(1.0)
    # Two images give no interval, and do not tell.
    assert (block.image_share_low, block.fixed, block.verdict) == (None, None, (UNDECIDED,))
    # Within 0.11 of 0.5: 0.4 twice and 0.6; within 0.21 of 0: 0.2.
    assert (block.near_middle, block.near_low, block.near_high) == (0.75, 0.25, 0.0)


def test_gates_that_differ_are_healthy():
    """Between channels and between images, and away from the ends: nothing is to be flagged."""
    block = check(MIXED)
    assert block.flags == ()
    assert describe_block(block) == (
        "SE_3_1: gates are 0.50 on average and differ between channels (standard deviation up to "
        "0.22) and between images (100% of the variance, 90% interval 100% to 100%)."
    )


@pytest.mark.parametrize(
    ("gates", "flags"),
    [
        ([[0.65] * 4] * 2, (CONSTANT,)),
        ([[0.3] * 4, [0.7] * 4], (CONSTANT,)),
        ([[0.5] * 4] * 2, (STUCK, CONSTANT)),
        ([[0.46, 0.54] * 2, [0.54, 0.46] * 2], (STUCK,)),
        ([[0.99] * 4] * 2, (CONSTANT, SATURATED)),
        ([[0.01, 0.99] * 2, [0.99, 0.01] * 2], (SATURATED,)),
        ([[0.2, 0.4, 0.6, 0.8]] * 3, (FIXED,)),
        # Two equal images may be chance.
        ([[0.2, 0.4, 0.6, 0.8]] * 2, ()),
        ([[0.2, math.nan, 0.6, 0.8]] * 2, (NO_NUMBER,)),
        ([[0.2, math.inf, 0.6, 0.8]] * 2, (NO_NUMBER,)),
        (MIXED, ()),
    ],
)
def test_each_fault_has_its_flag(gates: list[list[float]], flags: tuple[str, ...]):
    """Gates made for each fault: that one is flagged, with what it brings along, and nothing
    else.
    """
    assert check(gates).flags == flags


@pytest.mark.parametrize(
    ("name", "flag", "inside", "outside"),
    [
        # The two channels are 0.1 from their mean.
        ("constant", CONSTANT, 0.11, 0.09),
        # 0.4 and 0.6 are 0.1 from the middle.
        ("middle", STUCK, 0.11, 0.09),
        # 0.4 and 0.6 are 0.4 from an end.
        ("end", SATURATED, 0.41, 0.39),
        # All the variance is between images.
        ("fixed", FIXED, 0.1, 0.001),
    ],
)
def test_a_moved_limit_moves_its_flag(name: str, flag: str, inside: float, outside: float):
    """On either side of a value that was worked out by hand, so that a slider does what its name
    says.
    """
    # For the share between images: 0.02 in one channel and 0 in the other, against 0.2 between
    # them.
    gates = [[0.4, 0.6], [0.6, 0.4]] if name != "fixed" else [[0.4, 0.6], [0.42, 0.6]] * 6
    (within, beyond) = (
        check_health([record(gates)], [SIGMOID], limits=Limits(**{name: value}))
        for value in (inside, outside)
    )
    assert flag in within[0].flags
    assert flag not in beyond[0].flags


def test_most_is_a_share_of_the_gates():
    """Three of four gates are at an end: most of them at 0.75, and not at 0.76."""
    gates = [[0.99, 0.99, 0.99, 0.5], [0.99, 0.99, 0.99, 0.3]]
    assert SATURATED in check(gates, most=0.75).flags
    assert SATURATED not in check(gates, most=0.76).flags


@pytest.mark.parametrize("name", ["constant", "middle", "end", "most", "dead", "fixed"])
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_a_limit_outside_of_its_range_is_refused(name: str, value: float):
    """It would flag all or nothing, whatever the gates are."""
    with pytest.raises(
        LimitError, match=rf"The limit {name} is .*\. Choose one between 0 and (0\.5|1)\."
    ):
        Limits(**{name: value})


def test_distances_are_shares_of_the_range():
    """A tanh runs from -1 to 1: its middle is 0, and 0.05 of its range is 0.1."""
    tanh = replace(SIGMOID, function="Tanh", low=-1.0, high=1.0)
    assert STUCK in check([[0.09, -0.09], [-0.09, 0.09]], site=tanh).flags
    assert STUCK not in check([[0.11, -0.11], [-0.11, 0.11]], site=tanh).flags
    assert SATURATED in check([[0.91, -0.91], [-0.91, 0.91]], site=tanh).flags
    assert check([[0.5, 0.54], [0.54, 0.5]], site=tanh).flags == (CONSTANT,)
    assert "of -1" in describe_block(check([[0.91, -0.91], [-0.91, 0.91]], site=tanh))


def test_hard_gates_that_are_exactly_at_an_end_are_saturated():
    """Even with no distance allowed, what has arrived at 0 or 1 is there."""
    hard = replace(SIGMOID, function="Hardsigmoid", closed=True)
    assert check([[0.0, 1.0], [1.0, 0.0]], site=hard, end=0.0).flags == (SATURATED,)


def test_without_a_range_nothing_is_said_of_middle_and_ends():
    """A ReLU has no middle to be stuck in; that all channels get 40 can still be told, against
    40.
    """
    relu = replace(SIGMOID, function="ReLU", low=-math.inf, high=math.inf)
    block = check([[40.0, 40.1], [40.1, 40.0]], site=relu)
    assert (block.near_middle, block.near_low, block.near_high) == (None, None, None)
    assert (block.unit, block.flags) == (pytest.approx(40.1), (CONSTANT,))


def test_a_softmax_over_many_channels_is_not_near_zero_by_fault():
    """Shares of 1 among 64 channels are about 0.016 whatever the block does."""
    shares = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).softmax(1)
    block = check(shares.tolist(), site=replace(SIGMOID, function="Softmax"))
    assert block.flags == ()


def test_one_image_does_not_tell_of_images():
    """Nothing is claimed that one image cannot show, and the words say so."""
    block = check([[0.2, 0.4, 0.6, 0.8]])
    assert (block.image_share, block.over_images, block.flags) == (None, None, ())
    assert describe_network([block]) == (
        "One image cannot show whether the gates depend on the image, only that they differ "
        "between channels. Add images: 24 are enough for most blocks."
    )
    assert describe_block(block).endswith("one image cannot show whether they depend on the image.")


def test_many_images_that_leave_a_block_open_are_not_called_too_few():
    """Its share of the variance is the limit itself: the sentence says near the limit, not that 24
    would be enough.
    """
    dice = torch.Generator().manual_seed(0)
    shift = 0.1 * torch.randn(30, 1, generator=dice)
    gates = (torch.linspace(0.3, 0.7, 16) + shift).clamp(0, 1).tolist()
    share = check(gates).image_share
    assert share is not None
    sentence = describe_network([check(gates, fixed=share)])
    assert sentence.startswith("30 images cannot show whether the gates depend on the image")
    assert sentence.endswith(
        "Their variance between images is near the limit: add images, or move the limit."
    )


def test_passes_count_as_a_batch():
    """A gallery is analysed image by image, and must come to what one pass of all would."""
    together = check_health([record(MIXED)], [SIGMOID])
    assert check_health([record(MIXED[:2]), record(MIXED[2:])], [SIGMOID]) == together


def test_dead_channels_are_counted_from_their_maps():
    """The first channel is zero; the second cancels to a mean of 0; the third is zero in one image
    only.
    """
    features = torch.ones(2, 4, 2, 2)
    features[:, 0] = 0
    features[:, 1] = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    features[0, 2] = 0
    (block,) = check_health([record(PAIR, features=features)], [SIGMOID])
    assert (block.dead, block.flags) == (1, (DEAD,))
    assert describe_block(block) == "SE_3_1: 1 of its 4 channels are dead (zero in every image)."


def test_a_mean_of_zero_is_not_taken_for_a_dead_channel():
    """Without the map it may have cancelled: then the number is not known, and the words say so."""
    cancelling = replace(record(PAIR), squeeze=torch.tensor([[0.0, 1, 1, 1], [0.0, 1, 1, 1]]))
    assert count_dead([cancelling], [SIGMOID]) == {"block": None}
    (block,) = check_health([cancelling], [SIGMOID])
    assert (block.dead, block.flags) == (None, ())
    assert "their means cannot show whether channels are dead" in describe_block(block)
    (block,) = check_health([cancelling], [SIGMOID], dead={"block": 1})
    assert (block.dead, block.flags) == (1, (DEAD,))


def test_a_squeeze_that_is_no_mean_does_not_tell_of_dead_channels():
    """It may not be 0 where the channel is: a first layer may see something else than channels."""
    assert count_dead([record(MIXED)], [replace(SIGMOID, averaged=False)]) == {"block": None}


def test_few_dead_channels_are_no_flag():
    """The limit is a share of the channels: 1 of 4 is not more than a quarter."""
    features = torch.ones(2, 4, 1, 1)
    features[:, 0] = 0
    (block,) = check_health([record(PAIR, features=features)], [SIGMOID], limits=Limits(dead=0.25))
    assert (block.dead, block.flags) == (1, ())


def test_zeroed_excitations_are_at_a_half(se_net: nn.Module, images: Tensor):
    """The sigmoid of 0 is 0.5 exactly, in all 16 blocks."""
    excite(se_net, bias=0.0)
    blocks = check_model(se_net, images)
    assert {(block.flags, block.mean, block.near_middle) for block in blocks} == {
        ((STUCK, CONSTANT), 0.5, 1.0)
    }
    assert describe_network(blocks).startswith(
        "The gates of all 16 blocks are near 0.5: recalibration is weak."
    )


def test_the_answer_to_all_my_gates_are_065(se_net: nn.Module, images: Tensor):
    """The sigmoid of 0.62 is 0.650: a bias alone is left, and the words name the number."""
    excite(se_net, bias=0.62)
    blocks = check_model(se_net, images)
    assert {block.flags for block in blocks} == {(CONSTANT,)}
    assert describe_network(blocks) == (
        "In all 16 blocks every channel gets nearly the same gate, about 0.65: the network runs, "
        "but its SE blocks scale all channels alike. Check that the excitation's weights are not "
        "near zero beside its biases. Constant: all 16 blocks."
    )
    assert "every channel gets nearly the same gate, 0.65 on average" in describe_block(blocks[0])


def test_huge_biases_saturate(se_net: nn.Module, images: Tensor):
    """The sigmoid of 30 is 1 in float32; a bias of either sign brings gates to either end."""
    excite(se_net, bias=30.0)
    images = torch.cat([images, images])[:3]
    for name, module in se_net.named_modules():
        if name.endswith(".fc2"):
            assert isinstance(module, nn.Conv2d)
            assert module.bias is not None
            with torch.no_grad():
                module.bias[::2] *= -1
    blocks = check_model(se_net, images)
    # Each channel has one gate for all images: three are enough to say that nothing is between
    # them.
    assert {block.flags for block in blocks} == {(SATURATED, FIXED)}
    assert {(block.near_low, block.near_high) for block in blocks} == {(0.5, 0.5)}


def test_the_bundled_network_saturates_late_and_six_images_leave_early_blocks_open():
    """The paper finds SE_5_2 near 1 and early blocks shared by all (section 7.2); six images
    cannot tell the second.
    """
    network = load_network(list_networks()[0].name, "cpu")
    inputs = torch.cat([network.preprocess(open_image(sample.path)) for sample in list_samples()])
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(inputs)
    blocks = {block.label: block for block in check_health(records, network.inspection.sites)}
    assert [label for label, block in blocks.items() if SATURATED in block.flags] == [
        "SE_5_2",
        "SE_5_3",
    ]
    # Over 800 photos of other sets 7 % to 16 % of the variance of these is between images: about
    # the limit.
    assert all(blocks[label].fixed is None for label in ("SE_2_1", "SE_2_2", "SE_3_1"))
    assert blocks["SE_5_1"].fixed is False
    assert all(block.dead == 0 for block in blocks.values())
    assert "6 images cannot show whether" in describe_network([*blocks.values()])


def test_weak_gates_that_move_with_the_image_are_not_said_to_be_still():
    """Gates of 0.46 to 0.54 that swap with every image: weak, and the numbers say that they
    move.
    """
    block = check([[0.46, 0.54] * 2, [0.54, 0.46] * 2] * 4)
    assert block.flags == (STUCK,)
    assert describe_block(block) == (
        "SE_3_1: 100% of its gates are within 0.05 of 0.5, the Sigmoid of 0, so recalibration is "
        "weak; their standard deviation is 0.04 over channels and 0.043 over images."
    )


def test_the_table_has_one_row_a_block():
    """What is written to a file: flags as text, numbers as they are."""
    row = tabulate_health([check([[0.5] * 4] * 2)]).iloc[0]
    assert (row["block"], row["path"], row["stage"], row["channels"]) == ("SE_3_1", "block", 3, 4)
    assert (row["flags"], row["mean"], row["near_middle"]) == (
        "near the middle, constant",
        0.5,
        1.0,
    )
    assert tabulate_health([check(MIXED)]).iloc[0]["flags"] == "healthy"


def test_a_network_without_a_flag_is_said_to_be_healthy():
    """One sentence, and no list of faults after it."""
    assert describe_network([check(MIXED)] * 3) == (
        "The gates of all 3 blocks are healthy: they differ between channels and between images."
    )


def test_long_lists_of_blocks_are_cut():
    """A network of 50 blocks must still have one readable sentence: six names and a number."""
    blocks = [replace(check([[0.65] * 4] * 2), label=f"SE_4_{place}") for place in range(1, 10)]
    words = describe_network([*blocks, check(MIXED)])
    assert words.endswith("Constant: SE_4_1, SE_4_2, SE_4_3, SE_4_4, SE_4_5, SE_4_6 and 3 more.")


def test_every_flag_has_its_meaning():
    """A reader meets the flag as a word on the page, and the page explains it."""
    assert tuple(MEANINGS) == (*FLAGS, UNDECIDED)


def test_no_records_and_foreign_sites_are_refused():
    """Both are slips in a notebook, and would otherwise end in a KeyError or an empty table."""
    with pytest.raises(DataError, match=r"There are no gates to check\. Run the model"):
        check_health([], [SIGMOID])
    with pytest.raises(DataError, match=r"block is none of the given sites\. Give those of"):
        check_health([record(MIXED)], [])
