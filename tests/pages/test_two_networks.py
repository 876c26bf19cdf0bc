"""Two networks before one photo: answers, gates and maps of both, and what differs in words."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from se_viz.attribution.pixels import attribute, compare_maps
from se_viz.experiments import analyse
from se_viz.networks import Network, load_network
from se_viz.ui.asking.engine import get_engine
from tests.support.other_inputs import NET, file_for
from tests.support.pages import chosen, clean, figure, noise, session, words
from tests.support.plain import LABELS, write_plain

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

SOUNDS = "".join(
    f'[networks.{name}]\nmake = "sound.py:mel"\npreprocess = "log-mel"\ninput = "1x32x48"\n'
    f'title = "{title}"\n'
    for name, title in {"mel": "My mel", "other_mel": "Other mel"}.items()
)


@pytest.fixture(autouse=True)
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder whose list names networks with SE blocks and without, and two of sound."""
    monkeypatch.chdir(tmp_path)
    write_plain(tmp_path)
    Path("sound.py").write_text(NET)
    Path("se_viz.toml").write_text(f"{Path('se_viz.toml').read_text()}\n{SOUNDS}")
    yield
    for name in ("resnet", "toy", "se_toy", "mel", "other_mel"):
        get_engine().drop(name)


def visit(**state: Any) -> AppTest:
    return session("compare.py", **{"image": chosen(noise()), **state}).run()


def keys_of(page: AppTest) -> set[str | None]:
    return {chart.key for chart in page.get("plotly_chart")}


def decode(values: dict[str, str]) -> np.ndarray:
    """Return an array as the browser gets it."""
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])


def network_of(name: str) -> Network:
    return load_network(name, "cpu", plain=True)


def test_without_a_photo_the_page_asks_for_one():
    """As every page that is about a photo."""
    page = session("compare.py").run()
    assert not page.exception
    assert not page.get("plotly_chart")
    assert page.button


def test_without_a_second_network_the_page_says_where_there_are_more():
    """The photo is known, and nothing on this machine can stand beside it."""
    Path("se_viz.toml").unlink()
    page = clean(visit())
    (info,) = (info.value for info in page.info)
    assert info.startswith("No second network on this machine takes a photo.")


def test_a_twin_stands_second_at_first():
    """What is on this machine and takes photos is offered, the twin first, and no network of
    sound.
    """
    page = clean(visit(network="se_toy"))
    picker = page.selectbox(key="second")
    assert picker.options == ["Toy", "Plain ResNet", "A tiny SE-ResNet-50"]
    assert picker.value == "toy"
    assert "It differs from SE toy by its SE blocks alone." in words(page)


def test_classes_that_both_know_stand_in_one_picture():
    """Probabilities are the library's, of each network for itself."""
    page = clean(visit(network="se_toy"))
    drawn = {trace["name"]: trace for trace in figure(page, "pair-answers")["data"][1:]}
    for name, title in (("se_toy", "SE toy"), ("toy", "Toy")):
        shares = analyse(network_of(name), noise(), whole=True).probabilities
        by_class = dict(zip(drawn[title]["text"], decode(drawn[title]["x"]), strict=True))
        assert by_class == pytest.approx(
            dict(zip(LABELS, (100 * shares).tolist(), strict=True)), rel=1e-4
        )


def test_a_plain_network_has_an_answer_and_a_map_and_a_sentence_for_its_gates():
    """Where its gates would be stands why there are none; the gates of the other are drawn."""
    page = clean(visit(network="se_toy", second="toy"))
    assert {"pair-answers", "pair-gates", "pair-first", "pair-second"} <= keys_of(page)
    assert "Toy has no SE blocks: every channel goes on as it is" in words(page)
    assert {trace["name"] for trace in figure(page, "pair-gates")["data"]} == {"SE toy"}
    assert "**Gates**: those of SE toy spread by" in words(page)
    # Stages are told by SE blocks.
    assert not any("Grad-CAM" in method for method in page.selectbox(key="pair-method").options)


def test_the_network_of_the_sidebar_may_be_the_plain_one():
    """The page compares in both directions."""
    page = clean(visit(network="toy", second="se_toy"))
    assert {trace["name"] for trace in figure(page, "pair-gates")["data"]} == {"SE toy"}
    assert "It differs from Toy by its SE blocks alone." in words(page)


