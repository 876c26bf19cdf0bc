"""The part of the page that gives evidence for one gate, without a browser."""

import base64
import hashlib
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import captum.attr
import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import nn

from se_viz import capture_gates
from se_viz.attribution.catalogue.neurons import NEURON_METHODS, NEURON_REFUSED
from se_viz.attribution.gates.erasure import Erasure, check_region, mark_strongest
from se_viz.engine.questions import AttributeGate, Case
from se_viz.gates.neurons import Neuron
from se_viz.gates.records import GateSite
from se_viz.images.reading import centre_square, list_samples, open_image
from se_viz.networks import Network
from se_viz.ui.microscope.erasing import describe_erasure
from se_viz.ui.microscope.sights import choose_ends
from se_viz.ui.microscope.signs import is_saturated
from se_viz.ui.session.state import ChosenImage
from tests.support.pages import captions, clean, figure, get_network

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCK = "layer4.0.bn3.1"
CHANNEL = 7


def page() -> None:
    """Show the part below a page's own choices."""
    import streamlit as st

    from se_viz.ui.asking.analysis import get_analysis
    from se_viz.ui.frame import require_choices
    from se_viz.ui.microscope.evidence import show_evidence

    choices = require_choices()
    analysis = get_analysis(choices)
    show_evidence(choices, analysis, st.session_state.block, st.session_state.channel)


@pytest.fixture
def photo() -> Image.Image:
    """Return an image of the network's own size, so that nothing has to scale it."""
    return centre_square(open_image(list_samples()[0].path), 64)


@pytest.fixture
def chosen(photo: Image.Image) -> ChosenImage:
    file = BytesIO()
    photo.save(file, "PNG")
    return ChosenImage("cat.png", file.getvalue(), hashlib.sha256(file.getvalue()).hexdigest())


@pytest.fixture
def evidence(chosen: ChosenImage) -> AppTest:
    """Return the part for one gate after its first run; the photo is the session's own."""
    test = AppTest.from_function(page, default_timeout=300)
    state = {"network": "tiny", "device": "cpu", "image": chosen, "own_photos": (chosen,)}
    for key, value in {**state, "block": BLOCK, "channel": CHANNEL}.items():
        test.session_state[key] = value
    return clean(test.run())


def codes(heat: dict[str, Any]) -> np.ndarray:
    """Return the colour codes of a heat map from Plotly's own encoding."""
    shape = [int(side) for side in heat["z"]["shape"].split(",")]
    return np.frombuffer(base64.b64decode(heat["z"]["bdata"]), dtype=heat["z"]["dtype"]).reshape(
        shape
    )


def metrics(test: AppTest) -> list[tuple[str, str]]:
    return [(metric.value, metric.delta) for metric in test.metric]


def choose(test: AppTest, key: str, value: str) -> AppTest:
    control: Any = test.segmented_control(key=key)
    return clean(control.set_value(value).run())


def direct_map(network: Network, photo: Image.Image, *, logit: bool = False) -> np.ndarray:
    """Return Captum's map of the neuron, called by itself on the block's own modules."""
    block: Any = network.model.get_submodule(BLOCK)
    algorithm = captum.attr.NeuronIntegratedGradients(
        network.model, block.fc2 if logit else block.scale_activation
    )
    values = algorithm.attribute(
        network.preprocess(photo), (CHANNEL, 0, 0), n_steps=32, internal_batch_size=8
    )
    return values[0].sum(0).detach().numpy()


def records_of(network: Network, image: Image.Image) -> tuple[float, float]:
    """Return squeeze and gate of the channel."""
    with torch.no_grad(), capture_gates(network.model) as records:
        network.model(network.preprocess(image))
    record = next(record for record in records if record.block == BLOCK)
    return record.squeeze[0, CHANNEL].item(), record.gate[0, CHANNEL].item()


def gallery(network: Network, photo: Image.Image) -> Iterator[tuple[float, float]]:
    for image in (*(open_image(sample.path) for sample in list_samples()), photo):
        yield records_of(network, image)


@pytest.mark.parametrize("level", ["gate", "logit"])
def test_the_map_is_captums_on_a_symmetric_scale(
    evidence: AppTest, network: Network, photo: Image.Image, level: str
):
    """Signs and sizes of the drawn codes are those of Captum's own neuron attribution."""
    choose(evidence, "gate-level", level)
    expected = direct_map(network, photo, logit=level == "logit")
    drawn = codes(figure(evidence, "gate-map")["data"][0]).astype(float)
    top = np.quantile(np.abs(expected), 0.995)
    inside = np.abs(expected) < 0.99 * top
    # Half a code, and the last digits of another batch.
    np.testing.assert_allclose(drawn[inside], (63 + 63 * expected / top)[inside], atol=0.6)


