"""From an opened block to one channel's arithmetic, step by step, as a lecturer does it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from se_viz import (
    Excitation,
    GateRecord,
    capture_gates,
    list_networks,
    load_network,
    open_gate,
    open_image,
)

from .steps import (
    Visit,
    box,
    channel_maps,
    choose_sample,
    expect_idle,
    go_to,
    open_visit,
    upload,
)

pytestmark = pytest.mark.browser

WORDS = ("U", "Squeeze", "FC · W₁", "ReLU", "FC · W₂", "Sigmoid", "Scale → X")
"""Steps of the block as the paper draws it (arXiv 1709.01507, Fig. 2 and 3)."""


@pytest.fixture(scope="module")
def opened(photo: Path) -> Callable[[str], tuple[GateRecord, Excitation]]:
    """Return a function that opens the gates of a block by the library alone."""
    network = load_network(list_networks()[0].name)
    with capture_gates(network.model) as records, torch.inference_mode():
        network.model(network.preprocess(open_image(photo)))
    return lambda block: next(
        (one, open_gate(network.model, one)) for one in records if one.block == block
    )


@pytest.fixture(scope="module")
def microscope(browser: Browser, address: str, photo: Path) -> Iterator[Visit]:
    """Return a visit that has come from a map of the opened block on Explore to that channel under
    the microscope.
    """
    with open_visit(browser, address) as visit:
        page = visit.page
        upload(page, photo, area="stMain")
        maps = channel_maps(page, "most-closed")
        maps.locator("[data-channel]").first.click()
        title = maps.locator(".head").first.text_content() or ""
        channel = re.search(r"#(\d+)", title)
        assert channel
        page.get_by_role("link", name=f"Open a gate: channel {channel[1]} of SE_").first.click()
        expect(page.get_by_role("spinbutton")).to_have_value(channel[1])
        expect(page.locator(".flow")).to_be_visible()
        expect_idle(page)
        yield visit


def go(page: Page, step: str) -> None:
    """Open one step by its name in the drawn block."""
    page.locator(".flow button").filter(has_text=step).first.click()
    expect(page.locator(".flow [aria-current=step]")).to_contain_text(step)


def number(page: Page, mark: str) -> float:
    """Return the last number of the equation that stands for something: the result."""
    text = page.locator(f".words [data-mark='{mark}'] .number").last.text_content() or ""
    return read(text)


def read(text: str) -> float:
    """Return a number as the page writes it."""
    return float(text.replace("−", "-"))


def shown(
    page: Page, opened: Callable[[str], tuple[GateRecord, Excitation]]
) -> tuple[GateRecord, Excitation, int]:
    """Return what the library says of the block and channel that the page shows."""
    caption = page.get_by_test_id("stCaptionContainer").filter(has_text="The arithmetic shown")
    return (
        *opened(caption.locator("code").inner_text()),
        int(page.get_by_role("spinbutton").input_value()),
    )


def test_the_block_is_drawn_as_the_paper_draws_it(microscope: Visit):
    """From U over squeeze, two layers, two functions and the scaling to what goes on."""
    assert microscope.page.locator(".flow .name").all_text_contents() == list(WORDS)


def test_the_equations_hold_the_librarys_numbers(microscope: Visit, opened: Callable):
    """Each step's result as `open_gate` gives it for the same file, to the four digits that are
    shown.
    """
    page = microscope.page
    record, excitation, channel = shown(page, opened)
    unit = int(excitation.terms(channel)[0][0])
    expected = (
        ("Squeeze", f"z{channel}", record.squeeze[0, channel]),
        ("FC · W₁", f"h{unit}", excitation.before[unit]),
        ("ReLU", f"h{unit}", excitation.hidden[unit]),
        ("FC · W₂", "logit", excitation.logit[channel]),
        ("Sigmoid", "gate", record.gate[0, channel]),
        ("Scale", "gate", record.gate[0, channel]),
    )
    for step, mark, value in expected:
        go(page, step)
        # Half a digit in the fourth place; gates near 0 are shown with two digits.
        assert number(page, mark) == pytest.approx(
            value.item(), rel=6e-4 if abs(value) > 1e-3 else 0.06
        ), step


def test_bars_of_the_logit_are_the_largest_terms(microscope: Visit, opened: Callable):
    """The first bars are the largest terms, largest first; the rest is one bar, and the last is
    the logit.
    """
    page = microscope.page
    _, excitation, channel = shown(page, opened)
    go(page, "FC · W₂")
    units, values = excitation.terms(channel)
    for unit, value in zip(units[:10].tolist(), values[:10].tolist(), strict=True):
        text = page.locator(f".picture text[data-mark='h{unit}']").last.text_content() or ""
        # As many digits as the logit needs, whose last one may be off by half.
        digits = len(text.partition(".")[2])
        assert read(text) == pytest.approx(value, abs=0.51 * 10**-digits)
    assert (
        page.locator(".picture text[data-mark=rest]").first.text_content()
        == f"{len(units) - 10} more"
    )


@pytest.mark.parametrize(("step", "terms"), [("FC · W₁", 12), ("FC · W₂", 5)])
def test_the_terms_that_are_shown_add_up_to_the_number_that_is_shown(
    microscope: Visit, step: str, terms: int
):
    """The largest ones, all others in one, and the bias: a reader adds them up digit by digit."""
    page = microscope.page
    go(page, step)
    shown = page.locator(".words .sum > [data-mark]:not(.whole)")
    expect(shown).to_have_count(terms)
    names = shown.locator("small").all_text_contents()
    assert re.fullmatch(r"\d+ more", names[-2])
    assert names[-1] == "bias"
    values = [read(text) for text in shown.locator(".number").all_text_contents()]
    total = read(page.locator(".words .sum .whole .number").text_content() or "")
    assert sum(values) == pytest.approx(total, abs=1e-9)


def test_bars_of_the_logit_add_up_to_the_logit(microscope: Visit):
    """Thirteen rows of one figure: the last one is the sum of all above it."""
    page = microscope.page
    go(page, "FC · W₂")
    texts = page.locator(".picture text").all_text_contents()
    values = [read(text) for text in texts if re.fullmatch(r"[+−]\d+\.\d+", text)]
    assert len(values) == 13
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=1e-9)


def test_gates_are_counted_that_no_softmax_would_allow(microscope: Visit, opened: Callable):
    """Of shares of one whole at most one can be above a half; gates are no shares."""
    page = microscope.page
    record, _, _ = shown(page, opened)
    gates = record.gate[0]
    go(page, "Sigmoid")
    expect(page.locator(".words p")).to_contain_text(
        f"{int((gates > 0.5).sum())} of {len(gates)} gates are above 0.5 at once; a softmax would "
        "allow at most one."
    )


def test_formulas_have_the_fonts_of_streamlits_own(microscope: Visit):
    """A browser without a mathematics font sets MathML's indices in one line with the letters."""
    page = microscope.page
    go(page, "Scale")
    expect(page.locator(".words math")).to_have_count(0)
    for text, font in ((".words .maths b", "KaTeX_Main"), (".words .maths i", "KaTeX_Math")):
        assert font in page.locator(text).first.evaluate(
            "part => getComputedStyle(part).fontFamily"
        )
        loaded = "font => document.fonts.load(`20px ${font}`).then(faces => faces.length)"
        assert page.evaluate(loaded, font)
    letter, index = (box(page.locator(f".words .letter{part}").first) for part in ("", " sub"))
    assert index["y"] + index["height"] / 2 > letter["y"] + letter["height"] / 2


