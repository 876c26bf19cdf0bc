"""A second photo beside the first: the same channel stands in the same place in all pictures."""

import base64
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from se_viz.ui.explore.comparison import describe_change
from tests.support.pages import chosen, clean, components, noise, session

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]


def unpack(data: dict[str, Any]) -> np.ndarray:
    """Return the values that the browser is given to paint, as float64."""
    packed = data["values"]
    codes = np.frombuffer(base64.b64decode(packed["codes"]), "<u2")
    return packed["low"] + packed["step"] * codes


@pytest.fixture
def page() -> AppTest:
    """Return the page with a second photo chosen."""
    page = session("explore.py", image=chosen(noise()))
    clean(page.run())
    return clean(page.selectbox(key="compared").set_value("chelsea").run())


def test_the_difference_is_the_second_photos_gates_minus_the_firsts(page: AppTest):
    """All three pictures hold every gate by index; half a step is what each is rounded by."""
    first, here, other, change = components(page, "se_viz_gate_map")
    assert np.array_equal(unpack(first), unpack(here))
    slack = sum(data["values"]["step"] for data in (here, other, change))
    assert np.allclose(unpack(other) - unpack(here), unpack(change), rtol=0, atol=slack)
    assert np.abs(unpack(change)).max() > 0.01


def test_both_photos_stand_on_one_scale_and_in_one_order(page: AppTest):
    """A row can be compared with the one beside it only if neither is sorted by itself."""
    _, here, other, change = components(page, "se_viz_gate_map")
    assert here["span"] == other["span"]
    assert here["colours"] == other["colours"]
    assert here["keys"] is not None
    assert here["keys"] == other["keys"] == change["keys"]
    assert change["span"][0] == -change["span"][1]


def test_the_index_is_the_other_order(page: AppTest):
    """A channel that is looked for by its number is found in both."""
    clean(page.segmented_control(key="compared-order").set_value("channel").run())
    orders = [data["sorted"] for data in components(page, "se_viz_gate_map")[1:]]
    assert orders == [False, False, False]


def test_the_sentence_names_the_blocks_that_change_most_and_least():
    """By hand: mean absolute changes of 0.3, 0.05 and 0.1."""
    table = {
        "block": np.array(["A", "A", "B", "B", "C"]),
        "change": np.array([0.4, -0.2, 0.05, -0.05, 0.1]),
    }
    assert describe_change(table) == (
        "The gates change most in **A**, by 0.30 on average, and least in **B**, by 0.05."
    )
