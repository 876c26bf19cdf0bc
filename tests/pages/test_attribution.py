import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.attribution.catalogue.method import KINDS
from se_viz.attribution.catalogue.pixels import METHODS, REFUSED
from se_viz.attribution.pixels.fitness import judge_method
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question import limits
from se_viz.attribution.question.targets import Target
from se_viz.engine.questions import Case
from se_viz.errors import AttributionError
from se_viz.networks import Network, NetworkCard, load_network
from se_viz.networks.architectures import build
from se_viz.networks.cache import own_folder
from se_viz.networks.weights import save_checkpoint
from se_viz.ui.widgets.methods import TICKED, Request, sum_up
from tests.support.pages import chosen, clean, noise, session, words
from tests.support.passes import everywhere

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]


@pytest.fixture
def page() -> AppTest:
    """Return the page in a session that has chosen a network, and no image yet."""
    return session("attribution.py")


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    return noise()


@pytest.fixture
def look(page: AppTest, photo: Image.Image) -> AppTest:
    """Return the page with an image chosen, after its first run."""
    page.session_state["image"] = chosen(photo)
    return clean(page.run())


@pytest.fixture
def passes() -> Iterator[list[int]]:
    """Note the images of every pass of a whole network, whoever makes it."""
    with everywhere() as sizes:
        yield sizes


def test_without_an_image_the_page_says_what_to_do(page: AppTest):
    """Samples and an uploader stand where the result will be."""
    clean(page.run())
    assert any("No photo at hand?" in text.value for text in page.markdown)


def test_the_predicted_class_is_explained_first(
    look: AppTest, network: Network, photo: Image.Image
):
    """It is what people ask for; the others follow by probability, and none is held against it."""
    with torch.no_grad():
        order = network.model(network.preprocess(photo))[0].argsort(descending=True).tolist()
    classes, others = look.selectbox[:2]
    assert classes.options == [network.classes[index] for index in order]
    assert classes.value == order[0]
    assert others.options == classes.options[1:]
    assert others.value is None


def tick(page: AppTest, *methods: str) -> AppTest:
    """Tick these methods and no others."""
    for method in METHODS:
        page.session_state[f"tick-{method}"] = method in methods
    return page


def test_a_few_quick_methods_are_ticked_at_first(look: AppTest):
    """Nobody should choose before the first picture; each method has a title, and each picture its
    time.
    """
    ticked = [METHODS[method].title for method in TICKED]
    assert [box.label.split(" · ")[0] for box in look.checkbox if box.value] == sorted(
        ticked, key=order
    )
    assert all(f"**{title}**" in words(look) for title in ticked)
    assert len(re.findall(r"^(?:\d+\.\d|Under 0\.1) s[.;]", words(look), re.MULTILINE)) == len(
        ticked
    )


def order(title: str) -> int:
    """Return the place of a title among the ticks: by kind, then as in the catalogue."""
    rows = sorted(METHODS.values(), key=lambda row: [*KINDS].index(row.kind) % 4)
    return [row.title for row in rows].index(title)


def test_every_method_can_be_ticked_and_says_what_it_is(look: AppTest):
    """Its name, about how long it takes, its sentence and its paper."""
    boxes = {box.label.split(" · ")[0]: box for box in look.checkbox}
    assert boxes.keys() == {row.title for row in METHODS.values()} | {
        title for title, _ in REFUSED.values()
    }
    for row in METHODS.values():
        assert re.fullmatch(r"(under )?\d+\s(s|min)", boxes[row.title].label.split(" · ")[1])
        assert boxes[row.title].help == f"{row.looks_for} ({row.source})"


def test_what_is_ticked_takes_its_sum(look: AppTest):
    """Who ticks ten methods wants to know before they start; of one alone the time stands beside
    it.
    """
    assert sum_up([0.4, 1.2, 60.0]).startswith(
        "All 3 selected methods: **about 62\N{NO-BREAK SPACE}s**;"
    )
    assert sum_up([0.1, 0.2]).startswith("All 2 selected methods: **under 1\N{NO-BREAK SPACE}s**;")
    assert sum_up([5.0]) == sum_up([]) == "Times are estimates."
    assert f"All {len(TICKED)} selected methods: **" in words(look)
    assert "selected methods:" not in words(clean(tick(look, "saliency").run()))


def test_without_a_tick_the_page_says_what_to_do(look: AppTest):
    """An empty page would look broken."""
    clean(tick(look).run())
    assert [info.value for info in look.info] == [
        "No method is selected. Open **Methods and settings** above and select one or more."
    ]