def test_keys_step_and_space_plays_and_pauses(microscope: Visit):
    """A lecturer's hands are on the keyboard: arrows step, space plays from there, and space again
    holds it.
    """
    page = microscope.page
    go(page, "U")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".flow [aria-current=step]")).to_contain_text("Squeeze")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".controls .where")).to_have_text("Step 1 of 7")
    page.locator(".microscope").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    # By itself, after some seconds.
    expect(page.locator(".controls .where")).to_have_text("Step 2 of 7")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_pointing_at_a_number_marks_its_bar(microscope: Visit):
    """A term of the equation and its bar are one thing in two places."""
    page = microscope.page
    go(page, "FC · W₂")
    term = page.locator(".words [data-mark^=h]").nth(1)
    mark = term.get_attribute("data-mark")
    term.hover()
    expect(page.locator(f".picture rect[data-mark={mark}]")).to_have_class(re.compile("lit"))
    expect(page.locator(".note")).to_contain_text(f"Hidden unit {(mark or '')[1:]}: ")


def test_a_click_on_a_squeeze_opens_its_channel_and_keeps_the_step(microscope: Visit):
    """Following who turned whom up must not send a reader back to the start."""
    page = microscope.page
    go(page, "Squeeze")
    place = box(page.locator(".picture .target").last)
    page.mouse.move(place["x"] + 0.25 * place["width"], place["y"] + 20)
    expect(page.locator(".note")).to_contain_text("Click the bar to open it.")
    pointed = re.search(r"Channel (\d+): z = ", page.locator(".note").inner_text())
    assert pointed
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("spinbutton")).to_have_value(pointed[1])
    expect(page.locator(".controls .where")).to_have_text("Step 2 of 7")


def test_a_lecture_sees_all_of_a_step_at_once(visit: Callable[..., Visit]):
    """A projector has 720 lines: steps, Play, picture and words stand there without scrolling, the
    controls first; full screen makes all of it larger, and the same key ends it.
    """
    page = visit(viewport={"width": 1280, "height": 720}).page
    choose_sample(page, "Cat")
    go_to(page, "Open a gate")
    expect(page.locator(".flow")).to_be_visible()
    expect_idle(page)
    for step in WORDS[:-1]:
        go(page, step)
        for part in (".flow", ".picture svg", ".words", ".controls"):
            place = box(page.locator(part).first)
            assert place["y"] >= 0, (step, part)
            assert place["y"] + place["height"] <= 720, (step, part)
    assert box(page.locator(".controls"))["y"] < box(page.locator(".picture"))["y"]
    before = box(page.locator(".picture svg"))
    page.locator(".controls").get_by_role("button", name="Full screen").click()
    expect(page.locator(".microscope:fullscreen")).to_be_visible()
    larger = re.compile(r"zoom: 1\.[23]")
    expect(page.locator(".microscope")).to_have_attribute("style", larger)
    assert box(page.locator(".picture svg"))["height"] > 1.2 * before["height"]
    page.locator(".microscope").press("f")
    expect(page.locator(".microscope:fullscreen")).to_have_count(0)
    expect(page.locator(".microscope")).not_to_have_attribute("style", larger)
    assert box(page.locator(".picture svg"))["height"] == before["height"]
