import hashlib
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.images.reading import EXTENSIONS, list_samples
from se_viz.networks import checkpoints
from se_viz.ui.session.state import ChosenImage

pytestmark = pytest.mark.usefixtures("bundled")

PHOTO = list_samples()[0].path.read_bytes()
OTHER = list_samples()[1].path.read_bytes()
BROKEN = PHOTO[:2000]


@pytest.fixture
def sidebar() -> AppTest:
    """Return what every page has around it, before its first run."""

    def script() -> None:
        from se_viz.ui.frame.network_choice import show_network_choice
        from se_viz.ui.frame.sidebar import show_image_choice, show_problem

        show_image_choice()
        show_network_choice(loads=True)
        show_problem()

    return AppTest.from_function(script, default_timeout=300)


def upload(sidebar: AppTest, name: str, content: bytes) -> AppTest:
    """Put a file in the place of the one that the uploader holds."""
    sidebar.file_uploader[0].set_value((name, content, "image/jpeg")).run()
    assert not sidebar.exception
    return sidebar


def errors(sidebar: AppTest) -> list[str]:
    return [error.value for error in sidebar.error]


def test_an_uploaded_photo_is_chosen_for_all_pages(sidebar: AppTest):
    """The bytes are in the session itself, keyed by their SHA-256: a widget loses them with its
    page.
    """
    upload(sidebar.run(), "cat.jpg", PHOTO)
    image = sidebar.session_state["image"]
    assert image == ChosenImage("cat.jpg", PHOTO, hashlib.sha256(PHOTO).hexdigest())
    assert [text.value for text in sidebar.text] == ["Shown: cat.jpg"]
    assert not sidebar.error


def test_a_broken_file_is_named_and_changes_nothing(sidebar: AppTest):
    """A lecture goes on with the image it had; the sentence says what to do."""
    upload(sidebar.run(), "cat.jpg", PHOTO)
    upload(sidebar, "half.jpg", BROKEN)
    assert errors(sidebar) == [
        "The image file is damaged or cut short. Export or download it again."
    ]
    assert [text.value for text in sidebar.text] == ["Shown: cat.jpg"]
    assert sidebar.session_state["image"].content == PHOTO


def test_a_good_file_ends_the_complaint(sidebar: AppTest):
    """A sentence about a file that is gone would be read as one about this file."""
    upload(sidebar.run(), "half.jpg", BROKEN)
    assert errors(sidebar)
    assert "image" not in sidebar.session_state
    upload(sidebar, "coffee.jpg", OTHER)
    assert not errors(sidebar)
    assert [text.value for text in sidebar.text] == ["Shown: coffee.jpg"]


def test_taking_the_broken_file_away_ends_the_complaint(sidebar: AppTest):
    """The cross beside the file is what people press first; the earlier image stays."""
    upload(sidebar.run(), "cat.jpg", PHOTO)
    upload(sidebar, "half.jpg", BROKEN)
    sidebar.file_uploader[0].clear().run()
    assert not errors(sidebar)
    assert [text.value for text in sidebar.text] == ["Shown: cat.jpg"]


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "a header"]
)
def test_no_content_brings_the_page_down(sidebar: AppTest, content: bytes):
    """Whatever is dropped: one sentence that ends in a step, and no traceback."""
    upload(sidebar.run(), "photo.png", content)
    assert len(errors(sidebar)) == 1
    assert errors(sidebar)[0].endswith(".")


def test_a_file_that_waits_is_read_by_the_next_run(sidebar: AppTest):
    """A click while a photo waits for its turn ends the run: the photo may not be lost with it."""
    sidebar.session_state["unread_file"] = ("cat.jpg", PHOTO)
    assert not sidebar.run().exception
    assert [text.value for text in sidebar.text] == ["Shown: cat.jpg"]
    assert "unread_file" not in sidebar.session_state


def test_markdown_in_a_file_name_is_plain_text(sidebar: AppTest):
    """Markdown in a name would load a stranger's picture; `st.text` shows it letter by letter."""
    name = "![](http://example.com/spy.png) **bold**.jpg"
    upload(sidebar.run(), name, PHOTO)
    assert [text.value for text in sidebar.text] == [f"Shown: {name}"]
    assert not [
        element.value
        for element in (*sidebar.markdown, *sidebar.caption)
        if "spy.png" in element.value
    ]


def test_a_name_in_the_error_is_never_markdown(sidebar: AppTest):
    """An error is Markdown too, so it must not repeat what a stranger has written."""
    upload(sidebar.run(), "![](http://example.com/spy.png).jpg", BROKEN)
    assert "spy" not in errors(sidebar)[0]


def test_uploads_take_the_formats_that_are_read(sidebar: AppTest):
    """A file dialogue that hides readable photos, or offers others, sends people away."""
    uploader = sidebar.run().file_uploader[0]
    assert sorted(kind.lstrip(".") for kind in uploader.allowed_type) == sorted(EXTENSIONS)
    assert "20 MB" in uploader.label