@pytest.mark.usefixtures("bundled")
def test_how_maps_are_drawn_is_no_reason_to_compute(look: AppTest, passes: list[int]):
    """Scale, sign and opacity are paint: a lecturer drags the slider in front of a class."""
    look.session_state["map-scale"] = "shared"
    look.session_state["map-sign"] = "against"
    look.slider(key="map-opacity").set_value(0.3)
    clean(look.run())
    assert passes == []
    assert "this method does not separate positive from negative evidence." in words(look)


@pytest.mark.usefixtures("bundled")
def test_one_more_tick_computes_what_nobody_has_computed(look: AppTest, passes: list[int]):
    """The other maps are kept: only the new one takes a pass."""
    assert look.checkbox(key="tick-saliency").value
    look.checkbox(key="tick-input_x_gradient").check()
    clean(look.run())
    assert passes == [1]


def test_a_map_that_was_drawn_says_how_far_another_seed_agrees(
    look: AppTest, network: Network, photo: Image.Image
):
    """What two seeds do not share is chance, and must not be read as another question; others draw
    nothing.
    """
    clean(tick(look, "saliency", "smoothgrad", "occlusion").run())
    inputs = network.preprocess(photo)
    with torch.no_grad():
        target = int(network.model(inputs)[0].argmax())
    one, other = (
        attribute(network, inputs, target, "smoothgrad", seed=seed).map.flatten() for seed in (0, 1)
    )
    expected = (
        f"With another seed: correlation {torch.corrcoef(torch.stack([one, other]))[0, 1]:.2f}"
    )
    assert words(look).count("With another seed: correlation") == 1
    assert expected in words(look)


def test_the_square_that_was_covered_is_named(look: AppTest):
    """A sheet that says 32 pixels of a run with 16 would mislead whoever prints it."""
    tick(look, "occlusion").session_state["attribution-window"] = 16
    clean(look.run())
    help_ = next(text.help for text in look.markdown if text.value == "**Occlusion**")
    assert "a square of 16 x 16 pixels, of the 64 x 64 that the network sees, is painted" in help_


def test_the_error_is_that_of_the_library(look: AppTest, network: Network, photo: Image.Image):
    """What Integrated Gradients misses, as a share of the logit's rise from the baseline that was
    chosen.
    """
    look.session_state["baseline"] = "black"
    clean(tick(look, "integrated_gradients").run())
    best = look.selectbox[0].value
    assert best is not None
    found = attribute(
        network, network.preprocess(photo), best, "integrated_gradients", baseline="black"
    )
    assert found.completeness_error is not None
    assert found.explained is not None
    share = found.completeness_error / abs(found.explained)
    assert f"completeness error {share:.1%} of {found.explained:+.2g} logits." in words(look)


def test_a_difference_of_two_classes_is_explained(
    look: AppTest, network: Network, photo: Image.Image
):
    """Why this and not that: the number is one logit less the other."""
    with torch.no_grad():
        logits = network.model(network.preprocess(photo))[0]
    best, second = logits.argsort(descending=True)[:2].tolist()
    look.selectbox[1].set_value(second)
    clean(look.run())
    name = (
        f"{network.classes[best]} and not {network.classes[second]}: "
        f"{logits[best] - logits[second]:+.1f}"
    )
    assert name in words(look)


def test_each_photo_keeps_the_class_that_was_chosen_for_it(look: AppTest, network: Network):
    """Another photo begins with its own answer, in the same pickers; back at the first one, its
    choice stands.
    """
    first = look.session_state["image"]
    best = look.selectbox[0].value
    other = next(index for index in range(5) if index != best)
    clean(look.selectbox[0].set_value(other).run())
    clean(look.selectbox[1].set_value(best).run())
    look.session_state["image"] = chosen(Image.new("RGB", (64, 64), "teal"), "teal.png")
    clean(look.run())
    assert network.classes[look.selectbox[0].value or 0] == look.selectbox[0].options[0]
    assert look.selectbox[1].value is None
    look.session_state["image"] = first
    clean(look.run())
    assert (look.selectbox[0].value, look.selectbox[1].value) == (other, best)


def test_a_class_is_never_held_against_itself(look: AppTest):
    """Who then chooses that very class to be explained has no other any more, and the page goes
    on.
    """
    rival = next(index for index in range(5) if index != look.selectbox[0].value)
    clean(look.selectbox[1].set_value(rival).run())
    clean(look.selectbox[0].set_value(rival).run())
    assert look.selectbox[0].value == rival
    assert look.selectbox[1].value is None


def test_a_method_without_a_map_says_why_in_its_place(look: AppTest):
    """The others are drawn as ever; nothing on the page is an error of the page."""
    target = Target(look.selectbox[0].value or 0)
    case = Case("tiny", "cpu", look.session_state["image"].digest)
    token = (case, target, Request("saliency", "mean", ()))
    look.session_state["attributed"][token] = AttributionError(
        "This network has no slope. Choose Occlusion."
    )
    clean(look.run())
    assert [info.value for info in look.info] == ["This network has no slope. Choose Occlusion."]
    assert (
        len(re.findall(r"^(?:\d+\.\d|Under 0\.1) s[.;]", words(look), re.MULTILINE))
        == len(TICKED) - 1
    )


