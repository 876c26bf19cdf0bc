"""Every page with a network whose block is used twice in a pass: each use has its own name, gates
and maps.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from se_viz.networks import Network
from se_viz.ui.asking.engine import get_engine
from tests.support.pages import channel_maps, chosen, clean, figure, noise, session, words

pytestmark = pytest.mark.slow

FIRST = "layer3.1.bn3.1"
SECOND = "layer3.1.bn3.1#2"
LABELS = ["SE_4_1", "SE_4_2", "SE_4_3", "SE_4_4", "SE_4_5", "SE_4_6"]


@pytest.fixture(autouse=True)
def twice(bundled: Path, network: Network) -> Iterator[Network]:
    """Keep a network loaded whose third unit of stage 4 has the SE block of the second."""
    network.model.set_submodule("layer3.2.bn3.1", network.model.get_submodule(FIRST))
    reused = Network(network.model, network.card, network.device)
    with get_engine().residents("cpu").borrow("tiny", lambda: reused, lambda: None):
        yield reused


@pytest.fixture
def gates(twice: Network) -> np.ndarray:
    """Return what the block's sigmoid gave in each of its two uses, by a hook of the test's own."""
    seen: list[torch.Tensor] = []
    sigmoid = twice.model.get_submodule(f"{FIRST}.scale_activation")
    handle = sigmoid.register_forward_hook(lambda *args: seen.append(args[-1].flatten()))
    with torch.no_grad():
        twice.model(twice.preprocess(noise()))
    handle.remove()
    assert len(seen) == 2
    return torch.stack(seen).numpy()


def show(name: str, **state: object) -> AppTest:
    """Return a page after its first run, with the second use of the block open."""
    page = clean(session(name, image=chosen(noise()), **{"block": SECOND, **state}).run())
    if "block" in {picker.key for picker in page.selectbox}:
        assert page.selectbox(key="block").value == SECOND
        assert page.selectbox(key="block").options[7:13] == LABELS
    return page


def test_explore_draws_the_use_that_is_open(gates: np.ndarray):
    """Its most open channels and their gates are those of the second use, which differ from those
    of the first.
    """
    page = show("explore.py")
    assert f"`{SECOND}`: a few of 256 channels" in words(page)
    assert "Block SE_4_3" in [heading.value for heading in page.subheader]
    order = gates[1].argsort()[::-1][:4]
    data = channel_maps(page)["most-open"]
    assert data["channels"][:4] == order.tolist()
    assert data["gates"][:4] == [f"{gates[1][channel]:.2f}" for channel in order]
    assert not np.allclose(gates[0], gates[1], atol=1e-4)


def test_a_gate_of_the_second_use_is_opened(gates: np.ndarray):
    """Number and arithmetic are its own; the path says which use it is."""
    page = show("microscope.py", channel=81)
    assert f"Gate {gates[1][81]:.3f}, rank" in words(page)
    assert f"SE_4_3 is `{SECOND}`." in words(page)
    assert "The arithmetic shown equals the captured tensors" in words(page)


def test_an_edit_changes_both_uses_and_says_so():
    """There is one block: its second use cannot be shut alone."""
    page = show("surgery.py")
    page.segmented_control(key="surgery-way").set_value("all").run()
    assert "A block here is used more than once in a pass; an edit changes every use." in words(
        page
    )
    clean(page.button(key="surgery-zero").click().run())
    rows = figure(page, "reaction")["layout"]["yaxis"]["ticktext"]
    assert [row for row in rows if row.startswith("✎")] == ["✎ SE_4_2", "✎ SE_4_3"]


@pytest.mark.parametrize("scope", ["block", "stage", "network"])
def test_each_use_is_replaced_by_itself(scope: str):
    """One place a use: a block is not a place in depth."""
    page = show("counterfactuals.py", scope=scope)
    places = figure(page, "depth")["layout"]["xaxis2"]["ticktext"]
    assert len(places) == {"block": 16, "stage": 4, "network": 1}[scope]
    if scope == "block":
        assert places[7:13] == LABELS


def test_effects_are_those_of_the_open_use(gates: np.ndarray):
    """Each point stands at the gate of the second use."""
    page = show("counterfactuals.py", measure="ablation", channel=81)
    assert f"Open: channel **#81** of SE_4_3, gate {gates[1][81]:.3f}" in words(page)


@pytest.mark.parametrize("place", ["end", "after", "before"])
def test_stages_show_a_map_or_say_why_not(place: str):
    """No module ends the stage alone, as far as is known; on both sides of its last block there is
    a map.
    """
    page = show("attribution.py", **{"attribution-view": "Stage by stage", "stage-place": place})
    keys = {chart.key for chart in page.get("plotly_chart")}
    assert {"stage-2", "stage-3", "stage-5", "side-U", "side-X", "side-T", "makers"} <= keys
    assert ("stage-4" in keys) == (place != "end")
    sentence = "No module ends stage 4 alone: a block of it is used more than once"
    assert any(sentence in info.value for info in page.info) == (place == "end")


def test_methods_stand_side_by_side():
    """Nothing of them depends on how often a block is used; what does is refused in words."""
    page = show("attribution.py", **{"tick-deep_lift": True, "tick-guided_backprop": True})
    assert {"**Saliency**", "**Grad-CAM**", "**Integrated Gradients**"} <= {
        text.value for text in page.markdown
    }


def test_what_came_through_each_use_is_told_apart():
    """A bar for each use, under its own name, and the channels of the one that is open."""
    page = show("attribution.py", **{"attribution-view": "Through the gates"})
    (blocks,) = figure(page, "flow-blocks")["data"]
    assert blocks["y"][7:13] == LABELS
    assert blocks["customdata"][8:10] == [FIRST, SECOND]
    assert "channels of SE_4_3 account for half" in words(page)
