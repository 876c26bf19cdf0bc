"""A small hub on loopback: it answers torch hub's and Hugging Face's own clients, well or badly as
told.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What the hub serves, how it fails, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Hash that is promised for a path, where it is not the right one."""
    codes: dict[str, int] = field(default_factory=dict)
    """Status that a path is answered with instead."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off; used up one by one."""
    silence: threading.Event | None = None
    """Set by a test: an answer waits for it before the first byte of its body."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of every question."""

    def serve_file(self, name: str, content: bytes, *, digest: str | None = None) -> str:
        """Serve a file in torch hub's way, with the first digits of its hash in its name; return
        its address.
        """
        path = f"/{name}-{(digest or hashlib.sha256(content).hexdigest())[:8]}.pth"
        self.files[path] = content
        return self.address + path

    def serve_repository(
        self, repository: str, content: bytes, *, name: str = "model.safetensors"
    ) -> str:
        """Serve a file of a repository in the hub's way; return the path it is asked by."""
        path = f"/{repository}/resolve/main/{name}"
        self.files[path] = content
        return path


@contextmanager
def run_hub() -> Iterator[Hub]:
    """Run a hub on a free port of 127.0.0.1 until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked is in the hub's list."""

    def _answer(self, *, body: bool) -> None:
        span = self.headers.get("Range", "")
        self.hub.requests.append((self.command, self.path, span))
        content = self.hub.files.get(self.path)
        code = self.hub.codes.get(self.path, 200 if content is not None else 404)
        if content is None or code != 200:
            self.send_response(code)
            if code == 404:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        match = re.fullmatch(r"bytes=(\d+)-", span)
        start = int(match.group(1)) if match else 0
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        digest = self.hub.hashes.get(self.path, hashlib.sha256(content).hexdigest())
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            self._send(content[start:])

    def _send(self, content: bytes) -> None:
        if self.hub.silence:
            self.hub.silence.wait(30)
        cut = self.hub.cuts.pop(0) if self.hub.cuts else len(content)
        # Some tests are about clients that go away.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content[:cut])
        self.close_connection = True