def test_the_caption_holds_the_sum_and_its_error(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """From the gate of a mean-coloured input to the gate of this photo, and what the map's sum
    misses of it.
    """
    with torch.no_grad(), capture_gates(network.model) as records:
        network.model(torch.zeros(1, 3, 64, 64))
    start = next(record.gate[0, CHANNEL].item() for record in records if record.block == BLOCK)
    value = records_of(network, photo)[1]
    words = captions(evidence)
    assert (
        f"The gate goes from {start:.3f} at the baseline to {value:.3f}: completeness error "
        in words
    )
    assert f"The map should sum to {value - start:+.3f}." in words
    missed = re.search(r"completeness error (\d\.\d{4})", words)
    assert missed
    expected = abs(direct_map(network, photo).sum() - (value - start))
    assert float(missed[1]) == pytest.approx(expected, abs=1.5e-4)


def test_the_numbers_are_those_of_the_erased_pictures(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """Region, pictures and gates again by the library, from Captum's own map."""
    # The gate is turned up, and that of a mean-coloured picture too: the pixels that raise it.
    region = mark_strongest(torch.from_numpy(direct_map(network, photo)), 0.1)
    found = check_region(network, photo, region, Neuron(BLOCK, CHANNEL))
    mean = np.mean(found.controls)
    spread = np.std(found.controls, ddof=1)
    assert [value for value, _ in metrics(evidence)] == [
        f"{found.before:.3f}",
        f"{found.after:.3f}",
        f"{mean:.3f}",
    ]
    assert metrics(evidence)[1][1] == f"{found.after - found.before:+.3f}"
    assert metrics(evidence)[2][1] == f"{mean - found.before:+.3f} ± {spread:.3f}"


def test_share_and_filling_change_the_numbers(evidence: AppTest):
    """The check is the user's: more pixels, or another filling, is another experiment."""
    first = metrics(evidence)
    clean(evidence.slider(key="erase-share").set_value(40).run())
    more = metrics(evidence)
    choose(evidence, "erase-fill", "mean")
    assert len({tuple(numbers) for numbers in (first, more, metrics(evidence))}) == 3
    assert first[0][0] == more[0][0]


def test_a_map_without_signs_is_drawn_from_zero(evidence: AppTest):
    """Saliency has no direction: its scale starts at 0, and no sum is promised."""
    clean(evidence.selectbox(key="gate-method").set_value("saliency").run())
    assert codes(figure(evidence, "gate-map")["data"][0]).min() >= 0
    assert "should sum" not in captions(evidence)


def pick(test: AppTest, method: str) -> AppTest:
    return clean(test.selectbox(key="gate-method").set_value(method).run())


def test_every_method_of_a_gate_is_offered_with_its_time(evidence: AppTest):
    """Those of fewest passes come first, as far as a pass of the whole network tells; what is
    refused says why.
    """
    box = evidence.selectbox(key="gate-method")
    assert len(box.options) == len(NEURON_METHODS)
    for row in NEURON_METHODS.values():
        (label,) = [one for one in box.options if one.startswith(f"{row.title} · ")]
        assert re.fullmatch(
            r"under 1\s?s|at most about \d+\s?(s|min)", label.removeprefix(f"{row.title} · ")
        )
    titles = [label.split(" · ")[0] for label in box.options]
    assert (
        titles.index("Saliency")
        < titles.index("DeepLift")
        < titles.index("SmoothGrad")
        < titles.index("Lime")
    )
    assert box.value == "integrated_gradients"
    for words in NEURON_REFUSED.values():
        assert words in box.help


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("deep_lift", "gate"),
        ("deconvolution", "logit"),
        ("smoothgrad", "gate"),
        ("occlusion", "logit"),
    ],
)
def test_a_method_says_what_its_map_shows_of_a_gate(evidence: AppTest, method: str, level: str):
    """One of each kind: a map, its row's words turned to the gate, and the test by erasing beside
    it.
    """
    choose(evidence, "gate-level", level)
    pick(evidence, method)
    row = NEURON_METHODS[method]
    assert figure(evidence, "gate-map")
    assert row.source in captions(evidence)
    word = {"logit": "pre-sigmoid value", "gate": "gate"}[level]
    told = row.looks_for.replace("the logit", f"the {word}").replace("'s rise", "'s change")
    assert told in captions(evidence)
    assert len(evidence.metric) == 3


