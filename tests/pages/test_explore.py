import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import Tensor

from se_viz.attribution.catalogue.pixels import COMMON, METHODS
from se_viz.networks import Network
from se_viz.ui.explore.answer import describe_classes
from se_viz.ui.session.state import ChosenImage
from tests.support import pages
from tests.support.pages import captions, channel_maps, clean, figure, gate_map, get_network

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCKS = [
    f"SE_{stage}_{unit}"
    for stage, units in ((2, 3), (3, 4), (4, 6), (5, 3))
    for unit in range(1, units + 1)
]
"""Every block of an SE-ResNet-50 by stage and position (arXiv 1709.01507, Fig. 5)."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@pytest.fixture
def pixels() -> np.ndarray:
    """Return an image of the network's own size, so that nothing has to scale it."""
    return np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def inputs(pixels: np.ndarray) -> Float[Tensor, "1 3 64 64"]:
    """Return the same image as the network sees it, normalised by NumPy."""
    normal = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    return torch.from_numpy(normal.transpose(2, 0, 1)[None].astype(np.float32))


@pytest.fixture
def chosen(pixels: np.ndarray) -> ChosenImage:
    """Return the image as a session holds it once somebody has chosen it."""
    return pages.chosen(Image.fromarray(pixels))


@pytest.fixture
def page() -> AppTest:
    """Return the page in a session that has chosen a network, and no image yet."""
    return pages.session("explore.py")


@pytest.fixture
def explore(page: AppTest, chosen: ChosenImage) -> AppTest:
    """Return the page with an image chosen, after its first run."""
    page.session_state["image"] = chosen
    return clean(page.run())


def codes(heat: dict[str, Any]) -> np.ndarray:
    """Return the colour codes of a heat map from Plotly's own encoding."""
    shape = [int(side) for side in heat["z"]["shape"].split(",")]
    return np.frombuffer(base64.b64decode(heat["z"]["bdata"]), dtype=heat["z"]["dtype"]).reshape(
        shape
    )


def bars(page: AppTest) -> list[list[str]]:
    """Return name and probability of each bar of the answer."""
    texts: list[Any] = [bar.text for bar in page.get("progress")]
    return [text.rsplit(" · ", 1) for text in texts]


def class_key(page: AppTest) -> str:
    """Return the key of the list of classes: each image has its own."""
    (key,) = [box.key for box in page.selectbox if box.label == "Class"]
    assert key is not None
    return key


def gates_of(network: Network, inputs: Tensor) -> list[Tensor]:
    """Return what each gate function puts out, seen by hooks of the test's own."""
    gates: list[Tensor] = []
    functions = [
        module for module in network.model.modules() if isinstance(module, torch.nn.Sigmoid)
    ]
    handles = [
        module.register_forward_hook(lambda *call: gates.append(call[2].double().flatten()))
        for module in functions
    ]
    with torch.no_grad():
        network.model(inputs)
    for handle in handles:
        handle.remove()
    return gates


def test_one_page_holds_answer_gates_pixels_block_and_numbers(
    explore: AppTest, network: Network, inputs: Tensor
):
    """The order in which a reader asks; opened first is the block that treats its channels most
    unlike each other.
    """
    spreads = [gate.std(correction=0).item() for gate in gates_of(network, inputs)]
    opened = BLOCKS[spreads.index(max(spreads))]
    assert explore.title[0].value == "What did the gates do?"
    assert {heading.value for heading in explore.subheader} == {
        "Another photo beside it",
        "Where the answer came from",
        f"Block {opened}",
        "Numbers",
        "Are these gates healthy?",
    }
    assert {chart.key for chart in explore.get("plotly_chart")} == {"attribution"}
    assert set(channel_maps(explore)) == {"most-open", "most-closed"}
    assert [row["block"] for row in gate_map(explore)["rows"]] == BLOCKS


def test_probabilities_are_the_softmax_of_the_logits(
    explore: AppTest, network: Network, inputs: Tensor
):
    """exp(x) / sum exp(x) of the network's logits, in double precision and best first."""
    with torch.no_grad():
        logits = network.model(inputs)[0].double().numpy()
    shares = np.exp(logits - logits.max())
    shares = {
        name: share / shares.sum() for name, share in zip(network.classes, shares, strict=True)
    }
    assert [name for name, _ in bars(explore)] == sorted(
        shares, key=shares.__getitem__, reverse=True
    )
    for name, text in bars(explore):
        # One decimal of a per cent is shown.
        assert float(text.removesuffix("%")) == pytest.approx(100 * shares[name], abs=0.05 + 1e-4)


