"""`app`: the pages in a browser, served by Streamlit until this process is told to end."""

import argparse
import errno
import os
import signal
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from se_viz.commands.checks import source_of
from se_viz.errors import OptionError
from se_viz.networks.config import CONFIG
from se_viz.networks.given import NETWORK
from se_viz.networks.sources import source_to_json

STREAMLIT = "streamlit>=1.67,<1.68"
"""What the pages need, as `pyproject.toml` says it."""
_PACKAGED = Path(__file__).parents[1] / "dashboard"
FOLDER = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2]
"""Where `app.py`, `pages/` and `.streamlit/` lie: in an installed package, or at the top of a
checkout."""


def app(arguments: argparse.Namespace) -> int:
    """Serve the pages, with the settings that lie beside `app.py`, whatever the working directory.

    Raises:
        OptionError: Streamlit is missing, refuses an option, or cannot listen where it should.
    """
    # Streamlit colours what it prints, and does its own part for pipes.
    with redirect_stdout(sys.__stdout__), redirect_stderr(sys.__stderr__):
        _serve(arguments)
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    try:
        import click
        from streamlit.web import cli
    except ModuleNotFoundError as error:
        raise OptionError(
            f"The app needs Streamlit, and {sys.executable} lacks it, or a part of it (no module "
            f"{error.name}). Install it: {sys.executable} -m pip install '{STREAMLIT}'"
        ) from error
    check_place(arguments.address, arguments.port)
    os.environ |= environment_of(arguments)
    _die_with_the_terminal()
    try:
        cli.main(streamlit_words(arguments), prog_name="streamlit", standalone_mode=False)
    except click.Abort as error:
        # What click makes of Ctrl-C while the server starts; later the server ends by itself.
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        raise OptionError(
            f"Streamlit refuses an option: {error.format_message().rstrip('.')}. `streamlit run "
            "--help` lists what it takes."
        ) from error


def _die_with_the_terminal() -> None:
    # TERM and Ctrl-C are the server's from its start on. Of a terminal that closes it knows
    # nothing, and an exception in the midst of its loop would be printed at length. Under `nohup`
    # the signal is ignored, and stays so.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def streamlit_words(arguments: argparse.Namespace) -> list[str]:
    """Return the words of Streamlit's command line.

    Not `bootstrap.run`: only the command reads the environment (``STREAMLIT_SERVER_PORT``, …) and
    the settings that lie beside a script.
    """
    words = ["run", str(FOLDER / "app.py")]
    if arguments.port is not None:
        words += ["--server.port", str(arguments.port)]
    if arguments.address is not None:
        words += ["--server.address", arguments.address]
    return words + arguments.streamlit_options


def environment_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what the pages read of the networks that were named: they are scripts of their own."""
    source = source_of(arguments)
    network = source_to_json(source) if source else arguments.network
    values = {NETWORK: network, CONFIG: arguments.config and str(arguments.config.absolute())}
    return {name: value for name, value in values.items() if value}


def check_place(address: str | None, port: int | None) -> None:
    """Listen for a moment where the server is to listen: on every address, unless one is named.

    Raises:
        OptionError: the address is not of this machine, or the port is taken or out of reach.
    """
    family = socket.AF_INET6 if ":" in (address or "") else socket.AF_INET
    try:
        socket.create_server((address or "", port or 0), family=family).close()
    except OSError as error:
        raise OptionError(_refusal(error, address, port)) from error


def _refusal(error: OSError, address: str | None, port: int | None) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is in use already, perhaps by an app that still runs. End that one, name "
            "another port, or leave --port out: the next free one from 8501 on is taken then."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} is not for every user of this machine. Name one of 1024 to 65535."
    return (
        f"The app cannot listen at {address or 'any address'}: it has to be an address of this "
        "machine. Use localhost to keep the app to this machine, or leave --address out to serve "
        "all who reach it."
    )
