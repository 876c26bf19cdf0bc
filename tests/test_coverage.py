"""The coverage check is itself checked: an oracle that sees nothing would find nothing wrong."""

from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from benchmarks.coverage import Row, check, smallest_of_each
from benchmarks.coverage_oracle import is_gating, randomise, see_gating
from benchmarks.coverage_table import write_report

pytestmark = pytest.mark.slow


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))


def test_a_product_with_one_value_a_channel_is_gating(maps: Tensor):
    """The definition of recalibration, for values that differ between two images; a dead channel
    does not hide it.
    """
    gate = torch.rand(2, 6, 1, 1, generator=torch.Generator().manual_seed(1))
    assert is_gating(maps, gate * maps)
    maps[:, 2] = 0
    assert is_gating(maps, gate * maps)


@pytest.mark.parametrize("kind", ["same", "layer scale", "sum", "map", "relu", "nothing"])
def test_what_is_no_gate_is_not_taken_for_one(maps: Tensor, kind: str):
    """Weights that no image changes, sums, gates of places and dead units are no channel gates."""
    scale = torch.rand(1, 6, 1, 1, generator=torch.Generator().manual_seed(1))
    outputs = {
        "same": maps.clone(),
        "layer scale": scale * maps,
        "sum": maps + scale,
        "map": maps * torch.sigmoid(maps.mean(1, keepdim=True)),
        "relu": maps.relu(),
        "nothing": torch.full_like(maps, float("nan")),
    }
    assert not is_gating(maps, outputs[kind])


def test_maps_of_one_value_tell_nothing():
    """A norm of a map that a pooling has left even adds a bias, and looks like a product with
    another value.
    """
    even = torch.tensor([1.0, 2.0])[:, None, None, None].expand(2, 6, 2, 2)
    assert not is_gating(even, 0.5 * even + 0.3)
    # Nearly even: the square of 1 + e is 1 + 2e, a product but for what rounding would hide as
    # well.
    nearly = even + 1e-7 * torch.arange(4.0).view(2, 2)
    assert not is_gating(nearly, nearly**2)


def test_a_hard_activation_is_no_gate(maps: Tensor):
    """Where every map lies beyond its bend, it is shut or let through as it is, which looks like
    gates of 0 and 1.
    """
    signs = torch.tensor([[1.0, -1, 1, -1, 1, -1], [-1.0, 1, 1, -1, 1, 1]])[:, :, None, None]
    beyond = signs * (3 + maps.abs())
    assert not is_gating(beyond, nn.functional.hardswish(beyond))


def test_a_norm_of_a_faded_signal_is_no_gate(maps: Tensor):
    """Where epsilon is all it divides by, it multiplies by a thousand and thousandths that depend
    on the image.
    """
    faded = 3e-6 * maps
    assert not is_gating(faded, faded * (faded.square().mean(1, keepdim=True) + 1e-6).rsqrt())


def test_gating_modules_are_found_by_what_they_do():
    """No name is looked at: the block alone is returned, not the container whose output it is."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Sequential(SqueezeExcitation(8, 4)), nn.ReLU()
    )
    gating = see_gating(randomise(model).eval(), torch.randn(2, 3, 16, 16))
    assert list(gating) == ["2.0"]
    assert len(gating["2.0"]) == 1


def test_one_network_of_each_library_is_covered():
    """16 blocks each, from Table 1 of arXiv 1905.11946; found and exact come from other sides."""
    for library in ("torchvision", "timm"):
        row = check(library, "efficientnet_b0")
        assert (row.size, row.gating, row.found, row.exact) == (64, 16, 16, 16)
        assert (row.missing, row.refused, row.error) == ([], {}, "")


def test_of_other_families_the_smallest_is_looked_into():
    """A gate under a name that nobody thought of would otherwise never be seen."""
    rows = [
        Row("timm", "big", "vgg", 20),
        Row("timm", "small", "vgg", 10),
        Row("timm", "done", "resnet", 5, size=64),
    ]
    assert [row.name for row in smallest_of_each(rows)] == ["small"]


def test_the_report_counts_what_is_wrong():
    """A block found but not exact is neither hidden in a total nor lost between families."""
    right = Row("timm", "a", "fa", 1, 64, gating=2, found=2, exact=2, forms=["timm SEModule"])
    wrong = Row(
        "timm",
        "b",
        "fb",
        1,
        64,
        gating=3,
        found=2,
        exact=1,
        missing=["x.y"],
        forms=["timm SEModule"],
    )
    attention = Row("timm", "c", "fc", 1, 64, others=["Another kind."])
    text = write_report([asdict(row) for row in (right, wrong, attention)], None, listed=5)
    assert (
        "timm: 2 networks with gates, 4 blocks found, 3 captured exactly, 1 not, 1 missing" in text
    )
    assert "5 names listed, 3 looked at, 3 networks run. 2 are still to be looked at." in text
    assert "timm b: 1 not exact, missing ['x.y'], refused {}" in text
    assert "Another kind. 1 networks: c." in text
    assert "None is wrong" in write_report([asdict(right)], None, listed=1)
