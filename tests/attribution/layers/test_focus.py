import pytest
import torch

from se_viz.attribution.layers.focus import find_focus


def test_half_of_an_even_map_is_half_of_its_area():
    """Ten equal cells: five of them hold half of the sum."""
    assert find_focus(torch.full((2, 5), 0.3)) == 0.5


def test_the_strongest_cells_count_first():
    """4 + 3 of 10 are the first to reach a half, so two of four cells, wherever they are; 4 alone
    holds 0.4.
    """
    values = torch.tensor([[1.0, 4.0], [2.0, 3.0]])
    assert find_focus(values) == 0.5
    assert find_focus(values, 0.4) == 0.25


def test_what_speaks_against_takes_no_part():
    """Only one cell is positive: it holds all of the evidence, in a quarter of the area."""
    assert find_focus(torch.tensor([[-9.0, 1.0], [0.0, -2.0]])) == 0.25


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_evidence_has_no_focus(value: float):
    """There is nothing to take half of."""
    assert find_focus(torch.full((2, 2), value)) is None