def test_the_answer_names_what_the_network_can_say(explore: AppTest):
    """A network of five classes calls every image one of them, and a reader has to know that."""
    assert (
        "(softmax over the 5 classes that this network knows). Classes: ant, bee, cat, dog, elk."
        in captions(explore)
    )


def test_classes_without_names_are_said_to_have_none():
    """A number that stands like a name would be taken for one; who brought the weights can bring
    the labels too.
    """
    for count in (3, 1000):
        words, names = describe_classes([f"class {index}" for index in range(count)])
        assert "Class names are unknown" in words
        assert names == ""
    assert describe_classes(["cat", "dog"])[1] == "Classes: cat, dog."
    words, names = describe_classes([f"breed {index}" for index in range(21)])
    assert words == "Probabilities (softmax over the 21 classes that this network knows)."
    assert names == ""


def test_all_sixteen_blocks_stand_in_figure_list_and_summary(explore: AppTest):
    """SE-ResNet-50 has 3, 4, 6 and 3 blocks in stages 2 to 5, and each has its name in all three
    places.
    """
    assert [row["block"] for row in gate_map(explore)["rows"]] == BLOCKS
    assert explore.selectbox(key="block").options == BLOCKS
    summary = explore.dataframe[0].value
    assert summary["block"].tolist() == BLOCKS
    assert summary["channels"].tolist() == [64] * 3 + [128] * 4 + [256] * 6 + [512] * 3


def test_the_summary_holds_the_means_of_the_gates(
    explore: AppTest, network: Network, inputs: Tensor
):
    """The mean over channels of what each gate function put out."""
    gates = gates_of(network, inputs)
    assert explore.dataframe[0].value["mean"].tolist() == pytest.approx(
        [gate.mean().item() for gate in gates]
    )


@pytest.mark.parametrize("key", COMMON)
def test_every_method_draws_and_says_what_its_map_shows(explore: AppTest, key: str):
    """Each method can be chosen; the caption below names its source, its time and, if it promises
    one, its error.
    """
    clean(explore.selectbox(key="method").set_value(key).run())
    alt = next(
        chart.proto.alt for chart in explore.get("plotly_chart") if chart.key == "attribution"
    )
    words = captions(explore)
    assert alt.startswith(METHODS[key].title)
    assert METHODS[key].source in words
    assert "Took " in words
    assert ("Completeness error: " in words) == (key == "integrated_gradients")
    assert len(np.unique(codes(figure(explore, "attribution")["data"][0]))) > 2


def test_grad_cam_can_look_at_the_end_of_every_stage(explore: AppTest):
    """Stages 2 to 5 have SE blocks; only this method has a stage to choose, and each gives another
    map.
    """
    explore.selectbox(key="method").set_value("saliency").run()
    assert "stage-tiny" not in {group.key for group in explore.button_group}
    explore.selectbox(key="method").set_value("grad_cam").run()
    maps = []
    for stage in (2, 3, 4, 5):
        clean(explore.segmented_control(key="stage-tiny").set_value(stage).run())
        maps.append(codes(figure(explore, "attribution")["data"][0]).tobytes())
    assert len(set(maps)) == 4


def test_every_class_can_be_explained(explore: AppTest, network: Network):
    """The map answers for one class: the chosen one is named, and five classes give five maps."""
    explore.selectbox(key="method").set_value("integrated_gradients").run()
    key = class_key(explore)
    seen = {}
    for target in range(5):
        clean(explore.selectbox(key=key).set_value(target).run())
        chart = next(chart for chart in explore.get("plotly_chart") if chart.key == "attribution")
        assert f" for {network.classes[target]} over" in chart.proto.alt
        seen[target] = codes(figure(explore, "attribution")["data"][0]).tobytes()
    assert len(set(seen.values())) == 5


