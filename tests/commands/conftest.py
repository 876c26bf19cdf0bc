"""Commands as a terminal runs them."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """Let Ctrl-C reach Python: a suite that runs in the background has been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
