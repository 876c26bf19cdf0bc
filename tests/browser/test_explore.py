"""From a dropped photo to an opened block, as a visitor does it."""

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import FilePayload, expect

from se_viz.images.reading import list_samples

from .steps import (
    BLOCKS,
    Visit,
    box,
    channel_maps,
    expect_answer,
    expect_idle,
    expect_open,
    figure,
    gate_map,
    gate_row,
    go_to,
    upload,
)

pytestmark = pytest.mark.browser


def file_named(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def test_a_photo_gets_five_answers(tour: Visit):
    """Five bars, best first, and shares of one whole cannot sum to more than it."""
    expect(tour.page.get_by_test_id("stProgress")).to_have_count(5)
    texts = tour.page.get_by_test_id("stProgress").all_inner_texts()
    shares = [float(match[1]) for text in texts if (match := re.search(r"\S · (\d+\.\d)%", text))]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    # Each is rounded to a tenth.
    assert sum(shares) <= 100 + 5 * 0.05


def test_the_photo_of_a_phone_stands_upright(tour: Visit):
    """What is shown is the centre of the upright sample, not of the pixels as the sensor lay."""
    shown = tour.page.get_by_test_id("stImage").get_by_role(
        "img", name="The photo as the network sees it"
    )
    content = b64decode(str(shown.get_attribute("src")).partition(",")[2])
    picture = np.asarray(Image.open(BytesIO(content)).convert("RGB"), dtype=float)
    upright = Image.open(list_samples()[0].path).convert("RGB")
    expected = np.asarray(ImageOps.fit(upright, picture.shape[:2]), dtype=float)
    distances = [np.abs(np.rot90(expected, turns) - picture).mean() for turns in range(4)]
    # JPEG twice and another filter: a few grey levels, where a turned photo is tens away.
    assert distances[0] < 8 < min(distances[1:])


def test_every_block_is_named_in_the_gate_map(tour: Visit):
    """All 16 blocks in forward order, one below the other, by the names that a screen reader
    reads.
    """
    rows = gate_map(tour.page).get_by_role("option")
    names = [str(row.get_attribute("aria-label")).partition(":")[0] for row in rows.all()]
    assert names == BLOCKS
    tops = [box(row)["y"] for row in rows.all()]
    assert tops == sorted(set(tops))


def test_every_row_is_painted_from_edge_to_edge(tour: Visit):
    """The canvas has colours in the middle of each row, and more than one: gates of a block
    differ.
    """
    counts = gate_map(tour.page).evaluate(
        """map => [...map.querySelectorAll('.row')].map(row => {
            const canvas = map.querySelector('canvas'), scale = canvas.width / map.clientWidth;
            const y = Math.round((row.offsetTop + row.offsetHeight / 2) * scale);
            const pen = canvas.getContext('2d');
            const line = pen.getImageData(canvas.width * 0.2, y, canvas.width * 0.45, 1);
            const pixels = [...new Uint32Array(line.data.buffer)];
            return [pixels.filter(pixel => !(pixel >>> 24)).length, new Set(pixels).size];
        })"""
    )
    assert len(counts) == len(BLOCKS)
    assert all(empty == 0 and colours > 3 for empty, colours in counts)


def test_the_attribution_says_what_it_shows_and_its_time(tour: Visit):
    """The first map is Grad-CAM's: the caption says how to read it, its help mark the run time."""
    expect(figure(tour.page, "attribution").locator(".heatmaplayer image")).to_have_count(1)
    words = "Where the channels of a stage that raise the logit are active"
    caption = tour.page.get_by_test_id("stCaptionContainer").filter(has_text=words)
    expect(caption).to_be_visible()
    caption.get_by_test_id("stTooltipIcon").hover()
    expect(tour.page.get_by_text(re.compile(r"^Took \d+\.\d\d s\."))).to_be_visible()


def test_no_button_lies_on_the_map(tour: Visit):
    """The camera stands above the map, whose corner could not be seen below it."""
    camera, pixels = (
        box(figure(tour.page, "attribution").locator(part))
        for part in (".modebar-group", ".heatmaplayer image")
    )
    assert camera["y"] + camera["height"] <= pixels["y"]


@pytest.mark.parametrize(
    ("block", "share"), [("SE_3_2", 0.37), ("SE_2_1", 0.995), ("SE_5_2", 0.005)]
)
def test_a_click_on_a_row_opens_its_block(tour: Visit, block: str, share: float):
    """Any place of a row will do, its ends too: a visitor aims at colours and not at points."""
    expect_idle(tour.page)
    row = gate_row(tour.page, block)
    row.click(position={"x": share * box(row)["width"], "y": box(row)["height"] / 2})
    expect_open(tour.page, block)
    expect(tour.page.get_by_role("combobox", name=re.compile("Open block"))).to_have_value(block)


def test_pointing_at_a_row_tells_a_channel_and_its_gate(tour: Visit, gates: pd.DataFrame):
    """The number belongs to the channel that is named: the library's own gate, to three digits."""
    expect_idle(tour.page)
    row = gate_row(tour.page, "SE_3_2")
    for share in (0.2, 0.4, 0.6):
        row.hover(position={"x": share * box(row)["width"], "y": box(row)["height"] / 2})
        words = gate_map(tour.page).get_by_role("status").inner_text()
        told = re.search(r"^SE_3_2\nchannel (\d+): gate (\d\.\d{3})$", words, re.MULTILINE)
        assert told, words
        (gate,) = gates.loc[
            (gates["path"] == "layer2.1.bn3.1") & (gates["channel"] == int(told[1])), "gate"
        ]
        # Half of the last digit, and of a step of the 65,535 that are sent.
        assert float(told[2]) == pytest.approx(gate, abs=0.0005 + 1e-5)


def test_the_gate_map_is_read_and_worked_by_keys(tour: Visit, gates: pd.DataFrame):
    """Down to a block, to the last channel of the sorted row, which has the smallest gate, and
    enter opens it.
    """
    expect_idle(tour.page)
    rows = gate_map(tour.page).get_by_role("listbox")
    rows.focus()
    for key in ("ArrowDown", *["ArrowUp"] * len(BLOCKS), "ArrowDown", "End"):
        rows.press(key)
    smallest = gates.loc[gates["path"] == "layer1.1.bn3.1", "gate"].min()
    words = gate_map(tour.page).get_by_role("status").inner_text()
    told = re.search(r"gate (\d\.\d{3})$", words, re.MULTILINE)
    assert told, words
    assert float(told[1]) == pytest.approx(smallest, abs=0.0005 + 1e-5)
    rows.press("Enter")
    expect_open(tour.page, "SE_2_2")
    expect(gate_row(tour.page, "SE_2_2")).to_have_attribute("aria-selected", "true")


PIXELS = """canvas => {
    const pen = canvas.getContext('2d');
    return [...pen.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def test_the_maps_of_the_open_block_are_painted_pixel_by_pixel(tour: Visit):
    """Four channels before and after on either side: every pixel has a colour, a gate of about 1
    changes next to none of them, and one of about 0 leaves the colour of 0 everywhere.
    """
    expect_idle(tour.page)
    for key, gate in (("most-open", "1.00"), ("most-closed", "0.00")):
        maps = channel_maps(tour.page, key)
        canvases = maps.locator("canvas").all()
        assert len(canvases) == 8
        pictures = [np.array(one.evaluate(PIXELS)).reshape(-1, 4) for one in canvases]
        assert all((picture[:, 3] == 255).all() for picture in pictures)
        words = maps.locator(".head").all_inner_texts()
        for word, before, after in zip(words, pictures[::2], pictures[1::2], strict=True):
            assert len(np.unique(before, axis=0)) > 3
            if word.endswith(f"s = {gate}"):
                # A gate within 0.005 of a whole number moves a value by one code at most.
                reference = before if gate == "1.00" else [236, 238, 241, 255]
                assert np.abs(after - reference).max() <= 4


def test_a_channel_is_chosen_by_keys(tour: Visit):
    """Every channel is a button of its own, and the link below the heading follows it."""
    expect_idle(tour.page)
    button = channel_maps(tour.page, "most-open").get_by_role("button").nth(1)
    channel = re.search(r"Channel (\d+), gate", str(button.get_attribute("aria-label")))
    assert channel
    button.press("Enter")
    link = tour.page.get_by_role("link", name=f"Open a gate: channel {channel[1]} of SE_")
    expect(link.first).to_be_visible()


def test_a_block_is_opened_without_a_mouse(tour: Visit):
    """The tab key reaches the list of blocks, letters find one and the enter key opens it."""
    page = tour.page
    page.get_by_role("heading", name="What did the gates do?").evaluate(
        "heading => heading.scrollIntoView()"
    )
    page.locator("body").focus()
    # The list itself, and not its help mark.
    focused = "document.activeElement.matches('input[aria-label^=\"Open block\"]')"
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(focused):
            break
    assert page.evaluate(focused)
    page.keyboard.type("SE_4_5")
    page.keyboard.press("Enter")
    expect_open(page, "SE_4_5")


def test_choices_survive_a_look_at_the_guide(tour: Visit, photo: Path):
    """Image, network and block belong to the visit, not to the page."""
    page = tour.page
    block = page.get_by_role("combobox", name=re.compile("Open block"))
    block.fill("SE_5_1")
    block.press("Enter")
    expect_open(page, "SE_5_1")
    network = page.get_by_test_id("stSidebar").get_by_role("combobox", name=re.compile("Network"))
    name = network.input_value()
    go_to(page, "How to read it")
    expect(page.get_by_role("heading", name="How to read it")).to_be_visible()
    expect(page.get_by_text(f"Shown: {photo.name}", exact=True)).to_be_visible()
    go_to(page, "Explore")
    expect_answer(page)
    expect_open(page, "SE_5_1")
    expect(page.get_by_text(f"Shown: {photo.name}", exact=True)).to_be_visible()
    expect(network).to_have_value(name)


def test_a_broken_file_is_a_sentence_and_work_goes_on(visit: Callable[..., Visit], photo: Path):
    """The earlier image stays until a file comes that can be shown; then the sentence goes."""
    page = visit().page
    sentence = "The image file is damaged or cut short."
    upload(page, photo, area="stMain")
    upload(page, file_named("half.jpg", photo.read_bytes()[:3000]))
    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_text(f"Shown: {photo.name}", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_have_count(5)
    upload(page, file_named("coffee.jpg", list_samples()[1].path.read_bytes()))
    expect(page.get_by_text("Shown: coffee.jpg", exact=True)).to_be_visible()
    expect(page.get_by_text(sentence)).to_have_count(0)
    expect_answer(page)


def test_a_file_name_is_only_text(visit: Callable[..., Visit], photo: Path):
    """Markdown or a tag in a name must not load a picture: the name may be a stranger's."""
    name = "![](spy.png) **bold** <img src=spy.png>.jpg"
    opened = visit()
    upload(opened.page, file_named(name, photo.read_bytes()), area="stMain")
    assert opened.page.locator("img[src*='spy']").count() == 0
    assert not [address for address in opened.requests if "spy" in address]


def test_nothing_leaves_the_machine(tour: Visit):
    """Photos are private and lecture rooms offline: every address so far is the app's own."""
    icons = tour.page.locator("link[rel~='icon']").evaluate_all(
        "links => links.map(link => link.href)"
    )
    tour.requests.extend(icons)
    assert any(address.startswith("ws://127.0.0.1") for address in tour.requests)
    assert tour.strangers() == []


def test_the_console_is_silent(tour: Visit):
    """An error there is a part of the page that does not work, seen or not."""
    assert tour.complaints == []
