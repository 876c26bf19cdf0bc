import base64
import hashlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from se_viz.experiments.analysis import analyse
from se_viz.gates import edit_gates
from se_viz.gates.surgery import GateEdit, level_gates, scale_gates, set_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network
from se_viz.networks.crop import crop_image
from se_viz.ui.session.state import ChosenImage
from se_viz.ui.surgery.edits import History, rescale, scale_of
from tests import ROOT
from tests.support.pages import captions, clean

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

PAGE = ROOT / "pages" / "surgery.py"
BLOCK = "layer3.2.bn3.1"
WIDTH = 256
"""SE_4_3 of the tiny network, and how many channels it has."""


@pytest.fixture
def page() -> AppTest:
    """Return the page in a session that has chosen network and image, with SE_4_3 open."""
    page = AppTest.from_file(str(PAGE), default_timeout=300)
    page.session_state["network"] = "tiny"
    page.session_state["device"] = "cpu"
    page.session_state["image"] = sample(3)
    page.session_state["block"] = BLOCK
    return page


def sample(index: int) -> ChosenImage:
    content = list_samples()[index].path.read_bytes()
    return ChosenImage(f"{index}.jpg", content, hashlib.sha256(content).hexdigest())


def figure(page: AppTest, key: str) -> dict[str, Any]:
    return json.loads(
        next(
            chart.proto.spec for chart in page.get("plotly_chart") if str(chart.key).startswith(key)
        )
    )


def numbers(values: Any) -> np.ndarray:
    """Return what Plotly sends: a list, or an array in base64."""
    if not isinstance(values, dict):
        return np.array(values, dtype=float)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return (
        flat.reshape([int(side) for side in values["shape"].split(",")])
        if "shape" in values
        else flat
    )


def choose(page: AppTest, way: str, scope: str = "block") -> AppTest:
    page.segmented_control(key="surgery-way").set_value(way).run()
    if way in ("all", "value"):
        page.segmented_control(key="surgery-scope").set_value(scope).run()
    return clean(page)


def press(page: AppTest, button: str) -> AppTest:
    return clean(page.button(key=f"surgery-{button}").click().run())


def edits(page: AppTest) -> list[str]:
    return [text.value for text in page.text]


def expected_bars(network: Network, image: ChosenImage, *steps: GateEdit) -> list[float]:
    """Return the probabilities in per cent that the network gives under edits, by the library
    alone.
    """
    photo = crop_image(open_image(image.content), network.card.view)
    logits = analyse(network, photo, edits=steps).logits.double().numpy()
    return sorted(100 * np.exp(logits) / np.exp(logits).sum())


def bars(page: AppTest) -> list[float]:
    return sorted(numbers(figure(page, "answers")["data"][0]["x"]))


def test_without_an_image_the_page_invites(page: AppTest):
    """Nothing can be changed before there is something to look at."""
    page.session_state["image"] = None
    clean(page.run())
    assert page.file_uploader(key="page-upload-0")
    assert not page.get("plotly_chart")


def test_without_edits_the_page_says_what_to_do(page: AppTest, network: Network):
    """The answer as it is, one sentence, and nothing below that has nothing to show."""
    clean(page.run())
    assert "No edits yet: this is the network's own answer." in captions(page)
    assert "No gate is chosen. Drag a box" in page.info[0].value
    assert not page.subheader
    assert bars(page) == pytest.approx(expected_bars(network, sample(3)), rel=1e-4)


def test_an_empty_selection_says_what_to_do(page: AppTest):
    """No button can be pressed that would change nothing."""
    page.run()
    assert "No gate is chosen. Drag a box" in page.info[0].value
    keys = ("zero", "one", "mean", "value", "scale", "undo", "redo", "reset")
    assert all(page.button(key=f"surgery-{key}").disabled for key in keys)


@pytest.mark.parametrize(
    ("button", "edit", "words"),
    [
        ("zero", set_gates(BLOCK, 0.0), "all channels set to 0"),
        ("one", set_gates(BLOCK, 1.0), "all channels set to 1"),
        ("mean", level_gates(BLOCK), "all channels set to their mean"),
        ("value", set_gates(BLOCK, 0.5), "all channels set to 0.5"),
        ("scale", scale_gates(BLOCK, 0.5), "all channels multiplied by 0.5"),
    ],
)
def test_every_button_does_what_it_says(
    page: AppTest, network: Network, button: str, edit: GateEdit, words: str
):
    """The list reads as a sentence, and the new answer is that of the library under the same
    edit.
    """
    press(choose(page.run(), "all"), button)
    assert edits(page) == [f"1. SE_4_3: {words}"]
    assert bars(page) == pytest.approx(expected_bars(network, sample(3), edit), rel=1e-4)


