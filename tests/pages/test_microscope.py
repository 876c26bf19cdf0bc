import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from timm.layers.eca import EcaModule
from torch import nn

from se_viz.networks import Network
from se_viz.ui.asking.engine import get_engine
from tests.support.pages import captions, chosen, clean, figure, session

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCK = "layer3.2.bn3.1"
CHANNEL = 17
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@pytest.fixture
def pixels() -> np.ndarray:
    """Return an image of the network's own size, so that nothing has to scale it."""
    return np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def page(pixels: np.ndarray) -> AppTest:
    """Return the page in a session that has chosen a network, an image, a block and a channel; not
    run yet.
    """
    return session(
        "microscope.py", image=chosen(Image.fromarray(pixels)), block=BLOCK, channel=CHANNEL
    )


def run(page: AppTest) -> AppTest:
    """Run a page and check that it ended without a traceback and without a complaint."""
    return clean(page.run())


def drawn(page: AppTest) -> dict[str, Any]:
    """Return the numbers that the browser is given to draw the block with."""
    (element,) = (
        element
        for element in page.get("bidi_component")
        if element.proto.component_name != "se_viz_tools"
    )
    return json.loads(element.proto.json)


def features_of(network: Network, pixels: np.ndarray) -> np.ndarray:
    """Return U of the block, seen by a hook of the test's own."""
    normal = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    seen = []
    block = network.model.get_submodule(BLOCK)
    handle = block.register_forward_pre_hook(
        lambda _, args: seen.append(args[0][0].double().numpy())
    )
    with torch.no_grad():
        network.model(torch.from_numpy(normal.transpose(2, 0, 1)[None].astype(np.float32)))
    handle.remove()
    (features,) = seen
    return features