def test_conductance_is_of_the_predicted_class(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """Its name and the map's sum, by Captum's own class; erasing would test another question."""
    pick(evidence, "conductance")
    inputs = network.preprocess(photo)
    best = int(network.model(inputs).argmax())
    block: Any = network.model.get_submodule(BLOCK)
    algorithm = captum.attr.NeuronConductance(network.model, block.scale_activation)
    settings = {"n_steps": 32, "method": "gausslegendre", "internal_batch_size": 8}
    total = algorithm.attribute(inputs, (CHANNEL, 0, 0), target=best, **settings).sum().item()
    shown = re.search(
        r"([+-][\d.e+-]+) of the logit of (\w+), the predicted class, came through",
        captions(evidence),
    )
    assert shown
    assert shown[2] == network.classes[best]
    # Two digits.
    assert float(shown[1]) == pytest.approx(total, rel=0.06)
    assert "No erasing test for this method" in evidence.info[0].value
    assert not evidence.metric
    first = figure(evidence, "gate-map")["data"]
    choose(evidence, "gate-level", "logit")
    assert figure(evidence, "gate-map")["data"] == first


@pytest.mark.usefixtures("bundled")
def test_a_refusal_stands_in_the_maps_place(evidence: AppTest):
    """Without a ReLU guided methods have nothing to guide: one sentence, and the next choice has a
    map again.
    """
    model = get_network("tiny", "cpu").model
    for module in [*model.modules()]:
        for name, child in [*module.named_children()]:
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    st.cache_data.clear()
    pick(evidence, "guided_backprop")
    (info,) = evidence.info
    assert re.match(
        r"Guided Backprop changes how ReLU modules .* Choose Saliency or Input x Gradient\.$",
        info.value,
    )
    assert not evidence.metric
    assert "What the channel looks at" in [header.value for header in evidence.header]
    pick(evidence, "deep_lift")
    assert len(evidence.metric) == 3


def test_a_stopped_method_stays_stopped_until_it_is_told_to_go_on(evidence: AppTest):
    """Otherwise the rerun that the button causes would begin anew."""
    case = Case("tiny", "cpu", evidence.session_state["image"].digest)
    question = AttributeGate(Neuron(BLOCK, CHANNEL), "occlusion")
    evidence.session_state["stopped"] = {"gate-map": (case, question)}
    pick(evidence, "occlusion")
    assert [info.value for info in evidence.info] == ["Stopped. Choose something else, or go on."]
    next(button for button in evidence.button if button.label == "Go on").click()
    clean(evidence.run())
    assert figure(evidence, "gate-map")
    assert not evidence.info


def test_the_places_are_those_of_the_feature_map(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """The highest cell of U, found by NumPy in what a hook of the test's own sees, is named with
    its value.
    """
    maps: list[np.ndarray] = []
    block = network.model.get_submodule(BLOCK)
    hook = block.register_forward_pre_hook(
        lambda _, args: maps.append(args[0][0, CHANNEL].numpy().copy())
    )
    with hook, torch.no_grad():
        network.model(network.preprocess(photo))
    assert maps[0].shape == (2, 2)
    assert f"2 x 2 cells. Strongest cells: 1: {maps[0].max():.2f}" in captions(evidence)


def test_the_gallery_is_ranked_by_gate_and_by_activation(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """Three highest and three lowest of seven images, and the photo itself wherever it stands, by
    the numbers of captures of the test's own.
    """
    pairs = list(gallery(network, photo))
    shown = [image.proto.imgs[0] for image in evidence.get("image")]
    for name, values in (
        ("gate", [gate for _, gate in pairs]),
        ("squeeze", [squeeze for squeeze, _ in pairs]),
    ):
        row = [image.caption for image in shown if f", {name} " in image.alt]
        numbers = [float(text.removeprefix("◆ ")) for text in row]
        ranked = sorted(values, reverse=True)
        assert numbers[:3] + numbers[-3:] == pytest.approx(ranked[:3] + ranked[-3:], abs=6e-4)
        # The fourth of seven, which stands between the ends, is shown if it is the photo.
        assert [text for text in row[3:-3] if not text.startswith("◆")] == []
        assert len([text for text in row if text.startswith("◆")]) == 1
    assert "all 7 images of the gallery, 1 of them your own" in captions(evidence)


def test_the_strip_shows_the_gate_for_every_image(
    evidence: AppTest, network: Network, photo: Image.Image
):
    """One dot an image in the gallery's order; the diamond is the photo, which came last."""
    dots = figure(evidence, "gallery-gates")["data"][0]
    expected = [gate for _, gate in gallery(network, photo)]
    assert dots["x"] == pytest.approx(expected, abs=1e-5)
    assert dots["marker"]["symbol"] == ["circle"] * 6 + ["diamond"]


def test_the_part_names_channel_and_block(evidence: AppTest):
    """Far below the choice of them, it still has to be clear what is explained."""
    assert captions(evidence).count(f"Channel {CHANNEL} of SE_5_1.") == 2


@pytest.mark.usefixtures("bundled")
def test_a_gate_that_nothing_moves_says_what_to_choose(evidence: AppTest):
    """With a bias of 1000 the sigmoid is 1 and flat: no pixel is positive, and the logit still has
    a map.
    """
    block: Any = get_network("tiny", "cpu").model.get_submodule(BLOCK)
    with torch.no_grad():
        block.fc2.bias[CHANNEL] = 1000
    st.cache_data.clear()
    evidence.run()
    assert not evidence.exception
    assert "nothing to erase. Choose the value before the gate function" in evidence.error[0].value
    assert "explain its pre-sigmoid value instead" in evidence.info[0].value
    choose(evidence, "gate-level", "logit")
    assert len(evidence.metric) == 3


@pytest.mark.parametrize(
    ("after", "controls", "words"),
    [
        (0.9, (0.8,) * 40, r"does not fall: \*\*no sign\*\* that these pixels opened it"),
        (0.6996, (0.7,) * 40, r"moves by less than 0\.02: \*\*nothing clear was found\*\*"),
        (0.681, (0.7,) * 40, r"moves by less than 0\.02: \*\*nothing clear was found\*\*"),
        (0.68, (0.7,) * 40, r"in 1 of 41 cases: \*\*these pixels held it open\*\*"),
        (0.719, (0.7,) * 40, r"moves by less than 0\.02: \*\*nothing clear was found\*\*"),
        (
            0.3,
            (0.5,) * 40,
            r"at any of 40 other places, which .* in 1 of 41 cases: \*\*these pixels held it "
            r"open\*\*",
        ),
        (
            0.3,
            (0.2, *(0.5,) * 39),
            r"at 39 of 40 other places\. A random place does as well in 2 of 41 cases",
        ),
        (
            0.3,
            (0.5,) * 8,
            r"at 8 of 8 other places\. .* in 1 of 9 cases: .* \*\*cannot be told\*\*",
        ),
        (
            0.6,
            (0.3,) * 40,
            r"at 0 of 40 other places\. .* in 41 of 41 cases: .* \*\*cannot be told\*\*",
        ),
    ],
)
def test_one_sentence_says_what_erasing_did(after: float, controls: tuple[float, ...], words: str):
    """Risen, moved by less than the page takes for a change and just by as much, furthest of many,
    beaten once, furthest of few, and no further.
    """
    result = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.7, after, controls)
    sentence = describe_erasure(result, "gate")
    assert re.search(words, sentence)
    assert ("held it open" in sentence) == result.holds


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (0.5, r"rises further than .* in 1 of 41 cases: \*\*these pixels held it down\*\*"),
        (0.1, r"does not rise: \*\*no sign\*\* that these pixels closed it"),
        (0.215, r"nothing clear was found"),
    ],
)
def test_what_held_a_gate_down_is_told_by_its_rise(after: float, words: str):
    """The same test the other way round, and never in words of opening."""
    result = Erasure(Image.new("RGB", (1, 1)), 0.1, 0.2, after, (0.21,) * 40, sign=-1)
    sentence = describe_erasure(result, "gate")
    assert re.search(words, sentence)
    assert "open" not in sentence
    assert ("held it down" in sentence) == result.holds


