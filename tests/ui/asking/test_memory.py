"""What the app's collector keeps and frees."""

import gc
import weakref

import pytest

from se_viz.ui.asking.memory import freeze_anew, look

pytestmark = pytest.mark.slow


class Session:
    """Refers to itself, as a session of Streamlit does: only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize("free", [freeze_anew, lambda: [look(number) for number in range(1, 9)]])
def test_a_session_goes_though_a_network_was_loaded_for_it(free):
    """It holds a visitor's photos and weights, up to 1.3 GB: the next load, or two minutes, have
    to free it.
    """
    session = Session()
    gone = weakref.ref(session)
    freeze_anew()
    del session
    try:
        gc.collect()
        assert gone() is not None, (
            "a usual collection passes it by: else this test would say nothing"
        )
        free()
        assert gone() is None
    finally:
        gc.unfreeze()


def test_most_looks_leave_what_is_frozen_alone():
    """To look at all that PyTorch has loaded holds the interpreter for a fifth of a second."""
    session = Session()
    gone = weakref.ref(session)
    freeze_anew()
    del session
    try:
        count = gc.get_freeze_count()
        young = [[] for _ in range(1000)]
        look(1)
        assert gone() is not None
        # Not equal: whatever other threads held when all was frozen, they may let go of meanwhile.
        assert 0 < gc.get_freeze_count() <= count
        assert len(young) == 1000
    finally:
        gc.unfreeze()
