import socket
import sys
import tomllib

import pytest

from se_viz.__main__ import main
from se_viz.commands.app import FOLDER, STREAMLIT, streamlit_words
from se_viz.commands.arguments import parse
from tests import ROOT


def test_the_checkout_serves_its_own_pages():
    """Nobody who changes a page wants to see an installed copy."""
    assert FOLDER == ROOT


def test_options_with_a_dot_go_to_streamlit():
    """An operator sets what Streamlit can do without waiting for an option of ours."""
    hosts = ["--server.allowedHosts", "localhost", "--server.allowedHosts", "se.example.org"]
    streamlit_arguments = streamlit_words(
        parse(["app", "--port", "8600", *hosts, "--server.headless=true"])
    )
    assert streamlit_arguments == [
        "run",
        str(ROOT / "app.py"),
        "--server.port",
        "8600",
        *hosts,
        "--server.headless=true",
    ]


def test_streamlits_spelling_of_port_and_address_is_ours():
    """The README of a proxy or an older script may use it, and a port given in both spellings is
    given twice.
    """
    ours = streamlit_words(parse(["app", "--port", "8600", "--address", "localhost"]))
    assert (
        streamlit_words(parse(["app", "--server.port", "8600", "--server.address", "localhost"]))
        == ours
    )


def test_nothing_is_said_to_streamlit_that_nobody_asked_for():
    """Without a port Streamlit looks for a free one, which it does not once a port is named."""
    assert streamlit_words(parse(["app"])) == ["run", str(ROOT / "app.py")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "0"], "'0' is no port: give a whole number from 1 to 65535"),
        (["--port", "65536"], "'65536' is no port"),
        (["--port", "8600", "--server.port", "8601"], "it is given twice. Give it once."),
        (["--prot", "8600"], "unrecognized arguments: --prot 8600"),
        (["photo.jpg"], "unrecognized arguments: photo.jpg"),
    ],
)
def test_wrong_words_end_before_a_server_starts(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    """What is neither ours nor spelled as Streamlit's options are is a slip of the pen."""
    with pytest.raises(SystemExit, match="2"):
        main(["app", *words])
    assert message in capsys.readouterr().err


def test_options_with_a_dot_are_the_apps_alone(capsys: pytest.CaptureFixture[str]):
    """No other command starts a server, and an option that nobody reads is refused."""
    with pytest.raises(SystemExit, match="2"):
        main(["networks", "--server.headless", "true"])
    assert "unrecognized arguments: --server.headless" in capsys.readouterr().err


def test_an_option_that_streamlit_lacks_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
):
    """Streamlit knows what it takes, and its word for it comes without a usage of another
    program.
    """
    assert main(["app", "--server.prot", "8600"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No such option '--server.prot'" in line
    assert line.endswith("`streamlit run --help` lists what it takes.")


@pytest.mark.parametrize("address", [[], ["--address", "127.0.0.1"], ["--address", "localhost"]])
def test_a_port_in_use_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], address: list[str]
):
    """The most common slip of all: the app of yesterday still runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["app", "--port", str(port), *address]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"Port {port} is in use already" in line
    assert "leave --port out" in line


def test_an_address_of_another_machine_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    """192.0.2.0/24 is nobody's (RFC 5737), so this machine cannot listen there."""
    assert main(["app", "--address", "192.0.2.1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "192.0.2.1: it has to be an address of this machine" in line


def test_a_port_of_the_system_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Below 1024 only some users may listen; the tests may run as one of them, so the system's
    answer is given.
    """

    def refuse(*place: object, **options: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert main(["app", "--port", "80"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Port 80" in line
    assert "Name one of 1024 to 65535." in line


def test_without_streamlit_the_step_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Who installed the library without its dependencies is told what to install, and where."""
    # As Python notes a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.delitem(sys.modules, "streamlit.web", raising=False)
    assert main(["app"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no module streamlit" in line
    assert line.endswith(f"Install it: {sys.executable} -m pip install '{STREAMLIT}'")


def test_the_streamlit_that_is_named_is_the_one_that_is_needed():
    """The sentence cannot read `pyproject.toml`, which an installed package does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert STREAMLIT in project["dependencies"]