def test_undo_and_redo_and_reset(page: AppTest, network: Network):
    """Each step back shows the old answer again, to the digit."""
    old = bars(choose(page.run(), "all"))
    new = bars(press(page, "zero"))
    assert new != old
    assert bars(press(page, "undo")) == old
    assert edits(page) == []
    assert bars(press(page, "redo")) == new
    assert bars(press(press(page, "scale"), "reset")) == old
    assert bars(press(page, "undo")) == bars(press(press(page, "undo"), "redo"))
    assert len(edits(page)) == 2


def test_one_edit_of_several_can_be_removed(page: AppTest):
    """The others stay in their order."""
    choose(page.run(), "all")
    for button in ("zero", "scale", "mean"):
        press(page, button)
    press(page, "remove-1")
    assert edits(page) == [
        "1. SE_4_3: all channels set to 0",
        "2. SE_4_3: all channels set to their mean",
    ]


def test_a_range_of_values_picks_over_a_whole_stage(page: AppTest, network: Network):
    """As many channels as NumPy counts among the stage's gates; other blocks of the network are
    left alone.
    """
    choose(page.run(), "value", "stage")
    clean(page.slider(key="surgery-range-0-1").set_range(0.0, 0.3).run())
    press(page, "one")
    photo = crop_image(open_image(sample(3).content), network.card.view)
    stage = [record for record in analyse(network, photo).records if record.stage == 4]
    count = sum(int((record.gate <= 0.3).sum()) for record in stage)
    assert 0 < count < 6 * WIDTH
    assert edits(page) == [f"1. Stage 4 (6 blocks): {count:,} channels set to 1"]


def test_a_range_without_gates_is_an_empty_selection(page: AppTest):
    """A sentence instead of an edit that does nothing."""
    press(choose(page.run(), "all"), "zero")
    choose(page, "value")
    clean(page.slider(key="surgery-range-0-1").set_range(0.4, 0.6).run())
    assert "No gate is chosen" in page.info[0].value
    assert page.button(key="surgery-zero").disabled


def test_the_whole_network_can_be_changed_at_once(page: AppTest):
    """All 16 blocks in one line; no block is left whose gates could react."""
    press(choose(page.run(), "all", "network"), "mean")
    assert edits(page) == [
        "1. Whole network (16 blocks): all channels set to their mean, block by block"
    ]
    assert "Not shown" not in captions(page)


def test_one_gate_follows_its_slider(page: AppTest):
    """Moving it twice is one edit, and undo moves the handle back to where the gate was."""
    page.session_state["channel"] = 7
    choose(page.run(), "one")
    key = f"surgery-gate-{BLOCK}-7"
    before = page.slider(key=key).value
    clean(page.slider(key=key).set_value(0.25).run())
    clean(page.slider(key=key).set_value(0.75).run())
    assert edits(page) == ["1. SE_4_3: channel 7 set to 0.75"]
    press(press(page, "undo"), "undo")
    assert page.slider(key=key).value == before


def test_all_gates_of_the_open_block_follow_one_slider(page: AppTest, network: Network):
    """Nothing has to be chosen first; moving it twice is one edit, undo moves the handle back, and
    1 is no edit.
    """
    key = "surgery-live"
    clean(page.run())
    assert page.slider(key=key).value == 1
    assert [button.key for button in page.button if button.key == "surgery-zero"]
    for factor in (0.25, 0.5):
        clean(page.slider(key=key).set_value(factor).run())
    assert edits(page) == ["1. SE_4_3: all channels multiplied by 0.5"]
    assert bars(page) == pytest.approx(
        expected_bars(network, sample(3), scale_gates(BLOCK, 0.5)), rel=1e-4
    )
    press(page, "undo")
    assert page.slider(key=key).value == 0.25
    clean(page.slider(key=key).set_value(1.0).run())
    assert edits(page) == []
    assert bars(page) == pytest.approx(expected_bars(network, sample(3)), rel=1e-4)


def test_the_slider_of_a_block_leaves_all_other_edits_alone():
    """The last edit that does just that is replaced in its place, since edits act in their
    order.
    """
    zero = set_gates(BLOCK, 0.0, channels=[3])
    other = scale_gates("layer4.0.bn3.1", 2.0)
    scaled = (scale_gates(BLOCK, 0.5), zero, other)
    assert rescale(scaled, BLOCK, 0.8) == (scale_gates(BLOCK, 0.8), zero, other)
    assert rescale(scaled, BLOCK, 1.0) == (zero, other)
    assert rescale((zero, other), BLOCK, 0.8) == (zero, other, scale_gates(BLOCK, 0.8))
    assert rescale((zero,), BLOCK, 1.0) == (zero,)
    assert scale_of(scaled, BLOCK) == 0.5
    assert scale_of((zero, scale_gates(BLOCK, 0.5, channels=[1])), BLOCK) == 1


