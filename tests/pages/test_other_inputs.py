"""Every page before networks that see no photos: signals, spectrograms, many channels, volumes."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from se_viz.experiments import analyse
from se_viz.networks.given import find_source
from se_viz.networks.making import make_network
from se_viz.ui.asking.engine import get_engine
from se_viz.ui.session.state import ChosenImage
from tests import ROOT
from tests.support.other_inputs import KINDS, NET, file_for, list_networks_in_toml

PAGES = (
    "explore",
    "microscope",
    "surgery",
    "bench",
    "counterfactuals",
    "attribution",
    "compare",
    "networks",
)


@pytest.fixture(autouse=True)
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder whose list names the networks."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("se_viz.toml").write_text(list_networks_in_toml())
    get_engine.clear()
    yield
    get_engine.clear()


def chosen(name: str, seed: int = 0) -> ChosenImage:
    title, content = file_for(name, seed)
    return ChosenImage(title, content, hashlib.sha256(content).hexdigest(), is_photo=False)


def visit(page: str, name: str, **state: object) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=300)
    values = {
        "network": name,
        "device": "cpu",
        "way": KINDS[name][0],
        "image": chosen(name),
        "own_photos": (chosen(name), chosen(name, 1)),
        **state,
    }
    for key, value in values.items():
        test.session_state[key] = value
    return test.run()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_a_network_of_other_inputs(page: str, name: str):
    """Without a traceback, and without an error: what does not apply is an info."""
    test = visit(page, name)
    assert not test.exception
    assert [error.value for error in test.error] == []


def test_the_page_shows_the_librarys_answer():
    """The file, read by the way, passed once: probabilities as bars."""
    test = visit("explore", "mel")
    source = find_source("mel")
    assert source
    network = make_network(source, "cpu")
    inputs = network.prepare(file_for("mel")[1])
    best, share = analyse(network, inputs).top(1)[0]
    assert test.get("progress")[0].proto.text == f"class {best} · {share:.1%}"


@pytest.mark.parametrize("view", ["Stage by stage", "Through the gates"])
@pytest.mark.parametrize("name", KINDS)
def test_the_other_views_of_attribution_show_it(view: str, name: str):
    """Maps of every stage, and of what came past the gates."""
    test = visit("attribution", name, **{"attribution-view": view})
    assert not test.exception
    assert [error.value for error in test.error] == []
    assert len(test.get("plotly_chart")) > 0


@pytest.mark.parametrize("name", ["signal", "volume"])
def test_scores_say_why_there_are_none(name: str):
    """Squares have two dimensions."""
    test = visit("attribution", name)
    assert any("Scores mask squares" in info.value for info in test.info)


def test_a_photo_is_no_input_of_a_network_of_sound():
    """The page says what the network takes, and offers an uploader for it."""
    photo = ChosenImage("cat.png", b"", "0" * 64)
    test = visit("explore", "signal", image=photo, own_photos=())
    assert not test.exception
    assert [info.value for info in test.info] == [
        "**My signal** takes the samples of a WAV file, -1 to 1, and what is chosen is none: "
        "choose another file, or another network in the sidebar."
    ]
    assert not test.button


def test_the_gallery_holds_what_the_network_takes():
    """Two sounds and no sample: a photo is none."""
    test = visit("explore", "signal")
    picker = next(box for box in test.selectbox if box.label == "Compare with")
    assert picker.options == ["tone1.wav"]
    test = visit("explore", "volume")
    picker = next(box for box in test.selectbox if box.label == "Compare with")
    assert picker.options == ["values1.npy"]


def test_a_second_input_stands_beside_the_first():
    """Gates of both, and how they differ."""
    test = visit("explore", "mel")
    picker = next(box for box in test.selectbox if box.label == "Compare with")
    test = picker.set_value(chosen("mel", 1).digest[:8]).run()
    assert not test.exception
    assert any("What changed" in words.value for words in test.markdown)


def test_counterfactuals_take_gates_of_other_files():
    """The second sound lends its gates."""
    test = visit("counterfactuals", "mel")
    assert not test.exception
    assert len(test.get("plotly_chart")) > 0


@pytest.mark.parametrize("kind", ["mean", "other", "shuffle", "ones"])
def test_a_file_alone_can_shuffle_its_gates_and_borrow_none(kind: str):
    """The sentence says what to do."""
    test = visit("counterfactuals", "mel", own_photos=(chosen("mel"),), counterfactual=kind)
    assert not test.exception
    assert [error.value for error in test.error] == []
    alone = [info for info in test.info if "this input is the only one" in info.value]
    assert len(alone) == (kind in ("mean", "other"))


def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.syspath_prepend(str(ROOT))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)


def uploaders(test: AppTest) -> set[str]:
    """Return what stands over the places for files."""
    return {upload.proto.label for upload in test.get("file_uploader")}


def test_the_sidebar_asks_for_what_the_network_takes(monkeypatch: pytest.MonkeyPatch):
    """An uploader of WAV files; neither samples nor the camera."""
    test = app(monkeypatch)
    test.session_state["network"] = "signal"
    test.run()
    assert not test.exception
    assert uploaders(test) == {"Drop a WAV file here (up to 20 MB)"}
    assert "astronaut" not in str([button.key for button in test.button])
    # A network of photos in its place asks for photos again.
    test.selectbox(key="network").set_value("se_resnet50_half_imagenette").run()
    assert not test.exception
    assert "Drop a photo here (up to 20 MB)" in uploaders(test)


FILES: dict[str, tuple[Callable[[], tuple[str, bytes]], str]] = {
    "text named as a sound": (lambda: ("a.wav", b"hello" * 99), "no WAV file"),
    "an array of words": (lambda: ("a.npy", b"\x93NUMPY"), "no WAV file"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_broken_file_is_named_and_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch):
    """The sound before stays."""
    make, words = FILES[kind]
    test = app(monkeypatch)
    for key, value in {
        "network": "signal",
        "device": "cpu",
        "way": "waveform",
        "image": chosen("signal"),
        "unread_file": make(),
    }.items():
        test.session_state[key] = value
    test.run()
    assert not test.exception
    assert any(words in error.value for error in test.error)
    assert test.session_state["image"].name == "tone0.wav"


def test_a_good_file_is_chosen_and_kept(monkeypatch: pytest.MonkeyPatch):
    """And its answer stands on the page."""
    test = app(monkeypatch)
    name, content = file_for("signal", 2)
    for key, value in {
        "network": "signal",
        "device": "cpu",
        "way": "waveform",
        "unread_file": (name, content),
    }.items():
        test.session_state[key] = value
    test.run()
    assert not test.exception
    assert test.session_state["image"].name == name
    assert [image.name for image in test.session_state["own_photos"]] == [name]
    assert len(test.get("progress")) == 4


def test_what_an_engine_prepares_is_the_networks_input():
    """Also of bytes of strangers, which a child reads."""
    content = file_for("signal")[1]
    source = find_source("signal")
    assert source
    expected = make_network(source, "cpu").prepare(content)
    torch.testing.assert_close(
        get_engine().prepare("signal", "cpu", content), expected, atol=0, rtol=0
    )
