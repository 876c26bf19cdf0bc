"""The arithmetic of the measurements; never a time."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.capture import WAYS, load, prepare_capture, prepare_extractor, prepare_naive
from benchmarks.machine import describe_machine
from benchmarks.measure import (
    as_table,
    interleave,
    peak_memory,
    ratios,
    show_memory,
    spread,
    time_pairs,
)
from benchmarks.paint import make_photo
from benchmarks.verdicts import SAID, WRONG, Rate

pytestmark = pytest.mark.slow


def test_spread_is_the_median_and_the_quartiles():
    """Of 0, 10, ..., 40 a quarter lies below 10 and three quarters below 30; order must not
    matter.
    """
    quartiles = spread([40.0, 0.0, 20.0, 10.0, 30.0])
    assert (quartiles.median, quartiles.low, quartiles.high) == (20.0, 10.0, 30.0)


def test_median_of_an_even_count_lies_between_the_middle_two():
    """Ten photos are measured, so the even case is the usual one."""
    assert spread([1.0, 2.0, 4.0, 100.0]).median == 3.0


def test_one_outlier_does_not_move_the_middle():
    """A background task that wakes once must not decide a number; this is why medians are shown."""
    assert spread([1.0, 1.0, 1.0, 1.0, 1000.0]).show(1) == "1.0 (1.0 to 1.0)"


def test_spread_refuses_a_single_value():
    """One value has no spread, and none must be made up."""
    with pytest.raises(ValueError, match="at least"):
        spread([1.0])


def test_both_ways_come_first_equally_often():
    """What runs second finds warm caches; over an even count the advantage has to cancel."""
    orders = list(interleave(4))
    assert orders == [(0, 1), (1, 0), (0, 1), (1, 0)]


def test_pairs_keep_the_two_ways_apart_in_either_order():
    """In every other pair the second way runs first, and its time still belongs in the second
    place.
    """
    calls: list[str] = []

    def way(name: str, seconds: float) -> float:
        calls.append(name)
        return seconds

    pairs = time_pairs(lambda: way("a", 1.0), lambda: way("b", 2.0), 3)
    assert pairs == [(1.0, 2.0)] * 3
    assert "".join(calls) == "abbaab"


def test_ratio_says_how_many_times_as_long_the_second_took():
    """Capture is second: a ratio above 1 has to mean that capture costs."""
    assert ratios([(2.0, 3.0), (4.0, 2.0)]) == [1.5, 0.5]


def test_table_is_markdown_that_can_be_pasted():
    """Every line has the same cells at the same places, and the second line is Markdown's rule."""
    assert (
        as_table(("a", "long"), [("value", "1")])
        == "| a     | long |\n| ----- | ---- |\n| value | 1    |"
    )


def test_peak_memory_is_at_least_what_was_held():
    """A process that has held 64 MiB of written bytes cannot have a smaller peak."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("Only Linux tells a process's peak memory.")
    block = bytearray(os.urandom(64 * 2**20))
    peak = peak_memory(os.getpid())
    assert peak is not None
    assert peak * 2**20 >= len(block)


def test_unknown_memory_is_said_not_invented():
    """Where the system does not tell, a table must not show a 0."""
    assert show_memory(None) == "not told here"


def test_machine_names_what_a_number_depends_on():
    """A time means nothing without the processor, the cores and the version that took it."""
    machine = describe_machine()
    words = machine.show()
    assert machine.cores >= 1
    assert machine.processor in words
    assert torch.__version__.split("+")[0] in words


def test_photos_are_the_size_they_claim_and_never_the_same():
    """A photo that came twice would be answered from a cache, and measure nothing."""
    photos = [make_photo((64, 48), seed) for seed in (0, 6, 0)]
    assert Image.open(io.BytesIO(photos[0])).size == (64, 48)
    assert photos[0] != photos[1]
    assert photos[0] == photos[2], (
        "equal seeds have to give equal photos, or no run can be repeated"
    )


def test_batch_has_the_asked_number_of_images(bundled: Path):
    """Six samples have to fill a batch of 16 by repetition: the seventh is the first again."""
    _, inputs = load("tiny", "cpu", 16)
    assert inputs.shape == (16, 3, 64, 64)
    assert torch.equal(inputs[6], inputs[0])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_leaves_no_hook(se_net: nn.Module, images: Tensor, way: str):
    """A hook that stayed would make the next bare pass pay for it."""
    WAYS[way](se_net)(images)
    hooks = [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in se_net.modules()
    ]
    assert sum(hooks) == 0


@torch.no_grad()
def test_the_ways_that_are_compared_find_the_same_numbers(se_net: nn.Module, images: Tensor):
    """A way that returned less, or something else, would be no comparison: squeeze and gate of all
    16 blocks.
    """
    records: Any = prepare_capture(se_net)(images)
    extracted: Any = prepare_extractor(se_net)(images)
    pairs: Any = prepare_naive(se_net)(images)
    assert len(records) == len(pairs) == len(extracted) / 2 == 16
    for record, (squeeze, _) in zip(records, pairs, strict=True):
        # Two orders of summation.
        assert torch.allclose(record.squeeze, squeeze, atol=1e-6)
        assert torch.equal(record.squeeze, extracted[f"{record.block}.avgpool"].flatten(1))
        assert torch.equal(record.gate, extracted[f"{record.block}.scale_activation"].flatten(1))


def test_a_rate_is_how_often_a_word_was_said_of_all_that_was_drawn():
    """One of four is 25 %; of nothing there is no rate."""
    assert Rate("noise", WRONG, [True, False, False, False]).show() == (
        "noise",
        WRONG,
        "4",
        "1",
        "25.0%",
    )
    assert Rate("maps", SAID, []).show()[-1] == "none drawn"
