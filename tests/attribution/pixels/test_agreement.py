"""How far two maps agree, also of two resolutions."""

import numpy as np
import pytest
import torch

from se_viz.attribution.pixels import compare_maps


def test_a_map_agrees_with_itself_and_not_with_its_negative():
    """Correlation has a sign, and the places of the strongest magnitudes are the same."""
    values = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    same, opposite = compare_maps(values, 3 * values + 1e-3), compare_maps(values, -values)
    assert same
    assert opposite
    assert same.correlation == pytest.approx(1)
    assert opposite.correlation == pytest.approx(-1)
    assert opposite.overlap == 1


def test_overlap_counts_the_strongest_tenth():
    """By hand: of ten places each, five are the same ones, so 5 of 15."""
    first, second = torch.zeros(10, 10), torch.zeros(10, 10)
    first[0] = torch.arange(1.0, 11)
    second[0, :5] = 1
    second[1, :5] = -1
    agreement = compare_maps(first, second)
    assert agreement
    assert agreement.overlap == pytest.approx(5 / 15)
    expected = np.corrcoef(first.flatten().numpy(), second.flatten().numpy())[0, 1]
    assert agreement.correlation == pytest.approx(expected)


def test_maps_of_two_resolutions_meet_on_the_coarser_grid():
    """Each cell of the coarse map is repeated: the means of these are the map itself."""
    coarse = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    fine = coarse.repeat_interleave(3, 0).repeat_interleave(2, 1)
    for pair in ((coarse, fine), (fine, coarse)):
        agreement = compare_maps(*pair)
        assert agreement
        assert agreement.correlation == pytest.approx(1)
        assert agreement.overlap == 1


def test_random_maps_share_a_nineteenth():
    """0.1 / 1.9 is what the caption calls chance."""
    generator = torch.Generator().manual_seed(0)
    agreement = compare_maps(*torch.rand(2, 300, 300, generator=generator))
    assert agreement
    # 9,000 places a map: chance moves the share by less than a tenth of it.
    assert agreement.overlap == pytest.approx(1 / 19, rel=0.1)


def test_a_map_without_places_agrees_with_none():
    """One value everywhere marks nothing."""
    assert compare_maps(torch.ones(4, 4), torch.rand(4, 4)) is None
