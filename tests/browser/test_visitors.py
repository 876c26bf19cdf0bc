"""Visits without a browser, as the benchmark of many people makes them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from benchmarks.paint import make_photo
from benchmarks.visitor import visit

pytestmark = pytest.mark.browser


def test_many_visits_at_once_all_get_their_gates(address: str):
    """What the benchmark times has to be an answer; a visitor raises where the app shows an
    exception instead.
    """
    with ExitStack() as tabs, ThreadPoolExecutor(4) as pool:
        visitors = [tabs.enter_context(visit(address)) for _ in range(4)]
        for turn in range(2):
            photos = [make_photo((96, 96), 4 * turn + one) for one in range(4)]
            waits = [
                pool.submit(visitor.show, photo)
                for visitor, photo in zip(visitors, photos, strict=True)
            ]
            assert all(wait.result() > 0 for wait in waits)
