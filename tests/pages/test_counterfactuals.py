import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz import edit_gates
from se_viz.engine.questions import Case, ReplaceGates
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import gates_of
from se_viz.experiments.effects import SHUFFLES
from se_viz.networks import Network, checkpoints
from se_viz.networks.card import card_to_json
from se_viz.networks.lenders import Lender, write_lenders
from se_viz.ui.asking.bar import estimate_rest
from se_viz.ui.words import plain
from tests.support.pages import chosen, clean, figure, noise, session

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCKS = [
    f"SE_{stage}_{unit}"
    for stage, units in ((2, 3), (3, 4), (4, 6), (5, 3))
    for unit in range(1, units + 1)
]
"""Every block of an SE-ResNet-50 by stage and position (arXiv 1709.01507, Fig. 5)."""


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return noise()


@pytest.fixture
def page() -> AppTest:
    """Return the page in a session that has chosen a network, and no image yet."""
    return session("counterfactuals.py")


@pytest.fixture
def matter(page: AppTest, photo: Image.Image) -> AppTest:
    """Return the page with an image chosen, after its first run."""
    page.session_state["image"] = chosen(photo, "noise_*1*.png")
    return clean(page.run())


def choose(page: AppTest, key: str, value: str) -> AppTest:
    """Choose one of a few options side by side."""
    page.session_state[key] = value
    return clean(page.run())


def words(page: AppTest) -> str:
    return "\n".join(text.value for text in page.markdown)


def test_without_an_image_the_page_says_what_to_do(page: AppTest):
    """Samples and an uploader stand where the result will be."""
    clean(page.run())
    assert not page.dataframe
    assert any("No photo at hand?" in text.value for text in page.markdown)


def test_one_sentence_says_whether_it_mattered(matter: AppTest):
    """The small network brings no lenders, and the six samples are too few: the page says so, with
    its rules.
    """
    sentence = (
        "**Whether input-dependent gating mattered cannot be told from 6 other images:** of their "
        "gates"
    )
    assert sentence in words(matter)
    assert plain("11 lenders that agree are needed; add 5 more.") in words(matter)
    assert "fewer than 11 lenders never suffice" in words(matter)


@pytest.mark.usefixtures("bundled")
def test_images_that_come_with_a_network_lend_their_gates(
    page: AppTest, photo: Image.Image, network: Network
):
    """Beside the samples; with the image itself, by its file, left out.

    Each is a dot, and enough are judged.
    """
    lenders = [
        Lender(f"noise {seed}", f"{seed}", gates_of(analyse(network, noise_of(seed))))
        for seed in range(8)
    ]
    own = chosen(photo)
    lenders.append(Lender("itself", own.digest, lenders[0].gates))
    folder = checkpoints.FOLDER
    (card,) = checkpoints.read_cards(folder)
    digest = write_lenders(lenders, network.inspection.sites, folder / "tiny.lenders.npz")
    (folder / "tiny.json").write_text(json.dumps(card_to_json(replace(card, lenders=digest))))
    page.session_state["image"] = own
    clean(page.run())
    assert "of 14 other images" in words(page)
    assert "from 14 other" not in words(page)
    dots = [
        t
        for t in figure(page, "depth")["data"]
        if t["name"] == "Other images'" and t["mode"] == "markers"
    ]
    assert len(decoded(dots[0]["y"])) == 14


def noise_of(seed: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    )


def test_all_ones_show_what_the_network_without_a_block_answers(
    matter: AppTest, network: Network, photo: Image.Image
):
    """The table's change is that of the softmax with the block's gates at 1, in percentage
    points.
    """
    matter.session_state["scope"] = "block"
    table = choose(matter, "counterfactual", "ones").dataframe[0].value
    assert table["place"].tolist() == BLOCKS
    with torch.no_grad():
        live = network.model(network.preprocess(photo)).softmax(1)[0]
        for row, site in zip(table.to_dict("records"), network.inspection.sites, strict=True):
            with edit_gates(network.model, {site.block: torch.ones_like}):
                ones = network.model(network.preprocess(photo)).softmax(1)[0]
            best = int(live.argmax())
            assert row["change"] == pytest.approx(100 * float(ones[best] - live[best]), abs=1e-3)
            assert row["label"] == (
                "kept" if ones.argmax() == best else f"→ {network.classes[int(ones.argmax())]}"
            )


LEADS = {
    "mean": "With mean gates the answer",
    "shuffle": "With shuffled gates the answer",
    "ones": "With all gates at 1 the answer",
    "other": "nput-dependent gating",
}
"""How the bold sentence begins that is about each kind."""


