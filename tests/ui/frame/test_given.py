"""Networks of whoever runs the app: theirs are offered, and nothing that a browser sends is run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.errors import NetworkError
from se_viz.networks import given
from se_viz.networks.sources import make_source, source_to_json
from se_viz.ui.asking import get_engine
from tests.support.own_code import NET, write_net
from tests.support.pages import chosen, noise

pytestmark = [pytest.mark.usefixtures("bundled"), pytest.mark.slow]

MARK = "open('ran', 'w').close()\n\n" + NET


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code that leaves a file behind when it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    write_net(tmp_path, text=MARK)
    path = [*sys.path]
    yield tmp_path
    sys.path[:] = path


@pytest.fixture
def page() -> AppTest:
    """Return the sidebar's choice and the first page, in a session with a photo."""

    def script() -> None:
        from pathlib import Path
        from runpy import run_path

        from se_viz.ui.frame import network_choice
        from se_viz.ui.frame.sidebar import show_link_problems
        from se_viz.ui.session import begin_address, take_link

        take_link()
        begin_address("explore")
        network_choice.show_network_choice(loads=True)
        run_path(str(Path(network_choice.__file__).parents[3] / "pages" / "explore.py"))
        show_link_problems()

    page = AppTest.from_function(script, default_timeout=300)
    page.session_state["image"] = chosen(noise())
    return page


def offer(monkeypatch: pytest.MonkeyPatch, make: str, **details: Any) -> None:
    """Name a network as `se_viz app --network` does."""
    monkeypatch.setenv(given.NETWORK, source_to_json(make_source(make, **details)))


def test_the_network_of_the_command_line_is_first_and_chosen(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """Whoever starts the app with their network sees it at work; no path of theirs is shown."""
    offer(monkeypatch, "net.py:make", input=(3, 48, 48))
    assert not page.run().exception
    assert not page.error
    assert page.selectbox(key="network").options == ["net.py:make", "A tiny SE-ResNet-50"]
    assert page.session_state["network"] == "net.make"
    assert next(bar.proto.text for bar in page.get("progress")).startswith("class ")
    assert str(Path.cwd()) not in "".join(str(element.proto) for element in page.main)


def test_code_that_fails_is_one_sentence_and_the_app_goes_on(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """No traceback on a page, and another network is a click away."""
    offer(monkeypatch, "net.py:broken")
    assert not page.run().exception
    assert [error.value for error in page.error] == [
        "net.py\\:broken failed: ValueError: the weights are lost (net.py:34). Correct it there, "
        "and try again."
    ]
    assert not page.selectbox(key="network").set_value("tiny").run().exception
    assert not page.error
    assert len(page.get("progress")) == 5


def test_a_list_beside_the_app_is_offered_and_loaded_when_it_is_chosen(page: AppTest):
    """A network that fails is told on its page; the others go on."""
    Path("se_viz.toml").write_text(
        '[networks.fine]\nmake = "net.py:make"\ninput = 48\n[networks.bad]\nmake = "none.py:make"\n'
    )
    assert not page.run().exception
    assert page.selectbox(key="network").options[:2] == ["net.py:make", "none.py:make"]
    assert page.session_state["network"] == "fine"
    assert not page.selectbox(key="network").set_value("bad").run().exception
    assert [error.value for error in page.error] == [
        "none.py cannot be read: No such file or directory. Check the name."
    ]
    page.query_params["network"] = "fine"
    assert not page.selectbox(key="network").set_value("fine").run().error


def test_a_link_may_name_a_network_that_is_listed(page: AppTest):
    """It goes by the name alone, which only whoever runs the app can give to code."""
    Path("se_viz.toml").write_text(
        '[networks.one]\nmake = "net.py:make"\n\n[networks.two]\nmake = "net.py:make"\ninput = 48\n'
    )
    page.query_params["network"] = "two"
    assert not page.run().exception
    assert page.session_state["network"] == "two"


ATTACKS = (
    "os:system",
    "net.py:make",
    "net:make",
    "net.make",
    "../net.py:make",
    "net.onnx",
    "net.py",
)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_address_names_no_code(page: AppTest, name: str):
    """`?network=os:system` is what anybody can send: it is looked up in the list, and refused."""
    page.query_params["network"] = name
    assert not page.run().exception
    (problem,) = [warning.value for warning in page.warning]
    assert "which does not exist here" in problem
    assert page.session_state["network"] == "tiny"
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_session_that_holds_a_name_of_code_runs_none(page: AppTest, name: str):
    """Whatever a widget is sent: only what the list holds is chosen."""
    page.session_state["network"] = name
    assert not page.run().exception
    assert page.session_state["network"] == "tiny"
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_engine_runs_no_name(name: str):
    """The last door: pages, bundles and whatever asks the engine have only names to give."""
    with pytest.raises(NetworkError, match="There is no network"):
        get_engine().view(name, "cpu")
    assert not Path("ran").exists()
