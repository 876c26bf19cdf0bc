"""The view *Through the gates* shows what the library found, and goes on where something is
missing.
"""

import base64
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.attribution.gates.run import GATE_METHODS, attribute_gates
from se_viz.attribution.paths.trace import NETWORK, trace_paths
from se_viz.attribution.question.targets import Target
from se_viz.charts.scales import Span, fit_span
from se_viz.engine.questions import Case, TracePaths
from se_viz.networks import Network
from se_viz.ui.through_gates.rise import describe_scales, say_error, say_part
from tests.support.pages import chosen, clean, figure, noise, session, words

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCK = "layer1.0.bn3.1"


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return noise()


@pytest.fixture
def page(photo: Image.Image) -> AppTest:
    """Return the page in a session that has chosen everything, before its first run."""
    return session(
        "attribution.py",
        image=chosen(photo),
        block=BLOCK,
        **{"attribution-view": "Through the gates"},
    )


@pytest.fixture
def best(network: Network, photo: Image.Image) -> int:
    """Return the predicted class."""
    with torch.no_grad():
        return int(network.model(network.preprocess(photo)).argmax())


def decoded(values: Any) -> list[float]:
    """Return the numbers of Plotly's own encoding."""
    if isinstance(values, list):
        return values
    return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).tolist()


def test_stages_blocks_and_channels_are_those_of_the_library(
    page: AppTest, network: Network, photo: Image.Image, best: int
):
    """Each number that is shown, from a trace of one's own."""
    clean(page.run())
    trace = trace_paths(network, network.preprocess(photo), best)
    past, through = figure(page, "flows")["data"]
    assert decoded(past["x"]) == pytest.approx([flow.bypass for flow in trace.flows.values()])
    assert decoded(through["x"]) == pytest.approx([flow.carried for flow in trace.flows.values()])
    assert past["y"] == ["All gates", "Stage 2", "Stage 3", "Stage 4", "Stage 5"]
    (blocks,) = figure(page, "flow-blocks")["data"]
    flow = trace.flows[NETWORK]
    assert decoded(blocks["x"]) == pytest.approx(
        [values.double().sum().item() for values in flow.through.values()]
    )
    assert blocks["customdata"] == [*flow.through]
    points = figure(page, "carriers")["data"][0]
    np.testing.assert_allclose(decoded(points["y"]), flow.through[BLOCK].numpy(), rtol=1e-5)
    assert (
        f"the logit of **{network.classes[best]}** {'rises' if trace.rise > 0 else 'falls'} by"
        in words(page)
    )
    assert say_error(trace) in words(page)


def test_a_stage_can_be_looked_at_by_itself(
    page: AppTest, network: Network, photo: Image.Image, best: int
):
    """Its blocks, its maps and, for a block outside of it, what came through with all gates
    apart.
    """
    page.session_state["held-gates"] = "stage 3"
    clean(page.run())
    trace = trace_paths(network, network.preprocess(photo), best)
    (blocks,) = figure(page, "flow-blocks")["data"]
    assert blocks["y"] == ["SE_3_1", "SE_3_2", "SE_3_3", "SE_3_4"]
    flow = trace.flows["stage 3"]
    for way, part in (("Past the gates", flow.bypass), ("Through the gates", flow.carried)):
        assert f"**{way}**: {say_part(part, trace)}" in words(page)
    assert "gates held: all gates." in words(page)


def test_both_maps_share_one_scale(page: AppTest, network: Network, photo: Image.Image, best: int):
    """Equal colours have to be equal values: the scale holds both maps, whose cells are sums of 2
    x 2 pixels.
    """
    clean(page.run())
    bars = [
        figure(page, f"flow-{way}")["layout"]["coloraxis"]["colorbar"]
        for way in ("past", "through")
    ]
    assert bars[0]["ticktext"] == bars[1]["ticktext"]
    trace = trace_paths(network, network.preprocess(photo), best)
    maps = torch.stack([trace.flows[NETWORK].map, trace.gate_map(NETWORK)])
    cells = maps.reshape(2, 32, 2, 32, 2).sum((2, 4)).abs().flatten()
    assert cells.quantile(0.995) <= float(bars[0]["ticktext"][-1]) * 1.05
    assert float(bars[0]["ticktext"][-1]) <= cells.max() * 1.05


