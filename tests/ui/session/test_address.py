"""The address of a page, in scripts of a few lines: what a link sets, and what is refused."""

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.ui.session.keys import list_names


def script() -> None:
    """Offer a choice and a number, and write the address that follows."""
    import streamlit as st

    from se_viz.ui.session import (
        begin_address,
        keys,
        link_number,
        link_option,
        take_link,
        write_address,
    )

    take_link()
    begin_address("explore")
    link_option(keys.METHOD, ["saliency", "grad_cam"], "saliency")
    st.selectbox("Method", ["saliency", "grad_cam"], key=keys.METHOD)
    link_number(keys.OPACITY, low=0.0, high=1.0, default=0.8)
    st.slider("Opacity", 0.0, 1.0, 0.8, key=keys.OPACITY)
    st.text(write_address())
    for problem in keys.LINK_PROBLEMS.get():
        st.warning(problem)


def visit(**link: str) -> AppTest:
    """Open the script by a link."""
    page = AppTest.from_function(script)
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def test_without_a_link_all_is_as_usual_and_the_address_empty():
    """An address stays short: what everybody sees first is not in it."""
    page = visit()
    assert (page.selectbox[0].value, page.slider[0].value) == ("saliency", 0.8)
    assert page.text[0].value == ""
    assert not page.warning


def test_a_link_sets_widgets_and_comes_back():
    """What somebody sent is what somebody else sees, and can send on."""
    page = visit(method="grad_cam", opacity="0.25")
    assert (page.selectbox[0].value, page.slider[0].value) == ("grad_cam", 0.25)
    assert page.text[0].value == "method=grad_cam&opacity=0.25"
    assert not page.warning


def test_a_choice_after_the_link_stays():
    """A link opens a session; it does not hold it."""
    page = visit(method="grad_cam")
    page.selectbox[0].set_value("saliency").run()
    assert page.selectbox[0].value == "saliency"
    assert page.text[0].value == ""
    page.slider[0].set_value(0.5).run()
    assert page.text[0].value == "opacity=0.5"


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"method": "lime"}, "method “lime”"),
        ({"opacity": "2"}, "opacity “2”"),
        ({"opacity": "nan"}, "opacity “nan”"),
        ({"opacity": "1e999"}, "opacity “1e999”"),
        ({"opacity": "x" * 99}, f"opacity “{'x' * 40}…”"),
        ({"unheard": "of"}, "The link holds “unheard”"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_the_rest_is_used(link: dict[str, str], words: str):
    """Links are written by anybody, and grow old."""
    page = visit(**link)
    (warning,) = page.warning
    assert words in warning.value
    assert (page.selectbox[0].value, page.slider[0].value) == ("saliency", 0.8)
    assert page.text[0].value == ""


def test_a_link_that_is_too_long_is_left_out():
    """It is not of this app, whose longest stay far below."""
    page = visit(method="grad_cam", edits="x" * 5000)
    assert "longer than 4,000 characters" in page.warning[0].value
    assert page.selectbox[0].value == "saliency"


def test_parameters_of_streamlit_are_not_the_links():
    """An app that is embedded in another page has them in its address."""
    assert not visit(embed="true", embed_options="dark_theme").warning


def test_every_name_is_one_of_the_session():
    """What is known of a link are names, and nothing else that the module holds."""
    names = list_names()
    assert {"method", "opacity", "block", "network-search"} <= set(names)
    assert all(type(name) is str and name for name in names)
