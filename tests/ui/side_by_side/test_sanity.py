"""The sanity check below the maps: what is drawn of each part, and what is said of all."""

import pytest

from se_viz.attribution.catalogue.pixels import METHODS
from tests.support.pages import chosen, clean, figure, noise, session, words

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]


def test_randomising_shows_map_and_gates_part_by_part():
    """Six steps: an untouched copy, whose likenesses are 1, the classifier, and four stages."""
    page = session("attribution.py", image=chosen(noise()))
    for method in METHODS:
        page.session_state[f"tick-{method}"] = method in ("saliency", "input_x_gradient")
    clean(page.run())
    (button,) = (button for button in page.button if button.label == "Randomise a copy")
    clean(button.click().run())
    traces = {trace["name"]: trace for trace in figure(page, "sanity-steps")["data"]}
    assert list(traces)[-4:] == [f"stage {stage}" for stage in (2, 3, 4, 5)]
    assert "two shuffled networks" in traces
    assert all(
        len(trace["text"]) == 6 for name, trace in traces.items() if name != "two shuffled networks"
    )
    assert traces["stage 2"]["text"] == [
        "nothing",
        "classifier",
        "stage 5",
        "stage 4",
        "stage 3",
        "stage 2",
    ]
    # The network of these tests was never trained: nothing in its maps was learned.
    assert "on the learned weights**: the sizes" not in words(page)
    assert "with the maps of 19 networks whose weights are all shuffled" in words(page)