@pytest.mark.parametrize("own", range(9))
def test_a_ranked_list_never_drops_this_photo(own: int):
    """Of nine six are shown, three at either end, and one of the middle if it is this one."""
    places = choose_ends(9, own)
    assert own in places
    assert {0, 1, 2, 6, 7, 8} <= {*places}
    assert len(places) == 6 + (own in (3, 4, 5))
    assert choose_ends(6, own % 6) == [0, 1, 2, 3, 4, 5]


def test_the_gap_of_a_ranked_list_is_marked(evidence: AppTest):
    """Seven images: where the photo is not the fourth, a gap says that one more lies there."""
    shown = [image.proto.imgs[0].caption for image in evidence.get("image")]
    rows = [text for text in shown if re.fullmatch(r"(◆ )?-?\d+\.\d{3}", text)]
    gaps = [caption.value for caption in evidence.caption if "more …" in caption.value]
    assert gaps == ["… 1 more …"] * (14 - len(rows))
    assert sum(text.startswith("◆") for text in rows) == 2


def test_a_photo_that_the_gallery_no_longer_has_is_compared_all_the_same(evidence: AppTest):
    """Six more photos push it out of those that are kept; it is still the photo that is shown."""
    evidence.session_state["own_photos"] = ()
    clean(evidence.run())
    shown = [image.proto.imgs[0].caption for image in evidence.get("image")]
    assert sum(text.startswith("◆") for text in shown) == 2
    assert "all 7 images of the gallery, 0 of them your own" in captions(evidence)


def test_the_end_of_a_range_is_that_of_the_gate_alone():
    """Norm-free networks multiply by 2 beside the block: their gates still end at 1, and half of 2
    is no end.
    """
    site = GateSite("se", 2, 8, "Sigmoid", low=0.0, high=2.0, gain=2.0)
    assert [is_saturated(gate, site) for gate in (0.001, 0.5, 0.999)] == [True, False, True]