@pytest.mark.parametrize("kind", LEADS)
def test_the_first_sentence_is_about_the_kind_that_is_selected(matter: AppTest, kind: str):
    """Whoever selects all ones asks what these do, not what other images' gates do; the verdict,
    which is by these, stands below and says so.
    """
    choose(matter, "counterfactual", kind)
    first, second = (text.value for text in matter.markdown[1:3])
    assert first.startswith("**")
    assert LEADS[kind] in first.split(":")[0]
    assert matter.markdown[1].help.startswith("Points are percentage points")
    others = second.startswith("By all other images' gates: ")
    assert others == (kind != "other")
    assert matter.selectbox(key="other").disabled == (kind != "other")


def test_the_verdicts_own_kind_is_selected_at_first(matter: AppTest):
    """So that the first sentence, the figure and the table are of one thing."""
    assert matter.segmented_control(key="counterfactual").value == "other"
    assert "moves by" in matter.markdown[1].value


@pytest.mark.parametrize("kind", ["mean", "other", "shuffle", "ones"])
def test_where_it_moved_most_is_the_row_that_stands_out(matter: AppTest, kind: str):
    """The row that is named is that of the mark furthest from 0, in the figure and in the table."""
    matter.session_state["scope"] = "block"
    choose(matter, "counterfactual", kind)
    names = {
        "mean": "Mean gates",
        "other": "Other images'",
        "shuffle": "Shuffled",
        "ones": "All ones",
    }
    marks = next(
        trace
        for trace in figure(matter, "depth")["data"]
        if trace["name"] == names[kind] and "lines" in trace["mode"] and trace["yaxis"] == "y"
    )
    place = BLOCKS[int(np.argmax(np.abs(decoded(marks["y"]))))]
    table = matter.dataframe[0].value
    # The table has three digits, which several rows may share.
    sizes = dict(zip(table["place"], table["change"].abs(), strict=True))
    assert sizes[place] == max(sizes.values())
    assert plain(f"most in {place}") in matter.markdown[1].value


def test_units_are_explained_where_they_stand(matter: AppTest):
    """In the table's heads too: 'points' of a probability are not per cent of it."""
    columns = json.loads(matter.dataframe[0].proto.columns)
    helps = [columns[name]["help"] for name in ("change", "divergence")]
    assert all("percentage points" in words and "Nats" in words for words in helps)


def test_shuffles_show_their_spread(matter: AppTest):
    """One value of a random thing tells nothing: table and plot carry the middle half."""
    choose(matter, "counterfactual", "shuffle")
    assert {"change_low", "change_high"} <= set(matter.dataframe[0].value)
    drawn = next(trace for trace in figure(matter, "depth")["data"] if trace["name"] == "Shuffled")
    assert drawn["error_y"]["visible"]


@pytest.mark.parametrize(("scope", "rows"), [("stage", 4), ("network", 4)])
def test_a_scope_has_a_row_for_each_place_or_kind(matter: AppTest, scope: str, rows: int):
    """Four stages; and for the one network, mean, other images', ones and shuffled gates."""
    matter.session_state["scope"] = scope
    assert len(choose(matter, "counterfactual", "shuffle").dataframe[0].value) == rows


def test_one_lender_can_be_looked_at_alone(matter: AppTest):
    """Another lender, another row; the verdict is by all of them, whoever is shown."""
    everybody = choose(matter, "counterfactual", "other").dataframe[0].value
    judgement = matter.markdown[1].value.removeprefix("**").split(":")[0]
    assert "nput-dependent gating mattered" in judgement
    matter.selectbox(key="other").select(0).run()
    first = clean(matter).dataframe[0].value
    matter.selectbox(key="other").select(1).run()
    second = clean(matter).dataframe[0].value
    other = [list(frame["kind"]).index("Other images'") for frame in (everybody, first, second)]
    rows = [
        frame["change"][row] for frame, row in zip((everybody, first, second), other, strict=True)
    ]
    assert len(set(rows)) == 3
    gates = f"With the gates of {matter.selectbox(key='other').options[2]} the answer"
    assert gates in matter.markdown[1].value
    assert matter.markdown[2].value == f"By all other images' gates: {judgement}."


def test_a_stopped_run_stays_stopped_until_it_is_told_to_go_on(matter: AppTest):
    """Otherwise the rerun that the button causes would begin anew; another choice needs no word."""
    case = Case("tiny", "cpu", matter.session_state["image"].digest)
    work = (case, ReplaceGates("ones", "network", ()))
    matter.session_state["stopped"] = {"counterfactuals-ones": work}
    clean(matter.run())
    assert [info.value for info in matter.info] == ["Stopped. Choose something else, or go on."]
    next(button for button in matter.button if button.label == "Go on").click()
    clean(matter.run())
    assert not matter.info