def by_hand(network: Network, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return U and every step of the block's excitation by NumPy (eqs. 2 to 4)."""
    features = features_of(network, pixels)
    parameters = network.model.get_submodule(BLOCK).parameters()
    w1, b1, w2, b2 = (value.detach().double().numpy().squeeze() for value in parameters)
    squeeze = features.mean((1, 2))
    before = w1 @ squeeze + b1
    hidden = np.maximum(before, 0)
    logits = w2 @ hidden + b2
    gates = 1 / (1 + np.exp(-logits))
    slopes = (gates * (1 - gates))[:, None] * (w2 @ ((before > 0)[:, None] * w1))
    return {
        "map": features[CHANNEL].ravel(),
        "z": squeeze,
        "before": before,
        "biases": b1,
        "hidden": hidden,
        "weights": w2[CHANNEL],
        "logits": logits,
        "gates": gates,
        "slopes": slopes,
        "terms": w1 * squeeze,
        "w1": w1,
    }


def test_every_number_drawn_is_the_papers_arithmetic(
    page: AppTest, network: Network, pixels: np.ndarray
):
    """Map, mean, hidden units, weights, logits and gates by NumPy from the network's input on."""
    data = drawn(run(page))
    expected = by_hand(network, pixels)
    for name in ("map", "z", "before", "biases", "hidden", "weights", "logits", "gates"):
        # Six digits are sent; the network before the block computes in float32.
        np.testing.assert_allclose(data[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert (data["channel"], data["channels"], data["size"]) == (CHANNEL, 256, [4, 4])
    assert (data["delta"], data["sigma"], data["averaged"]) == ("ReLU", "Sigmoid", True)


def test_lines_are_the_largest_terms_of_each_hidden_unit(
    page: AppTest, network: Network, pixels: np.ndarray
):
    """|w1_kj z_j| from the largest down, each with the weight that the equation shows."""
    data = drawn(run(page))
    expected = by_hand(network, pixels)
    for unit, inputs in enumerate(data["inputs"]):
        order = np.argsort(-np.abs(expected["terms"][unit]))[:10]
        assert [channel for channel, _ in inputs] == order.tolist()
        assert [weight for _, weight in inputs] == pytest.approx(
            expected["w1"][unit][order], rel=1e-5
        )


def test_the_curve_is_the_sigmoid(page: AppTest):
    """1 / (1 + exp(-x)), over more than the block's own logits."""
    data = drawn(run(page))
    logits, gates = data["curve"]
    assert gates == pytest.approx([1 / (1 + math.exp(-logit)) for logit in logits], rel=1e-5)
    assert logits[0] < min(data["logits"])
    assert logits[-1] > max(data["logits"])


def test_the_page_says_that_arithmetic_and_capture_agree(page: AppTest):
    """A reader has to know that nothing was approximated: the error stands below the picture."""
    words = captions(run(page))
    assert "The arithmetic shown equals the captured tensors" in words
    assert f"SE_4_3 is `{BLOCK}`" in words


def test_the_gate_is_placed_among_those_of_its_block(
    page: AppTest, network: Network, pixels: np.ndarray
):
    """One more than the number of wider gates."""
    gates = by_hand(network, pixels)["gates"]
    place = 1 + sum(gate > gates[CHANNEL] for gate in gates)
    assert f"Gate {gates[CHANNEL]:.3f}, rank {place} of 256" in captions(run(page))


def test_the_list_holds_the_strongest_derivatives(
    page: AppTest, network: Network, pixels: np.ndarray
):
    """The eight largest and the eight most negative of the closed form's row, from up to down."""
    row = by_hand(network, pixels)["slopes"][CHANNEL]
    order = np.argsort(-row)
    (bars,) = figure(run(page), "influence")["data"]
    assert [int(channel) for channel in bars["customdata"]] == [*order[:8], *order[-8:]]
    assert bars["x"] == pytest.approx(row[[*order[:8], *order[-8:]]], rel=1e-3)


def test_the_map_of_all_is_symmetric_about_zero_and_says_what_was_averaged(page: AppTest):
    """256 channels do not fit: cells of 2 x 2, on a scale whose middle is 0."""
    page = run(page)
    layout = figure(page, "jacobian")["layout"]
    texts = layout["coloraxis"]["colorbar"]["ticktext"]
    assert texts[1] == "0"
    assert float(texts[0]) == -float(texts[2])
    assert "Each cell is the mean of about 2 x 2 entries." in captions(page)
    assert figure(page, "jacobian")["data"][0]["z"]["shape"] == "128, 128"


def test_a_channel_beyond_the_block_gives_way_to_one_that_is_there(
    page: AppTest, network: Network, pixels: np.ndarray
):
    """A number kept from a wider block: of the wide gates the one that lets most pass is opened
    instead.
    """
    page.session_state["channel"] = 4000
    expected = by_hand(network, pixels)
    wide = (expected["gates"] >= 0.5) & (expected["gates"] <= 0.99)
    assert wide.any()
    most = np.argmax(np.where(wide, np.abs(expected["gates"] * expected["z"]), -1))
    assert run(page).number_input(key="channel").value == most
    assert drawn(page)["channel"] == most


def test_another_channel_can_be_chosen(page: AppTest):
    """The number is the way in for those who know what they look for."""
    run(page).number_input(key="channel").set_value(3)
    assert drawn(run(page))["channel"] == 3


@pytest.mark.usefixtures("bundled")
def test_a_block_of_another_form_shows_what_goes_in_and_out(page: AppTest):
    """ECA has one convolution and no hidden units: a sentence says so, and no wrong arithmetic is
    drawn.
    """
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), EcaModule(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    with (
        get_engine()
        .residents("cpu")
        .borrow("eca", lambda: Network.from_model(model, input_size=64), lambda: None)
    ):
        page.session_state["network"] = "eca"
        page.session_state["channel"] = 5
        run(page)
    assert (
        "1 (timm EcaModule) makes its gates by Conv1d, Sigmoid, not by the paper's"
        in page.info[0].value
    )
    data = drawn(page)
    assert len(data["z"]) == len(data["gates"]) == 8
    assert data.keys().isdisjoint({"before", "hidden", "weights", "logits", "curve"})
    assert "The arithmetic shown" not in captions(page)
    # Its derivatives are exact all the same: three channels reach a gate, through a kernel of
    # three.
    assert sorted(
        int(channel) for channel in figure(page, "influence")["data"][0]["customdata"]
    ) == [4, 5, 6]


def test_without_an_image_the_page_says_what_to_do(page: AppTest):
    """An empty page would look broken."""
    del page.session_state["image"]
    assert any("Start with one of these" in words.value for words in run(page).markdown)


def test_without_a_network_the_page_says_what_to_do(page: AppTest):
    """As every page does."""
    del page.session_state["network"]
    assert [box.value for box in run(page).info] == [
        "No network is chosen yet. Choose one in the sidebar."
    ]