def test_two_plain_networks_have_no_gates_to_compare():
    """An empty picture would be a riddle."""
    page = clean(visit(network="toy", second="resnet"))
    assert any("Neither network has SE blocks" in info.value for info in page.info)
    assert "pair-gates" not in keys_of(page)


def test_other_classes_are_named_and_not_compared():
    """Three numbers against five names."""
    page = clean(visit(network="se_toy", second="resnet"))
    assert "5 (SE toy) and 3 (Plain ResNet); none of them stands in both" in words(page)
    assert "pair-answers" not in keys_of(page)
    texts = [bar.proto.text for bar in page.get("progress")]
    assert len(texts) == 8
    assert not any(control.key == "pair-explained" for control in page.segmented_control)


def test_some_shared_classes_are_compared_alone():
    """Two of the five have another name in the second network."""
    Path("labels2.txt").write_text("\n".join(["ant", "bee", "cow", "dog", "fox"]))
    listed = Path("se_viz.toml").read_text()
    Path("se_viz.toml").write_text(
        listed + '\n[networks.farm]\nmake = "net.py:toy"\ninput = 64\nlabels = "labels2.txt"\n'
    )
    page = clean(visit(network="se_toy", second="farm", **{"pair-explained": "one"}))
    assert "3 of them stand in both, and only these are compared" in words(page)
    assert set(figure(page, "pair-answers")["data"][1]["text"]) == {"ant", "bee", "dog"}
    assert set(page.selectbox(key="target").options) == {"ant", "bee", "dog"}
    get_engine().drop("farm")


def test_one_class_is_explained_for_both_on_one_scale():
    """The numbers in words are those of the library's maps for that class."""
    page = visit(network="se_toy", **{"pair-explained": "one", "pair-method": "input_x_gradient"})
    page = clean(page.selectbox(key="target").set_value(3).run())
    maps = []
    for name in ("se_toy", "toy"):
        network = network_of(name)
        inputs = network.preprocess(noise(), whole=True)
        maps.append(attribute(network, inputs, 3, "input_x_gradient").map)
    agreement = compare_maps(*maps)
    assert agreement
    assert f"they correlate by **{agreement.correlation:.2f}**" in words(page)
    assert f"overlap by **{agreement.overlap:.0%}**" in words(page)
    bars = [
        figure(page, key)["layout"]["coloraxis"]["colorbar"]["ticktext"]
        for key in ("pair-first", "pair-second")
    ]
    assert bars[0] == bars[1]
    page = clean(page.segmented_control(key="pair-scale").set_value("own").run())
    assert figure(page, "pair-first")["layout"]["coloraxis"]["colorbar"]["ticktext"] != bars[0]


def test_costs_are_counted_for_both():
    """By hand: excitations of 16 and 32 channels with 4 and 8 hidden units, each with biases."""
    page = clean(visit(network="se_toy"))
    plain = sum(value.numel() for value in network_of("toy").model.parameters())
    added = (4 * 16 * 2 + 16 + 4) + (8 * 32 * 2 + 32 + 8)
    assert f"SE toy has **{100 * added / plain:.2g}\N{NO-BREAK SPACE}%** more parameters" in words(
        page
    )


def test_networks_of_sound_are_compared_alike():
    """A file that is no photo has two networks too, and none that sees photos is offered."""
    title, content = file_for("mel")
    sound = type(chosen(noise()))(title, content, "d" * 64, is_photo=False)
    page = clean(visit(network="mel", way="log-mel", image=sound))
    assert page.selectbox(key="second").options == ["Other mel"]
    assert {"pair-answers", "pair-gates", "pair-first", "pair-second"} <= keys_of(page)
    assert "they correlate by **1.00**" in words(page)


def test_a_network_that_a_link_names_in_vain_is_said():
    """It may lie on the disk of whoever sent the link."""
    page = visit(network="se_toy", link={"second": "timm/seresnet50"})
    assert not page.exception
    assert page.selectbox(key="second").value == "toy"
    (problem,) = page.session_state["link-problems"]
    assert "asks for second “timm/seresnet50”" in problem
    assert "fetch one on the page Networks" in problem
