"""What is said of long work before it starts."""

import threading
from concurrent.futures import ThreadPoolExecutor

from se_viz.devices.line import Line
from se_viz.engine import Load
from se_viz.ui.asking.bar import describe_load

PATIENCE = 300.0


def test_who_waits_makes_long_work_longer():
    """One runs and two wait: each slice of a fourth then comes after three others', at the
    worst.
    """
    line = Line("cpu", bound=9)
    stand = [threading.Event(), threading.Event()]

    def describe() -> str:
        return describe_load(Load(line.name, line.waiting, line.step))

    def wait(event: threading.Event) -> None:
        with line.turn(lambda _: event.set()):
            pass

    with ThreadPoolExecutor(2) as pool:
        with line.turn():
            assert describe() == ""
            others = [pool.submit(wait, event) for event in stand]
            assert all(event.wait(PATIENCE) for event in stand)
            assert describe() == (" 3 other users share cpu now; expect up to 4 times as long.")
        for other in others:
            other.result(PATIENCE)
    assert describe() == ""
