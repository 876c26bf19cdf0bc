import torch

from se_viz.gates.peaks import Peak, find_peaks


def test_peaks_are_the_cells_that_no_neighbour_exceeds():
    """Every cell is compared with its neighbours one by one."""
    features = torch.randn(7, 9, generator=torch.Generator().manual_seed(2))
    expected = []
    for row in range(7):
        for column in range(9):
            around = features[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if (around <= features[row, column]).all():
                expected.append(Peak(row, column, features[row, column].item()))
    expected.sort(key=lambda peak: -peak.value)
    assert find_peaks(features, 99) == tuple(expected)
    assert find_peaks(features, 3) == tuple(expected[:3])
    assert len(expected) > 3


def test_negative_channels_have_peaks_too():
    """Feature maps before an addition are signed: the highest cell counts, whatever its sign."""
    features = torch.tensor([[-3.0, -1.0], [-2.0, -4.0]])
    assert find_peaks(features, 4) == (Peak(0, 1, -1.0),)


def test_an_even_map_has_no_peak():
    """A dead channel looks nowhere; to mark a cell of it would be a lie."""
    assert find_peaks(torch.zeros(5, 5), 4) == ()
    assert find_peaks(torch.ones(1, 1), 4) == ()
