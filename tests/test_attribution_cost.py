import pytest

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.cost import Pace, measure_pace
from se_viz.networks import Network


def test_an_estimate_is_passes_times_what_one_takes():
    """32 steps and the two ends run forward and 32 back; 32 * 0.1 + 32 * 0.2 is 9.6 s, and the ends 0.2 s more."""
    pace = Pace(forward=0.1, backward=0.2)
    assert pace.estimate(METHODS["integrated_gradients"], {"n_steps": 32}, side=64) == pytest.approx(9.8)
    assert pace.estimate(METHODS["saliency"], {}, side=64) == pytest.approx(0.3)


def test_the_time_of_passes_is_theirs_one_by_one():
    """3 forward at a second each, and 2 back at a tenth."""
    assert Pace(forward=1.0, backward=0.1).time((3, 2)) == pytest.approx(3.2)


def test_squares_are_counted_for_the_size_of_the_photo():
    """32-pixel squares, 16 apart: 3 x 3 places on 64 pixels, 7 x 7 on 128, and the photo itself."""
    pace = Pace(forward=1.0, backward=0.0)
    assert [pace.estimate(METHODS["occlusion"], {}, side=side) for side in (64, 128)] == [10, 50]


def test_a_measured_pace_leaves_the_network_as_it_was(network: Network):
    """Two passes and a clock: no gradient stays on a weight, and the time is one."""
    pace = measure_pace(network)
    assert pace.forward > 0
    assert pace.backward > 0
    assert all(value.grad is None for value in network.model.parameters())