def test_a_box_in_the_figure_picks_what_it_holds(page: AppTest):
    """What the browser reports are channels, and the buttons act on these alone."""
    page.run()
    chart = next(
        str(chart.key) for chart in page.get("plotly_chart") if str(chart.key).startswith("pick-")
    )
    page.session_state["picked"] = (
        chart.removeprefix("pick-").removesuffix("-picked"),
        (3, 5, 250),
    )
    clean(page.run())
    assert "Chosen: **SE_4_3: 3 channels**" in [text.value for text in page.markdown]
    press(page, "zero")
    assert edits(page) == ["1. SE_4_3: 3 channels set to 0"]
    points = figure(page, "pick-")["data"][0]
    shut = [
        channel
        for channel, y in zip(points["customdata"], numbers(points["y"]), strict=True)
        if y == 0
    ]
    assert sorted(map(int, shut)) == [3, 5, 250]
    page.selectbox(key="block").set_value("layer1.0.bn3.1").run()
    assert "No gate is chosen" in page.info[0].value


def test_the_same_edit_is_seen_on_another_photo(page: AppTest, network: Network):
    """Choosing another image keeps what is in force: that is the question people come with."""
    press(choose(page.run(), "all"), "zero")
    page.session_state["image"] = sample(1)
    clean(page.run())
    assert edits(page) == ["1. SE_4_3: all channels set to 0"]
    assert bars(page) == pytest.approx(
        expected_bars(network, sample(1), set_gates(BLOCK, 0.0)), rel=1e-4
    )


def test_only_blocks_from_the_edit_on_are_drawn(page: AppTest):
    """SE_4_3 is the tenth of 16: seven rows are left, the first is marked, and the caption names
    the others.
    """
    press(choose(page.run(), "all"), "zero")
    rows = figure(page, "reaction")["layout"]["yaxis"]["ticktext"]
    assert rows == ["✎ SE_4_3", "SE_4_4", "SE_4_5", "SE_4_6", "SE_5_1", "SE_5_2", "SE_5_3"]
    assert (
        "Not shown: SE_2_1 to SE_4_2, which come before the first edit and do not change."
        in captions(page)
    )


def test_after_the_last_block_nothing_can_react(page: AppTest):
    """A page that showed an empty map would look broken."""
    page.session_state["block"] = "layer4.2.bn3.1"
    press(choose(page.run(), "all"), "zero")
    assert "SE_5_3 is the last block: no later gate can react." in captions(page)


def test_gates_beyond_their_range_are_said(page: AppTest):
    """Doubled gates above 0.5 are above 1, where no image would put them."""
    choose(page.run(), "all")
    clean(page.slider(key="surgery-amount").set_value(3.0).run())
    assert page.button(key="surgery-value").disabled
    assert "choose a smaller amount than 3, or multiply." in captions(page)
    press(page, "scale")
    assert "gates now lie outside 0 to 1, where no image would put them." in captions(page)


def test_both_maps_are_those_of_the_library(page: AppTest, network: Network):
    """Saliency of the class that came first, by autograd, without and with the edit, on one scale
    of 126 steps.
    """
    page.session_state["surgery-method"] = "saliency"
    press(choose(page.run(), "all"), "one")
    left, right = (
        numbers(figure(page, f"map-{when}")["data"][0]["z"]) for when in ("before", "after")
    )
    inputs = network.preprocess(
        crop_image(open_image(sample(3).content), network.card.view)
    ).requires_grad_()
    with torch.enable_grad():
        plain = network.model(inputs)
        target = int(plain[0].argmax())
        (old,) = torch.autograd.grad(plain[0, target], inputs)
        with edit_gates(network.model, {BLOCK: torch.ones_like}):
            (new,) = torch.autograd.grad(network.model(inputs)[0, target], inputs)
    maps = np.stack([slope[0].abs().amax(0).numpy() for slope in (old, new)])
    share = maps / np.quantile(maps, 0.995)
    for codes, wanted in zip((left, right), share, strict=True):
        # Half a step, and as much again for the float32 quantile.
        assert np.abs(codes - 126 * wanted)[wanted < 0.99].max() <= 1


def test_an_edit_of_another_network_says_what_to_do(page: AppTest):
    """Weights under the same name may be replaced by others: one sentence, and the edit can be
    taken away.
    """
    page.session_state["edits"] = {"tiny": History((set_gates("features.9", 0.0),))}
    page.run()
    assert not page.exception
    assert [
        "no SE block 'features.9', which an edit changes. Remove the edit" in text.value
        for text in page.error
    ] == [True]
    press(page, "remove-0")
    assert bars(page)


def test_each_network_keeps_its_own_edits(page: AppTest):
    """What was done to one is not done to another, and is still there on the way back."""
    page.session_state["edits"] = {"another": History((set_gates("features.9", 0.0),))}
    press(choose(page.run(), "all"), "zero")
    assert edits(page) == ["1. SE_4_3: all channels set to 0"]
    assert page.session_state["edits"]["another"].now == (set_gates("features.9", 0.0),)