def test_each_map_can_have_its_own_scale(
    page: AppTest, network: Network, photo: Image.Image, best: int
):
    """Half of a rise may be pale beside the other half: by choice each map's colours reach as far
    as its own cells, and a sentence says by how much the two differ.
    """
    page.session_state["flow-scale"] = "own"
    clean(page.run())
    trace = trace_paths(network, network.preprocess(photo), best)
    maps = {"past": trace.flows[NETWORK].map, "through": trace.gate_map(NETWORK)}
    tops = {}
    for way, pixels in maps.items():
        bar = figure(page, f"flow-{way}")["layout"]["coloraxis"]["colorbar"]
        cells = pixels.reshape(32, 2, 32, 2).sum((1, 3)).numpy()
        tops[way] = fit_span(cells, signed=True).high
        assert float(bar["ticktext"][-1]) == pytest.approx(tops[way], rel=0.06)
    factor = max(tops.values()) / min(tops.values())
    sentence = next(text.value for text in page.markdown if "its own scale" in text.value)
    told = re.search(r"about \*\*([\d.]+)\*\* times", sentence)
    assert (told is not None) == (factor >= 1.5)
    assert told is None or float(told[1]) == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize(
    ("past", "through", "shared", "words"),
    [
        (Span(-8.0, 8.0), Span(-0.5, 0.5), True, "values through the gates are about **16** times"),
        (
            Span(-8.0, 8.0),
            Span(-0.5, 0.5),
            False,
            "about **16** times less through the gates than past",
        ),
        (
            Span(-1.0, 1.0),
            Span(-2.5, 2.5),
            True,
            "values past the gates are about **2.5** times smaller",
        ),
        (Span(-1.0, 1.0), Span(-1.2, 1.2), True, "of about the same size"),
        (Span(-1.0, 1.0), Span(-1.0, 1.0, empty=True), True, "nothing came through the gates"),
    ],
)
def test_the_factor_between_two_scales_is_told(past: Span, through: Span, shared: bool, words: str):
    """A blank map is not a map of nothing: the sentence says how much smaller its values are."""
    spans = {"past the gates": past, "through the gates": through}
    sentence = describe_scales(spans, shared=shared)
    assert words in sentence
    assert sentence.startswith("Both maps share one" if shared else "Each map has its own")


def test_the_three_views_are_questions(page: AppTest):
    """Whoever opens the page for the first time reads what each view answers."""
    view = clean(page.run()).radio(key="attribution-view")
    assert view.options == ["Side by side", "Stage by stage", "Through the gates"]
    assert len(view.proto.captions) == 3
    assert all(question.endswith("?") for question in view.proto.captions)


@pytest.mark.parametrize("method", GATE_METHODS)
def test_other_methods_at_the_gates_are_those_of_the_library(
    page: AppTest, network: Network, photo: Image.Image, best: int, method: str
):
    """One point a channel; where a rise is explained, what bypasses the block is said, and the
    error apart from it.
    """
    page.session_state["gate-attribution"] = method
    clean(page.run())
    found = attribute_gates(network, network.preprocess(photo), best, method, block=BLOCK)
    points = figure(page, "carriers")["data"][0]
    np.testing.assert_allclose(decoded(points["y"]), found.values.numpy(), rtol=1e-4, atol=1e-6)
    assert (found.bypass is not None) == ("bypass this block's gates" in words(page))
    if found.error is not None:
        assert f"the sum over steps misses the rest by {abs(found.error):.1g} logits" in words(page)


def test_the_difference_of_two_classes_is_explained(
    page: AppTest, network: Network, photo: Image.Image, best: int
):
    """Why this and not that: rows add up to the rise of the difference."""
    clean(page.run())
    other = next(index for index in range(5) if index != best)
    page.selectbox[1].select(other).run()
    clean(page)
    trace = trace_paths(network, network.preprocess(photo), Target(best, other))
    past, _ = figure(page, "flows")["data"]
    assert decoded(past["x"])[0] == pytest.approx(trace.flows[NETWORK].bypass)
    assert f"against {network.classes[other]}" in words(page)


def test_a_strong_channel_opens(page: AppTest):
    """Every page follows the session's open channel."""
    clean(page.run())
    button = next(button for button in page.button if button.label.startswith("#"))
    clean(button.click().run())
    assert page.session_state["channel"] == int(button.label.split()[0].removeprefix("#"))


def test_a_stopped_run_stays_stopped_until_it_is_told_to_go_on(page: AppTest, best: int):
    """Otherwise the rerun that the button causes would begin anew."""
    digest = page.session_state["image"].digest
    work = (Case("tiny", "cpu", digest), TracePaths(Target(best), "mean"))
    page.session_state["stopped"] = {"paths": work}
    clean(page.run())
    assert [info.value for info in page.info] == ["Stopped. Choose something else, or go on."]
    next(button for button in page.button if button.label == "Go on").click()
    clean(page.run())
    assert not page.info
    assert figure(page, "flows")
