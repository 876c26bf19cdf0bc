"""Pages about gates before a network without SE blocks: one sentence, as before a network that does
not load.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from se_viz.ui.asking.engine import get_engine
from tests.support.pages import chosen, noise, session
from tests.support.plain import write_plain

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(autouse=True)
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder whose list names networks without SE blocks."""
    monkeypatch.chdir(tmp_path)
    write_plain(tmp_path)
    yield
    get_engine().drop("resnet")


@pytest.mark.parametrize(
    "page", ["explore", "microscope", "surgery", "counterfactuals", "attribution"]
)
def test_a_page_about_gates_says_that_there_are_none(page: str):
    """The network is loaded, and would be shown without anything to see."""
    test = session(f"{page}.py", image=chosen(noise()), network="resnet").run()
    assert not test.exception
    (error,) = (error.value for error in test.error)
    assert error.startswith("ResNet has no squeeze-and-excitation block that se_viz knows")
    assert "Choose a network with SE blocks." in error


def test_the_guide_names_no_ratio_of_it():
    """It says what the paper has, and of a network without blocks nothing."""
    test = session("guide.py", network="resnet").run()
    assert not test.exception
    assert not any("Plain ResNet" in text.value for text in test.markdown)


def test_the_networks_page_says_what_is_inside():
    """The same sentence in place of a table of blocks."""
    state = {"network-search": "resnet", "network-inside": True}
    test = session("networks.py", network="resnet", **state).run()
    assert not test.exception
    assert [error.value.partition(" that")[0] for error in test.error] == [
        "ResNet has no squeeze-and-excitation block"
    ]