@pytest.mark.usefixtures("bundled")
def test_a_network_without_a_classifier_is_one_sentence(
    page: AppTest,
    photo: Image.Image,
    card: NetworkCard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    """A backbone that somebody has put among the kept networks: the page says what it lacks, and
    stays.
    """
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    backbone = timm.create_model("legacy_seresnet18", num_classes=0)
    mine = replace(
        card,
        name="bare",
        title="Bare",
        library="timm",
        architecture="legacy_seresnet18",
        classes=(),
    )
    save_checkpoint(backbone, replace(mine, arguments={}), own_folder())
    page.session_state["network"] = "own/bare"
    page.session_state["image"] = chosen(photo)
    page.run()
    assert not page.exception
    assert len(page.error) == 1
    assert page.error[0].value.startswith("bare.json is no network card: classes is")
    page.session_state["network"] = "tiny"
    clean(page.run())


@pytest.mark.usefixtures("bundled")
def test_too_many_passes_are_said_in_the_methods_place(
    look: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """Nine squares and the photo itself are ten passes: with eight allowed, the other maps are
    still drawn.
    """
    monkeypatch.setattr(limits, "MOST_PASSES", 8)
    clean(tick(look, "saliency", "occlusion").run())
    assert [info.value for info in look.info] == [
        "Occlusion would run the network 10 times, and the most here is 8. Lower the number of "
        "windows: larger strides."
    ]
    assert "**Saliency**" in words(look)


@pytest.mark.usefixtures("bundled")
def test_too_much_for_the_memory_is_said_in_the_methods_place(
    look: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """Pictures that GradientShap goes by lie in memory at once: two of them are more than what is
    allowed here.
    """
    monkeypatch.setattr(limits, "MOST_BYTES", 90_000)
    clean(tick(look, "saliency", "gradient_shap").run())
    (sentence,) = [info.value for info in look.info]
    assert re.fullmatch(
        r"GradientShap would hold \d+ copies of the image at once, .* Lower \w+\.", sentence
    )
    assert "**Saliency**" in words(look)


def test_what_is_wrong_with_a_method_here_is_said_below(look: AppTest, network: Network):
    """Captum's DeepLift has no rule for the product of gate and feature map: what is done about it
    is said.
    """
    clean(tick(look, "deep_lift").run())
    remark = judge_method(network, "deep_lift").words
    assert "no rule for the product" in remark
    (caption,) = [caption for caption in look.caption if caption.value.startswith("**DeepLift**: ")]
    assert " ".join([caption.value, caption.help]) == f"**DeepLift**: {remark}"


def test_methods_that_share_a_remark_share_its_sentence(
    look: AppTest, bundled: Path, card: NetworkCard
):
    """Three times the same words below each other are a wall that nobody reads. A mobile net has
    nonlinearities that guided methods leave alone.
    """
    mobile = replace(
        card, name="mobile", library="torchvision", architecture="mobilenet_v3_small", arguments={}
    )
    model = build(mobile, num_classes=len(card.classes)).eval()
    parameters = sum(value.numel() for value in model.parameters())
    save_checkpoint(model, replace(mobile, parameters=parameters), bundled)
    look.session_state["network"] = "mobile"
    clean(tick(look, "deconvolution", "guided_backprop").run())
    titles = f"{METHODS['guided_backprop'].title}, {METHODS['deconvolution'].title}"
    words = judge_method(load_network("mobile"), "deconvolution").words
    assert "elsewhere this equals the plain gradient" in words
    said = [" ".join(filter(None, [text.value, text.help])) for text in look.caption]
    assert [text for text in said if text.endswith(words)] == [f"**{titles}**: {words}"]


def test_a_method_that_is_never_run_says_why(look: AppTest):
    """LRP can be looked for; its tick cannot be set, and tells the reason."""
    for title, reason in REFUSED.values():
        (box,) = [box for box in look.checkbox if box.label.startswith(title)]
        assert box.disabled
        assert box.help == reason


@pytest.mark.usefixtures("bundled")
def test_settings_reach_the_methods_that_know_them(look: AppTest, passes: list[int]):
    """16 steps instead of 32, 8 in a pass; one image at a time prove the folded copy and are the
    ends of the way.
    """
    look.session_state["attribution-steps"] = 16
    clean(tick(look, "integrated_gradients").run())
    assert [images for images in passes if images > 1] == [8, 8]
