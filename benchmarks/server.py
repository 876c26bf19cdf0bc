"""The app as its own process on a loopback port, and the Chromium that visits it.

Browser tests use both.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parent.parent
"""Where ``app.py`` lies."""
SE_VIZ_APP = (sys.executable, "-m", "se_viz", "app")
"""The app of the folder that it is run in."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Server:
    """A running app."""

    url: str
    """Where a browser finds it."""
    pid: int
    """Its process."""


@contextmanager
def run_app(
    *, command: Sequence[str] = SE_VIZ_APP, folder: Path = ROOT, patience: float = 180.0
) -> Iterator[Server]:
    """Start the app on a free port, wait until it answers, and end it afterwards.

    ``command`` is run in ``folder``, which may be another checkout; ``streamlit_run`` gives one for
    another script. ``patience`` is in seconds. The process inherits the environment,
    ``OMP_NUM_THREADS`` included.

    Raises:
        RuntimeError: it ended, or did not answer in time; the message holds what it printed last.
    """
    port = _free_port()
    options = [
        "--server.port",
        str(port),
        "--server.address",
        "127.0.0.1",
        "--server.headless",
        "true",
    ]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not _answers(process, url, patience):
                log.seek(0)
                raise RuntimeError(
                    f"The app did not answer at {url}. It printed last:\n{log.read()[-2000:]}"
                )
            yield Server(url, process.pid)
        finally:
            _end(process)


def streamlit_run(script: str) -> tuple[str, ...]:
    """Return the command that serves a script without se_viz: a page to compare with, or an older
    checkout.
    """
    return sys.executable, "-m", "streamlit", "run", script


def launch_chromium(playwright: Playwright, *options: str) -> Browser:
    """Launch the machine's Chromium, or Playwright's own where there is none, with options of its
    command line.
    """
    return playwright.chromium.launch(
        executable_path=next(filter(None, map(shutil.which, _BROWSERS)), None), args=options
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(process: subprocess.Popen, url: str, patience: float) -> bool:
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        try:
            with _DIRECT.open(f"{url}/_stcore/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    return False
