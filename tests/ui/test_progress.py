"""What is said of long work before it starts."""

import threading
from concurrent.futures import ThreadPoolExecutor

from se_viz.line import Line
from se_viz.ui.progress import describe_line

PATIENCE = 60.0


def test_who_waits_makes_long_work_longer():
    """One runs and two wait: each slice of a fourth then comes after three others', at the worst."""
    line = Line("cpu", bound=9)
    stand = [threading.Event(), threading.Event()]

    def wait(event: threading.Event) -> None:
        with line.turn(lambda _: event.set()):
            pass

    with ThreadPoolExecutor(2) as pool:
        with line.turn():
            assert describe_line(line) == ""
            others = [pool.submit(wait, event) for event in stand]
            assert all(event.wait(PATIENCE) for event in stand)
            assert describe_line(line) == (" 3 other users share cpu now; expect up to 4 times as long.")
        for other in others:
            other.result(PATIENCE)
    assert describe_line(line) == ""