def test_samples_are_shown_with_their_makers(sidebar: AppTest):
    """Every licence asks for the credit where the image is shown."""
    sidebar.run().segmented_control(key="source").set_value("Samples").run()
    assert len(sidebar.image) == 6
    for sample in list_samples():
        assert sidebar.button(key=f"sidebar-{sample.name}").help == sample.credit
    sidebar.button(key="sidebar-flower").click().run()
    assert [text.value for text in sidebar.text] == ["Shown: Flower"]
    assert "Dahlia, by vultilion (CC BY 2.0)" in [caption.value for caption in sidebar.caption]


def test_a_sample_ends_the_complaint_about_a_file(sidebar: AppTest):
    """The sample is a choice like any other: after it nothing is wrong any more."""
    upload(sidebar.run(), "half.jpg", BROKEN)
    sidebar.segmented_control(key="source").set_value("Samples").run()
    sidebar.button(key="sidebar-coffee").click().run()
    assert not errors(sidebar)


def test_a_photo_can_be_taken(sidebar: AppTest):
    """The camera's picture is chosen as an uploaded one is."""
    sidebar.run().segmented_control(key="source").set_value("Camera").run()
    sidebar.camera_input(key="camera").set_value(("photo.jpg", OTHER, "image/jpeg")).run()
    assert not sidebar.exception
    assert sidebar.session_state["image"].content == OTHER


def test_changing_the_source_keeps_the_image(sidebar: AppTest):
    """The uploader is gone from the page while samples are looked at; the photo is not."""
    upload(sidebar.run(), "cat.jpg", PHOTO)
    for source in ("Samples", "Camera", "Upload"):
        sidebar.segmented_control(key="source").set_value(source).run()
        assert not sidebar.exception
        assert [text.value for text in sidebar.text] == ["Shown: cat.jpg"]


def test_the_card_of_the_network_is_read_out(sidebar: AppTest):
    """How good the network is stands beside its name, and why it runs where it runs."""
    sidebar.run()
    words = " ".join(caption.value for caption in sidebar.caption)
    millions = checkpoints.read_cards()[0].parameters / 1e6
    assert f"{millions:.1f} M parameters, top-1 20.0% on random numbers." in words
    assert (sidebar.session_state["network"], sidebar.session_state["device"]) == (
        "tiny",
        sidebar.selectbox[1].value,
    )
    assert sidebar.selectbox(key="device").options[-1] == "cpu"
    sidebar.selectbox(key="device").set_value("cpu").run()
    assert any(caption.value.startswith("CPU") for caption in sidebar.caption)


def test_a_network_without_a_stated_accuracy_says_none(sidebar: AppTest, bundled: Path):
    """timm's cards and people's own weights have no accuracy: a zero would be a lie."""
    path = bundled / "tiny.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "top1": None}))
    words = " ".join(caption.value for caption in sidebar.run().caption)
    assert "M parameters on random numbers." in words
    assert "top-1" not in words


def test_only_networks_that_can_be_used_at_once_are_offered(sidebar: AppTest):
    """Four hundred names do not belong in a list of a sidebar; what is not on the disk is on the
    page Networks.
    """
    assert sidebar.run().selectbox(key="network").options == ["A tiny SE-ResNet-50"]


def test_a_network_that_is_gone_gives_way_to_the_first(sidebar: AppTest):
    """Its weights were deleted by somebody else: the list must not fail on a name that it does not
    hold.
    """
    sidebar.session_state["network"] = "own/deleted-123456"
    assert not sidebar.run().exception
    assert sidebar.session_state["network"] == "tiny"


def test_an_empty_folder_is_one_sentence(sidebar: AppTest, bundled: Path):
    """Without a network the sidebar says how to get one, and the page is told that nothing is
    chosen.
    """
    for path in bundled.iterdir():
        path.unlink()
    sidebar.run()
    assert not sidebar.exception
    assert [text.split(".")[0] for text in errors(sidebar)] == [
        "There is no network in `checkpoints/`"
    ]
    assert "network" not in sidebar.session_state


def test_a_missing_folder_is_one_sentence(sidebar: AppTest, bundled: Path):
    """A clone without the weights is the commonest accident of all."""
    for path in bundled.iterdir():
        path.unlink()
    bundled.rmdir()
    assert not sidebar.run().exception
    assert [text.split(".")[0] for text in errors(sidebar)] == [
        "There is no network in `checkpoints/`"
    ]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"name": "tiny"}'], ids=["cut short", "a list", "fields missing"]
)
def test_a_damaged_card_is_named(sidebar: AppTest, bundled: Path, content: str):
    """There is a network, and its card is broken: saying that there is none would send people
    training.
    """
    (bundled / "tiny.json").write_text(content)
    assert not sidebar.run().exception
    assert [text.startswith("tiny.json is no ") for text in errors(sidebar)] == [True]
    assert errors(sidebar)[0].endswith("Restore the file.")
