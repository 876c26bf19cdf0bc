"""The view *Stage by stage*, without a browser: its numbers by the library, and its words where
there is nothing.
"""

import base64
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState, get_script_run_ctx
from streamlit.testing.v1 import AppTest
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_pre_hook

from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.layers import deep_lift as lifts
from se_viz.attribution.layers.recalibration import APART
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.records import LayerAttribution
from se_viz.attribution.question.targets import Target
from se_viz.charts.scales import CLIPPED
from se_viz.engine.questions import AttributeLayer, Case
from se_viz.errors import AttributionError
from se_viz.networks import Network
from se_viz.ui.asking.questions import answer_case
from se_viz.ui.by_stage.recalibration import describe_makers, describe_scale, describe_sides
from tests.support import pages
from tests.support.pages import chosen, clean, figure, noise, session
from tests.support.passes import everywhere

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCK = "layer3.2.bn3.1"


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return noise()


@pytest.fixture
def view(photo: Image.Image) -> AppTest:
    """Return the page at this view, after its first run."""
    page = session(
        "attribution.py", image=chosen(photo), block=BLOCK, **{"attribution-view": "Stage by stage"}
    )
    return clean(page.run())


def choose(page: AppTest, key: str, value: Any) -> AppTest:
    page.session_state[key] = value
    return clean(page.run())


def figures(page: AppTest) -> set[str]:
    return {chart.key for chart in page.get("plotly_chart") if chart.key}


def words(page: AppTest) -> str:
    return "\n".join([pages.words(page), *(info.value for info in page.info)])


def predicted(network: Network, photo: Image.Image) -> Target:
    with torch.no_grad():
        return Target(int(network.model(network.preprocess(photo))[0].argmax()))


def test_every_stage_has_its_map_its_grid_and_its_focus(
    view: AppTest, network: Network, photo: Image.Image
):
    """Of 64 pixels stage k has 64 / 2^k cells a side; half of the evidence by a sum over sorted
    pixels, one by one.
    """
    target = predicted(network, photo)
    assert {f"stage-{stage}" for stage in (2, 3, 4, 5)} <= figures(view)
    for stage in (2, 3, 4, 5):
        found = attribute_layer(
            network, network.preprocess(photo), target, layer=Layer("end", stage)
        )
        large = F.interpolate(found.map[None, None], (128, 128), mode="bilinear")[0, 0]
        total = sum(large.double().flatten().tolist())
        count = 0
        collected = 0.0
        for value in sorted(large.double().flatten().tolist(), reverse=True):
            if collected >= total / 2:
                break
            collected = collected + value
            count = count + 1
        focus = (
            f"Half of the positive evidence lies in **{count / large.numel():.0%}**"
            if total
            else "No positive"
        )
        side = 64 >> stage
        assert f"{side} x {side} cells. {focus}" in words(view)
        curves = [trace["name"] for trace in figure(view, f"stage-{stage}")["data"][1:]]
        blocks = {2: 3, 3: 4, 4: 6, 5: 3}[stage]
        assert curves == [f"SE_{stage}_{unit}" for unit in range(1, blocks + 1)]


@pytest.mark.usefixtures("bundled")
def test_a_method_takes_one_pass_for_all_stages_and_one_for_both_sides(view: AppTest):
    """Each of these explains the network as it is then; feature maps that one pass visits share
    it.
    """
    with everywhere() as sizes:
        choose(view, "stage-method", "gradient_x_activation")
        assert sizes == [1]
        choose(view, "side-method", "activation")
        assert sizes == [1, 1]
        choose(view, "stage-place", "before")
        assert sizes == [1, 1, 1]


