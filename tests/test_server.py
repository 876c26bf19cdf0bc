"""The running server: whom it answers, and how it ends."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import ROOT, _answers, _end, _free_port

pytestmark = pytest.mark.slow

NAMES = ("--server.allowedHosts", "localhost", "--server.allowedHosts", "se.example.org")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """Run the app on a free port, by two names; what it prints is in ``log``."""
    port = _free_port()
    options = ["--port", str(port), "--address", "127.0.0.1", "--server.headless", "true", *NAMES]
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "se_viz", "app", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        assert _answers(process, f"http://127.0.0.1:{port}", 180.0)
        yield process, port
    finally:
        _end(process)


def answer(port: int, host: str, origin: str) -> int:
    """Ask for the connection that runs the app, as a browser does from a page at ``origin``;
    return the status.
    """
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        f"Origin: {origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: c2VfdmlzIGlzIGhlcmUhIQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: streamlit",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(200).split()[1])


def test_strangers_pages_cannot_reach_the_app(server: tuple[subprocess.Popen, int]):
    """Neither one that points its own name to this machine (DNS rebinding), nor one that calls
    across sites.
    """
    _, port = server
    assert answer(port, f"localhost:{port}", f"http://localhost:{port}") == 101
    assert answer(port, f"evil.example:{port}", f"http://evil.example:{port}") == 403
    assert answer(port, f"localhost:{port}", "http://evil.example") == 403


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_cleanly(
    server: tuple[subprocess.Popen, int], tmp_path: Path, end: signal.Signals
):
    """A service manager sends TERM, a terminal INT: neither is an error, and neither prints a
    traceback.
    """
    process, _ = server
    process.send_signal(end)
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