def test_every_channel_is_a_point(matter: AppTest):
    """Gate and effect of all channels of the block that is open, each once, whatever it is marked
    as.
    """
    matter.session_state["block"] = "layer2.0.bn3.1"
    clean(matter.run())
    channels = [
        c for trace in figure(matter, "effects")["data"] for c in trace.get("customdata", [])
    ]
    assert sorted(map(int, channels)) == list(range(128))
    assert "Spearman" in words(matter)
    assert "that shuffled slopes give" in words(matter)
    assert sum(decoded(figure(matter, "shuffles")["data"][0]["y"])) == SHUFFLES


def test_exact_ablation_is_one_edit_a_channel(
    matter: AppTest, network: Network, photo: Image.Image
):
    """Each point's height is the logit that is lost when its gate alone is 0."""
    matter.session_state["block"] = "layer1.0.bn3.1"
    choose(matter, "measure", "exact")
    points = drawn(matter)
    with torch.no_grad():
        live = network.model(network.preprocess(photo))[0]
        best = int(live.argmax())
        for channel in (0, 17, 63):
            shut = {
                "layer1.0.bn3.1": lambda gate, c=channel: gate.index_fill(1, torch.tensor([c]), 0)
            }
            with edit_gates(network.model, shut):
                lost = live - network.model(network.preprocess(photo))[0]
            assert points[channel] == pytest.approx(float(lost[best]), abs=1e-5)


def decoded(values: Any) -> list[float]:
    """Return the numbers of Plotly's own encoding."""
    if isinstance(values, list):
        return values
    return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).tolist()


def test_an_outlier_opens_its_channel(matter: AppTest):
    """Every page follows the session's open channel."""
    button = next(button for button in matter.button if button.label.startswith("#"))
    number = int(button.label.split()[0].removeprefix("#"))
    clean(button.click().run())
    assert matter.session_state["channel"] == number
    assert f"channel **#{number}**" in words(matter)


def test_what_was_asked_before_a_stop_stays(matter: AppTest):
    """Sixty of 128 channels were shut: these are drawn, the others are not, and a click asks
    them.
    """
    block = "layer2.0.bn3.1"
    channels = 128
    matter.session_state["block"] = block
    whole = drawn(choose(matter, "measure", "exact"))
    assert sorted(whole) == list(range(channels))
    asked = (Case("tiny", "cpu", matter.session_state["image"].digest), block)
    matter.session_state["stopped_ablations"] = {asked: 60}
    clean(matter.run())
    assert [info.value for info in matter.info] == [
        "Stopped after 60 of 128 channels; only these are shown."
    ]
    # The same numbers: nothing is asked again.
    assert drawn(matter) == {channel: whole[channel] for channel in range(60)}
    matter.session_state["channel"] = 100
    clean(matter.run())
    assert "channel **#100** of SE_3_1 (not measured)." in words(matter)
    next(button for button in matter.button if button.label == "Measure the rest").click()
    clean(matter.run())
    assert not matter.info
    assert drawn(matter) == whole


def test_a_stop_before_the_first_channels_leaves_a_way_on(matter: AppTest):
    """No point, no rank, no list; the sentence and its button are there."""
    matter.session_state["block"] = "layer2.0.bn3.1"
    asked = (Case("tiny", "cpu", matter.session_state["image"].digest), "layer2.0.bn3.1")
    matter.session_state["stopped_ablations"] = {asked: 0}
    choose(matter, "measure", "exact")
    assert "Stopped after 0 of 128 channels" in matter.info[0].value
    assert "effects" not in [chart.key for chart in matter.get("plotly_chart")]
    assert "Measure the rest" in [button.label for button in matter.button]


def drawn(page: AppTest) -> dict[int, float]:
    """Return the effect of each channel that is a point."""
    return {
        int(channel): effect
        for trace in figure(page, "effects")["data"]
        for channel, effect in zip(trace.get("customdata", []), decoded(trace["y"]), strict=False)
    }


def test_the_rest_is_estimated_by_what_was_done_now():
    """Twenty in four seconds are five a second: sixty more take twelve, however many were done
    before.
    """
    assert estimate_rest(4.0, done=20, total=80) == pytest.approx(12)
    assert estimate_rest(4.0, done=60, total=120, already=40) == pytest.approx(12)
