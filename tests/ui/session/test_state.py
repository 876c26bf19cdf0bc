import hashlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from se_viz.errors import ImageError
from se_viz.images.reading import list_samples
from se_viz.networks import View
from se_viz.ui.asking import analysis as cached
from se_viz.ui.session import photos
from tests.support.pages import choices, get_network

pytestmark = pytest.mark.usefixtures("bundled")

PATH = "layer1.0.bn3.1"


@pytest.fixture
def clicked() -> AppTest:
    """Return a session whose chart was clicked: ``points`` is what Plotly tells of it."""

    def script() -> None:
        from types import SimpleNamespace

        import streamlit as st

        from se_viz.ui.session.state import open_block

        selection = SimpleNamespace(points=st.session_state.points)
        st.session_state.chart = SimpleNamespace(selection=selection)
        open_block("chart")

    session = AppTest.from_function(script, default_timeout=300)
    session.session_state["block"] = "before"
    return session


@pytest.mark.parametrize(
    "data", [PATH, [PATH], {"0": PATH}, [[PATH]]], ids=["bare", "list", "mapping", "nested"]
)
def test_a_click_opens_the_block_of_its_point(clicked: AppTest, data: Any):
    """Custom data arrives bare, in a list or as a mapping, by the kind of array it was sent in."""
    clicked.session_state["points"] = [{"x": 1.0, "customdata": data}, {"customdata": "another"}]
    assert not clicked.run().exception
    assert clicked.session_state["block"] == PATH


def test_a_click_beside_the_rows_changes_nothing(clicked: AppTest):
    """An empty selection is also what a second click on the same point sends."""
    clicked.session_state["points"] = []
    assert not clicked.run().exception
    assert clicked.session_state["block"] == "before"


def test_gates_are_new_once_for_each_photo_and_network():
    """A photo's first picture is given time; a click on the same photo must not wait for it."""

    def script() -> None:
        import streamlit as st

        from se_viz.ui.session.state import gates_are_new

        shown = (("one", "a"), ("one", "a"), ("two", "a"), ("two", "b"), ("two", "b"), ("one", "a"))
        st.session_state.told = [gates_are_new(*pair) for pair in shown]

    session = AppTest.from_function(script, default_timeout=300).run()
    assert not session.exception
    assert session.session_state["told"] == [True, False, True, True, False, True]


@pytest.fixture
def changed() -> AppTest:
    """Return a session that opened a block and a channel first, then what ``chosen`` names, and
    then changes photo.
    """

    def script() -> None:
        import streamlit as st

        from se_viz.images.reading import list_samples
        from se_viz.ui.session.state import choose_sample, open_first_block, open_first_channel

        samples = list_samples()
        choose_sample(samples[0])
        open_first_block("layer4.0")
        open_first_channel(233)
        st.session_state.update(st.session_state.chosen)
        choose_sample(samples[st.session_state.photo])
        st.session_state.left = {key: st.session_state.get(key) for key in ("block", "channel")}

    return AppTest.from_function(script, default_timeout=300)


@pytest.mark.parametrize(
    ("chosen", "photo", "block", "channel"),
    [
        ({}, 1, "layer4.0", None),
        ({}, 0, "layer4.0", 233),
        ({"block": "layer3.1"}, 1, "layer3.1", 233),
        ({"channel": 5}, 1, "layer4.0", 5),
    ],
    ids=["nothing chosen", "the same photo", "a block chosen", "a channel chosen"],
)
def test_what_the_app_opened_by_itself_goes_with_its_photo(
    changed: AppTest, chosen: dict[str, Any], photo: int, block: str | None, channel: int | None
):
    """The channel that changes most in one photo may stand open in the next; a choice stays, to be
    compared.
    """
    changed.session_state["chosen"] = chosen
    changed.session_state["photo"] = photo
    assert not changed.run().exception
    assert changed.session_state["left"] == {"block": block, "channel": channel}


@pytest.fixture
def reopened() -> AppTest:
    """Return a session with a block open whose gates have the given spread, beside one with gates
    of 0 and 1.
    """

    def script() -> None:
        import streamlit as st
        import torch

        from se_viz.experiments.analysis import Analysis
        from se_viz.gates.records import GateRecord
        from se_viz.ui.session.state import open_first_block
        from se_viz.ui.widgets.pickers import open_block_of

        def record(name: str, spread: float) -> GateRecord:
            gate = torch.tensor([[0.5 - spread, 0.5 + spread]])
            return GateRecord(name, 2, torch.ones(1, 2), gate)

        open_first_block("held")
        st.session_state.update(st.session_state.chosen)
        records = (record("held", st.session_state.spread), record("widest", 0.5))
        st.session_state.opened = open_block_of(Analysis(torch.ones(1), records, torch.ones(1)))

    return AppTest.from_function(script, default_timeout=300)


