"""What stands on the first page before the first click is what the network says."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.first_look import NETWORK, compute
from se_viz import load_network
from se_viz.ui.explore.first_look import FILE
from tests.support.pages import clean


@pytest.mark.slow
def test_the_file_says_what_the_network_says():
    """Whoever changes network or sample is told to write it again."""
    computed = compute(load_network(NETWORK, device="cpu"))
    with np.load(FILE) as arrays:
        kept = dict(arrays)
    assert kept.keys() == computed.keys()
    for name, values in computed.items():
        if values.dtype.kind in "UiS":
            assert np.array_equal(kept[name], values), f"{name}: run `benchmarks.first_look`"
        else:
            # Another processor adds in another order; a map has steps of 1/255.
            slack = 1 if name == "heat" else 2e-3
            difference = np.abs(kept[name].astype(float) - values.astype(float)).max()
            assert difference <= slack, f"{name}: run `python -m benchmarks.first_look`"


def test_the_first_page_shows_answer_gates_and_a_block_before_the_first_click():
    """Bars, both pictures, the three steps with numbers that multiply."""

    def script() -> None:
        from se_viz.ui.explore import show_first_look

        show_first_look()

    app = clean(AppTest.from_function(script, default_timeout=300).run())
    bars = [bar.proto.text for bar in app.get("progress")]
    with np.load(FILE) as arrays:
        assert bars[0] == f"{arrays['names'][0]} · {arrays['shares'][0]:.1%}"
        block = arrays["blocks"].tolist().index(str(arrays["block"]))
        first = int(arrays["channels"][:block].sum())
        gates = arrays["gates"][first + arrays["shown"]]
    assert len(bars) == 3
    steps = next(html.proto.body for html in app.get("html") if "first-look" in html.proto.body)
    assert [f"× {gate:.2f}" in steps for gate in gates] == [True] * 4
    assert list(gates) == sorted(gates, reverse=True)
    assert steps.count("<img") == 8
