import pytest

from se_viz.attribution.catalogue.cost import Pace, Rate, measure_pace
from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.networks import Network
from tests.support.passes import batches

PACE = Pace(single=Rate(forward=0.1, backward=0.2), many=Rate(forward=0.01, backward=0.02))


def test_an_estimate_is_passes_times_what_one_takes():
    """32 steps and the two ends run forward, several at once, and 32 back: 34 * 0.01 + 32 * 0.02
    is 0.98 s.
    """
    assert PACE.estimate(
        METHODS["integrated_gradients"], {"n_steps": 32}, shape=(3, 64, 64)
    ) == pytest.approx(0.98)
    assert PACE.estimate(METHODS["saliency"], {}, shape=(3, 64, 64)) == pytest.approx(0.3)


def test_the_time_of_passes_is_theirs_one_by_one():
    """3 forward at a tenth of a second each, and 2 back at a fifth; eight share one pass."""
    assert PACE.time((3, 2)) == pytest.approx(0.7)
    assert PACE.time((8, 0)) == pytest.approx(0.08)


def test_squares_are_counted_for_the_size_of_the_photo():
    """32-pixel squares, 16 apart: 3 x 3 places on 64 pixels, 7 x 7 on 128, and the photo itself."""
    seconds = [PACE.estimate(METHODS["occlusion"], {}, shape=(3, side, side)) for side in (64, 128)]
    assert seconds == pytest.approx([0.1, 0.5])


def test_a_measured_pace_leaves_the_network_as_it_was(network: Network):
    """Passes and a clock: no gradient stays on a weight, and the time is one."""
    pace = measure_pace(network)
    assert pace.single.forward > 0
    assert pace.many.forward > 0
    assert pace.many.backward >= 0
    assert all(value.grad is None for value in network.model.parameters())


def test_a_device_with_room_for_one_image_has_one_rate(network: Network):
    """What is estimated then is what will happen: one image after the other."""
    with batches(network.model, most=1) as sizes:
        pace = measure_pace(network)
    assert pace.many == pace.single
    assert max(sizes) > 1