def test_the_first_class_is_the_answer(explore: AppTest):
    """Without a choice the map explains the most probable class, the first bar above it."""
    picker = explore.selectbox(key=class_key(explore))
    assert picker.options == [name for name, _ in bars(explore)]
    assert picker.index == 0


def test_the_saliency_map_is_the_gradient_of_the_chosen_logit(
    explore: AppTest, network: Network, inputs: Tensor
):
    """The largest magnitude of the three colours' gradients, by autograd, on a scale of 126
    steps.
    """
    explore.selectbox(key="method").set_value("saliency")
    clean(explore.selectbox(key=class_key(explore)).set_value(3).run())
    inputs.requires_grad_()
    (gradient,) = torch.autograd.grad(network.model(inputs)[0, 3], inputs)
    strength = gradient[0].abs().amax(0).numpy()
    share = strength / np.quantile(strength, 0.995)
    shown = codes(figure(explore, "attribution")["data"][0])
    assert (shown[share > 1.01] == 127).all()
    # Half a step, and as much again for the float32 quantile.
    assert np.abs(shown - 126 * share)[share < 0.99].max() <= 1


@pytest.mark.parametrize("order", ["gate", "squeeze", "channel"])
@pytest.mark.parametrize("value", ["gate", "squeeze"])
def test_both_values_can_be_shown_in_every_order(explore: AppTest, value: str, order: str):
    """The axis and the caption follow the choice, and all blocks stay."""
    explore.segmented_control(key="value").set_value(value)
    clean(explore.segmented_control(key="order").set_value(order).run())
    data = gate_map(explore)
    words = "by index" if order == "channel" else f"sorted by {order}"
    assert words in data["axis"]
    assert data["value"] == value
    assert (data["means"]["ends"] == [0, 1]) == (value == "gate")
    assert [row["block"] for row in data["rows"]] == BLOCKS
    assert ("Each cell is a squeeze: each channel's mean" in captions(explore)) == (
        value == "squeeze"
    )


def test_choosing_a_block_opens_and_frames_it(explore: AppTest):
    """The heading below, the path and the frame in the gate map all tell the same block."""
    clean(explore.selectbox(key="block").set_value("layer2.0.bn3.1").run())
    assert "Block SE_3_1" in [heading.value for heading in explore.subheader]
    assert "`layer2.0.bn3.1`: a few of 128 channels" in captions(explore)
    assert gate_map(explore)["selected"] == "layer2.0.bn3.1"


def test_the_opened_block_shows_its_extreme_gates(
    explore: AppTest, network: Network, inputs: Tensor
):
    """Four largest and four smallest gates of the last block, as its gate function put them out;
    the open channel stands after those of its half.
    """
    clean(explore.selectbox(key="block").set_value("layer4.2.bn3.1").run())
    gate = gates_of(network, inputs)[-1].numpy()
    order = np.argsort(gate)
    opened = int(explore.session_state["channel"])
    upper = list(order).index(opened) >= len(order) / 2
    for key, extreme, own in (
        ("most-open", order[::-1][:4], upper),
        ("most-closed", order[:4], not upper),
    ):
        channels = [*extreme, *([opened] if own and opened not in extreme else [])]
        data = channel_maps(explore)[key]
        assert data["channels"] == channels
        assert data["gates"] == [f"{gate[channel]:.2f}" for channel in channels]
        assert data["open"] == opened


@pytest.mark.usefixtures("bundled")
def test_a_photo_takes_one_forward_pass(explore: AppTest, network_passes: list[int]):
    """Answer, gates, the open block's maps and the gallery come from one pass: a class of 200
    would wait for more.
    """
    first = explore.session_state["image"]
    second = pages.chosen(Image.effect_noise((64, 64), 60).convert("RGB"), "next.png")
    explore.session_state["image"] = second
    explore.session_state["own_photos"] = (first, second)
    clean(explore.run())
    assert network_passes == [1]


@pytest.fixture
def network_passes() -> Iterator[list[int]]:
    """Note the images of each pass through the app's network that is no attribution's, which has
    gradients.
    """
    sizes: list[int] = []

    def note(_: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        if torch.is_inference_mode_enabled():
            sizes.append(len(args[0]))

    with get_network("tiny", "cpu").model.register_forward_pre_hook(note):
        yield sizes
