"""A run ends where nobody waits for its answer; what a device has no room for is said in one
sentence.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torch import nn

from se_viz.devices import choice as runtime
from se_viz.networks import NetworkCard, checkpoints
from se_viz.networks.weights import save_checkpoint
from se_viz.ui.asking import analysis as cached
from se_viz.ui.asking.engine import get_engine
from tests.support.pages import choices, get_network

pytestmark = pytest.mark.slow

PATIENCE = 300.0


@pytest.fixture(autouse=True)
def bundled(
    monkeypatch: pytest.MonkeyPatch, network_folder: Path, se_net: nn.Module, card: NetworkCard
) -> None:
    """The app finds two small networks, and nothing that another test has cached."""
    save_checkpoint(se_net, replace(card, name="other"), network_folder)
    monkeypatch.setattr(checkpoints, "FOLDER", network_folder)
    st.cache_data.clear()
    st.cache_resource.clear()


def test_what_comes_after_the_wait_stands_on_the_page():
    """The words of a wait are taken off where they were put: fragments and columns need a page to
    stand on.
    """

    def script() -> None:
        import streamlit as st

        from se_viz.ui.session.spinner import waiting

        with waiting("Computing…") as watch:
            watch(0)

        @st.fragment
        def explain() -> None:
            st.write("explained")

        explain()

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert [text.value for text in page.markdown] == ["explained"]


def test_a_newer_choice_in_a_fragment_ends_the_older_one():
    """First in the page's run, which goes on without it; then in the fragment's own, which starts
    anew.
    """

    def script() -> None:
        import streamlit as st
        from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
        from streamlit.runtime.scriptrunner_utils.script_run_context import (
            ThreadState,
            get_script_run_ctx,
        )

        from se_viz.errors import OvertakenError
        from se_viz.ui.session.spinner import waiting

        log = st.session_state.setdefault("log", [])

        def choose_again() -> None:
            ctx = get_script_run_ctx()
            assert ctx is not None
            assert ctx.script_requests is not None
            ctx.script_requests.request_rerun(RerunData(fragment_id=ThreadState.get().fragment_id))

        @st.fragment
        def explain() -> None:
            log.append("asked")
            if log.count("asked") < 3:
                choose_again()
            try:
                with waiting("Computing…", slow=True) as watch:
                    watch(0)
                log.append("computed")
            except OvertakenError as problem:
                log.append(str(problem))

        explain()
        log.append("page done")

    session = AppTest.from_function(script, default_timeout=300).run()
    assert not session.exception
    overtaken = "The selection has changed: the new result comes next. Wait a moment."
    assert session.session_state["log"] == [
        "asked",
        overtaken,
        "page done",
        "asked",
        "asked",
        "computed",
    ]


@pytest.mark.parametrize(
    ("request_", "expected"), [("stop", ["asked"]), ("rerun", ["asked", "asked", "computed"])]
)
def test_a_run_ends_for_a_closed_tab_and_for_a_newer_run(request_: str, expected: list[str]):
    """Streamlit only asks a run to end, and the run looks nowhere while it waits: so the watch
    looks.
    """

    def script(request: str) -> None:
        import streamlit as st
        from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
        from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

        from se_viz.ui.session.spinner import waiting

        log = st.session_state.setdefault("log", [])
        ctx = get_script_run_ctx()
        assert ctx is not None
        assert ctx.script_requests is not None
        with waiting("Looking…") as watch:
            log.append("asked")
            if log == ["asked"]:
                if request == "stop":
                    ctx.script_requests.request_stop()
                else:
                    ctx.script_requests.request_rerun(RerunData())
            watch(0)
            log.append("computed")

    session = AppTest.from_function(script, args=(request_,), default_timeout=300).run()
    assert not session.exception
    assert session.session_state["log"] == expected


def test_past_the_bound_the_page_says_how_many_wait(monkeypatch: pytest.MonkeyPatch):
    """A pass runs, one waits, and there is room for one: the third reads one sentence and no
    traceback.
    """
    monkeypatch.setattr(runtime, "_lines", {})
    monkeypatch.setenv("SE_VIZ_WAITING", "1")

    def script() -> None:
        from PIL import Image

        from se_viz.ui.asking.analysis import get_analysis
        from tests.support.pages import choices

        get_analysis(choices(Image.new("RGB", (64, 64))))

    line = runtime.line_of(torch.device("cpu"))
    stands = threading.Event()

    def stand_in_line() -> None:
        with line.turn(lambda _: stands.set()):
            pass

    with ThreadPoolExecutor(1) as pool, line.turn():
        pool.submit(stand_in_line)
        assert stands.wait(PATIENCE)
        session = AppTest.from_function(script, default_timeout=300).run()
    assert not session.exception
    expected = "1 passes wait for cpu already, as many as it has places for. Try again in a minute."
    assert [error.value for error in session.error] == [expected]


def test_the_longest_unused_network_makes_room(monkeypatch: pytest.MonkeyPatch):
    """Open pages still hold it: what is moved out has to give its memory back all the same, and
    load again.
    """
    monkeypatch.setenv("SE_VIZ_NETWORKS", "1")
    held = get_network("tiny")
    weights = [value.clone() for value in held.model.parameters()]
    get_network("other")
    assert get_engine().peek("tiny", "cpu") is None
    assert {value.device.type for value in held.model.parameters()} == {"meta"}
    again = get_network("tiny")
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.model.parameters(), weights, strict=True)
    )
    assert len(cached.get_analysis(choices(Image.new("RGB", (64, 64), "teal"))).records) == 16


def test_the_footer_says_what_runs_where():
    """Before the first image there is only a device; afterwards all four facts, in one quiet
    line.
    """

    def script() -> None:
        from PIL import Image

        from se_viz.ui.asking.analysis import get_analysis
        from se_viz.ui.frame.footer import show_footer
        from tests.support.pages import choices

        show_footer()
        get_analysis(choices(Image.new("RGB", (64, 64), "teal")))
        show_footer()

    page = AppTest.from_function(script, default_timeout=300)
    page.session_state["network"] = "tiny"
    page.session_state["device"] = "cpu"
    before, after = (caption.value.split(" · ") for caption in page.run().caption)
    assert not page.exception
    reason = runtime.choose_device("cpu").reason.rstrip(".")
    assert before[0] == after[0] == reason
    assert "float32" not in before
    assert after[1] == "float32"
    assert [fact.rstrip("0123456789. msGiB") for fact in after[2:]] == ["last step", "peak memory"]


def test_a_device_that_is_gone_is_said_in_the_footer():
    """A shared link may name another machine's device: the page must not end in a traceback
    below.
    """

    def script() -> None:
        from se_viz.ui.frame.footer import show_footer

        show_footer()

    page = AppTest.from_function(script, default_timeout=300)
    page.session_state["device"] = "cuda:99"
    assert [caption.value for caption in page.run().caption] == [
        "There is no device 'cuda:99' on this machine. Choose one of: "
        f"{', '.join(runtime.available_devices())}."
    ]


def test_what_comes_after_waiting_stands_where_it_would_without():
    """The spinner's place is closed where it was opened: the page's own containers stay open, and
    fragments start.
    """

    def script() -> None:
        import streamlit as st

        from se_viz.ui.session.spinner import waiting

        @st.fragment
        def explain() -> None:
            st.text("explained")

        with st.sidebar:
            with waiting("Looking…") as watch:
                watch(1)
                watch(0)
            st.text("beside")
        with waiting("Looking…") as watch:
            watch(0)
        explain()

    app = AppTest.from_function(script).run()
    assert not app.exception
    assert [text.value for text in app.sidebar.text] == ["beside"]
    assert [text.value for text in app.main.text] == ["explained"]