@pytest.mark.parametrize(
    ("spread", "chosen", "opened"),
    [
        (0.3, {}, "held"),
        (0.2, {}, "widest"),
        (0.2, {"channel": 1}, "held"),
        (0.0, {"first-block": "widest"}, "held"),
    ],
    ids=["it differs enough", "it hardly differs", "a channel was chosen", "the block was chosen"],
)
def test_a_block_that_does_not_choose_in_this_photo_gives_way(
    reopened: AppTest, spread: float, chosen: dict[str, Any], opened: str
):
    """Half as far as in the block where gates differ most is enough: its maps have come with the
    photo's pass.
    """
    reopened.session_state["spread"] = spread
    reopened.session_state["chosen"] = chosen
    assert not reopened.run().exception
    assert reopened.session_state["opened"] == opened


def test_an_image_is_keyed_by_its_content():
    """Two files with one name are two images; one file with two names is one."""

    def script() -> None:
        from dataclasses import replace

        import streamlit as st

        from se_viz.images.reading import list_samples
        from se_viz.ui.session.state import choose_sample, chosen_image

        first, second, *_ = list_samples()
        seen = []
        for sample in (
            first,
            replace(first, title="Another name"),
            replace(second, title=first.title),
        ):
            choose_sample(sample)
            seen.append(chosen_image())
        st.session_state.seen = seen

    session = AppTest.from_function(script, default_timeout=300).run()
    assert not session.exception
    one, renamed, other = session.session_state["seen"]
    assert (
        one.digest
        == renamed.digest
        == hashlib.sha256(list_samples()[0].path.read_bytes()).hexdigest()
    )
    assert other.digest != one.digest
    assert (one.name, renamed.name, other.name) == ("Cat", "Another name", "Cat")


def test_a_photo_is_cut_to_the_networks_square():
    """A page never holds the full image: at 50 megapixels that would be 150 MB a session."""
    content = list_samples()[2].path.read_bytes()
    assert photos.get_photo("digest", View(96), content).size == (96, 96)
    assert photos.get_photo("digest", View(64), content).size == (64, 64)


def test_a_file_that_failed_is_tried_again():
    """A cached failure would outlive the file's repair."""
    with pytest.raises(ImageError, match="damaged or cut short"):
        photos.get_photo("digest", View(64), list_samples()[0].path.read_bytes()[:900])
    assert photos.get_photo("digest", View(64), list_samples()[0].path.read_bytes()).size == (
        64,
        64,
    )


def test_one_network_serves_all_sessions():
    """Weights are large and never change: the second session gets the very object of the first."""
    assert get_network() is get_network()


def test_only_the_opened_block_keeps_its_feature_maps():
    """16 blocks of feature maps are 42 MB an image; the gates of all are a few kilobytes."""
    chosen = choices(Image.new("RGB", (64, 64), "teal"))
    records = cached.get_analysis(chosen, PATH).records
    assert [record.block for record in records if record.features is not None] == [PATH]
    assert all(record.features is None for record in cached.get_analysis(chosen).records)


def test_the_gallery_holds_samples_and_the_last_own_photos():
    """Static gates are a mean over it, so each photo counts once, and a session's memory is
    bounded.
    """

    def script() -> None:
        import hashlib
        from types import SimpleNamespace

        import streamlit as st

        from se_viz.ui.session.state import choose_file, list_gallery, read_file

        for name, content in st.session_state.files:
            st.session_state.upload = SimpleNamespace(
                name=name, getvalue=lambda content=content: content
            )
            choose_file("upload")
            read_file(lambda *_: None)
        known = {hashlib.sha256(content).hexdigest() for _, content in st.session_state.files}
        st.session_state.gallery = [(image.name, image.digest in known) for image in list_gallery()]

    files = [(f"{number}.png", png(number)) for number in range(8)]
    session = AppTest.from_function(script, default_timeout=300)
    session.session_state["files"] = [*files, ("again.png", files[3][1])]
    assert not session.run().exception
    samples = [(sample.title, False) for sample in list_samples()]
    own = [(name, True) for name in ("2.png", "4.png", "5.png", "6.png", "7.png", "again.png")]
    assert session.session_state["gallery"] == samples + own


def png(shade: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), (shade, shade, shade)).save(file, "PNG")
    return file.getvalue()