@pytest.mark.usefixtures("bundled")
def test_a_method_that_is_not_right_at_a_stage_says_so_there(
    view: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """DeepLift draws a map where its shares add up; where they miss more than is allowed, here
    anything, a sentence.
    """
    choose(view, "stage-method", "deep_lift")
    assert {f"stage-{stage}" for stage in (2, 3, 4, 5)} <= figures(view)
    monkeypatch.setattr(lifts, "_SLACK", -1.0)
    choose(view, "stage-place", "before")
    assert not {key for key in figures(view) if key.startswith("stage-")}
    assert (
        sum("DeepLift's shares miss what the answer changes" in one.value for one in view.info) == 4
    )


@pytest.mark.parametrize("place", ["after", "before"])
def test_stages_can_be_explained_by_either_side_of_their_last_gates(view: AppTest, place: str):
    """The same view for U and X~ of each stage's last block."""
    choose(view, "stage-place", place)
    assert {f"stage-{stage}" for stage in (2, 3, 4, 5)} <= figures(view)


def test_a_long_method_gives_all_stages(view: AppTest):
    """32 steps a stage: a bar runs meanwhile, and is gone afterwards."""
    choose(view, "stage-method", "integrated_gradients")
    assert {f"stage-{stage}" for stage in (2, 3, 4, 5)} <= figures(view)
    assert not view.get("progress")
    # 32 steps and the two ends, in each of four stages.
    assert re.search(
        r"Integrated Gradients takes .*\d\ss: about 136 passes for all stages", words(view)
    )


def test_both_sides_and_their_difference_share_a_scale(view: AppTest):
    """Otherwise the same colour would mean another number, and the difference look as large as the
    maps.
    """
    ticks = [
        figure(view, f"side-{side}")["layout"]["coloraxis"]["colorbar"]["ticktext"]
        for side in "UXT"
    ]
    assert ticks[0] == ticks[1] == ticks[2]


def ask(network: Network, photo: Image.Image, method: str, where: str) -> LayerAttribution | str:
    """Ask the library for a map at the block, or for the sentence why there is none."""
    inputs = network.preprocess(photo)
    target = predicted(network, photo)
    try:
        return attribute_layer(network, inputs, target, method, layer=Layer(where, BLOCK))
    except AttributionError as refusal:
        return str(refusal)


def expect_map(page: AppTest, key: str, cells: torch.Tensor) -> None:
    """Check that a figure draws these cells: each code is at its share of the scale that the bar
    of colours names.
    """
    drawn = figure(page, key)
    low, _, high = (float(text) for text in drawn["layout"]["coloraxis"]["colorbar"]["ticktext"])
    expected = F.interpolate(cells[None, None], (128, 128), mode="bilinear")[0, 0].numpy()
    codes = np.frombuffer(base64.b64decode(drawn["data"][0]["z"]["bdata"]), np.int8).reshape(
        128, 128
    )
    shown = low + codes.clip(0, 126) / 126 * (high - low)
    # The bar's numbers have two digits, a code is half of 1/126 away.
    np.testing.assert_allclose(shown, expected.clip(low, high), atol=0.06 * high)


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_every_method_shows_both_sides_of_a_block_in_the_middle_of_a_stage(
    view: AppTest, network: Network, photo: Image.Image, method: str
):
    """SE_4_3 of six: the library's maps, in logits as they add up or as the method makes them; or
    its sentence.
    """
    choose(view, "side-method", method)
    for where, key in (("before", "side-U"), ("after", "side-X")):
        found = ask(network, photo, method, where)
        if isinstance(found, str):
            assert key not in figures(view)
            assert found in [one.value for one in view.info]
            continue
        whole = found.values.mean(0) if method == "activation" else found.values.sum(0)
        expect_map(view, key, found.map if method in APART else whole)


@pytest.mark.parametrize(
    ("method", "same"), [("internal_influence", True), ("feature_ablation", False)]
)
def test_what_does_not_add_up_has_two_maps_and_says_why(view: AppTest, method: str, same: bool):
    """No list of channels, whose parts would not be those of the picture; one scale where the maps
    have one unit.
    """
    choose(view, "side-method", method)
    assert "side-T" not in figures(view)
    assert "makers" not in figures(view)
    assert view.info[0].value == APART[method].reason
    ticks = [
        figure(view, f"side-{side}")["layout"]["coloraxis"]["colorbar"]["ticktext"] for side in "UX"
    ]
    assert (ticks[0] == ticks[1]) == same
    assert ("Both share one scale" if same else "Each map has its own scale") in words(view)


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize(("place", "key"), [("before", "side-U"), ("after", "side-X")])
def test_one_side_alone_shows_its_map_beside_a_sentence(
    view: AppTest,
    network: Network,
    photo: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    key: str,
):
    """DeepLift may fit one side of a block and miss at the other; here one is kept, and nothing
    more is allowed.
    """
    case = Case("tiny", "cpu", view.session_state["image"].digest)
    target = predicted(network, photo)
    answer_case(
        case,
        {case.digest: photo},
        AttributeLayer(Layer(place, BLOCK), target, "deep_lift"),
        lambda _: None,
    )
    monkeypatch.setattr(lifts, "_SLACK", -1.0)
    choose(view, "side-method", "deep_lift")
    assert {"side-U", "side-X", "side-T", "makers"} & figures(view) == {key}
    assert (
        sum("DeepLift's shares miss what the answer changes" in one.value for one in view.info) == 1
    )
    assert (
        sum("There is no difference where one side has no map" in one.value for one in view.info)
        == 1
    )
    assert "share one scale" not in words(view)


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("method", ["conductance", "internal_influence", "feature_ablation"])
def test_a_long_method_at_a_block_says_how_long_it_takes(view: AppTest, method: str):
    """As many images as then run, counted on the network itself; at once afterwards, without a
    pass.
    """
    # How long one pass takes is known from here on, and needs none.
    choose(view, "side-method", "integrated_gradients")
    with everywhere() as sizes:
        choose(view, "side-method", method)
    title = LAYER_METHODS[method].title
    count = sum(sizes)
    assert re.search(rf"{title} takes .*\d\ss: about {count} passes for both sides", words(view))
    assert not view.get("progress")
    with everywhere() as sizes:
        clean(view.run())
    assert sizes == []


@pytest.mark.usefixtures("bundled")
def test_a_newer_choice_ends_a_long_run_without_a_word(view: AppTest):
    """It comes while the first passes run: the page goes on below, and the panel is drawn for the
    newer choice.
    """
    asked: list[str] = []

    def choose_again(module: nn.Module, _: Any) -> None:
        context = get_script_run_ctx(suppress_warning=True)
        fragment = ThreadState.get().fragment_id
        if (
            not asked
            and hasattr(module, "layer4")
            and context
            and context.script_requests
            and fragment
        ):
            asked.append(fragment)
            context.script_requests.request_rerun(RerunData(fragment_id=fragment))

    with register_module_forward_pre_hook(choose_again):
        choose(view, "side-method", "feature_ablation")
    assert asked
    assert {"side-U", "side-X"} <= figures(view)
    assert "vector-map" in figures(view)


def test_sentences_for_the_scale_of_one_two_and_three_maps():
    """One map is compared with none; falls of the logit times activations are no one unit on both
    sides of gates.
    """
    assert [describe_scale("deep_lift", count) for count in (0, 1)] == ["", CLIPPED]
    assert describe_scale("grad_cam", 3).startswith("All three share one scale.")
    assert describe_scale("internal_influence", 2).startswith("Both share one scale.")
    assert describe_scale("feature_ablation", 2).startswith("Each map has its own scale")


def test_the_channels_that_make_the_difference_are_named(
    view: AppTest, network: Network, photo: Image.Image
):
    """The ten with the largest difference of Grad-CAM on X~ and on U, summed over the cells; by
    the library.
    """
    inputs = network.preprocess(photo)
    target = predicted(network, photo)
    before, after = (
        attribute_layer(network, inputs, target, layer=Layer(where, BLOCK)).values.sum((1, 2))
        for where in ("before", "after")
    )
    order = (after - before).abs().argsort(descending=True)[:10].tolist()
    bars = figure(view, "makers")["data"][0]
    assert [int(channel) for channel in bars["customdata"]][:10] == order
    share = (after - before).abs()
    assert (
        "The 10 largest of 256 channels account for "
        f"**{(share[order].sum() / share.sum()).item():.0%}**" in words(view)
    )


@pytest.mark.parametrize("rank", [3, 200])
def test_the_open_channel_has_a_bar_in_any_case(
    view: AppTest, network: Network, photo: Image.Image, rank: int
):
    """A link below the figure names it: it stands in its place, or last where ten others make
    more.
    """
    inputs = network.preprocess(photo)
    target = predicted(network, photo)
    before, after = (
        attribute_layer(network, inputs, target, layer=Layer(where, BLOCK)).values.sum((1, 2))
        for where in ("before", "after")
    )
    opened = (after - before).abs().argsort(descending=True)[rank].item()
    choose(view, "channel", opened)
    bars = figure(view, "makers")["data"][0]
    assert len(bars["customdata"]) == (10 if rank < 10 else 11)
    place = bars["customdata"].index(str(opened))
    assert place == min(rank, 10)
    colours = bars["marker"]["color"]
    assert colours.count(colours[place]) == 1


def test_sentences_for_both_kinds_of_difference():
    """Activations are scaled by the gates themselves; gradients run through squeeze and
    excitation.
    """
    assert "multiplied by s" in describe_sides("activation")
    assert "through squeeze and excitation" in describe_sides("grad_cam")
    assert (
        describe_makers(np.zeros(4), 2)
        == "Both maps are the same: these gates change nothing here."
    )
    assert "The 1 largest of 3 channels account for **50%**" in describe_makers(
        np.array([-2.0, 1.0, 1.0]), 1
    )


def test_the_map_of_the_gates_counts_its_channels_and_denies_a_class(view: AppTest):
    """Count and threshold stand beside the slider; moving it changes them, and the class does
    not.
    """
    counts = [text.value for text in view.markdown if "channels kept" in text.value]
    assert len(counts) == 1
    assert "**does not depend on the class**" in words(view)
    kept = figure(view, "vector-map")["data"][0]["z"]
    other = view.selectbox(key="target")
    other.select_index(1)
    clean(view.run())
    assert figure(view, "vector-map")["data"][0]["z"] == kept
    choose(view, "vector-z", 0.0)
    assert [text.value for text in view.markdown if "channels kept" in text.value] != counts


def test_no_kept_channel_is_a_sentence(view: AppTest):
    """A Z beyond every gate: an average of nothing is not drawn."""
    choose(view, "vector-z", 3.0)
    assert any(
        "No channel passes: the widest gate of this block is" in one.value for one in view.info
    )
    assert "vector-map" not in figures(view)
