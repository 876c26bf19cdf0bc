"""Teams are counted from outside, as threads that the kernel knows, in a process of their own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

COUNTS = """
import os, threading, torch
from se_viz.devices.teams import dismiss_team

def threads():
    return len(os.listdir("/proc/self/task"))

def work():
    print(threads())
    values = torch.arange(10**6, dtype=torch.float32)
    sums = {(values * 2).sum().item()}
    print(threads())
    dismiss_team()
    print(threads())
    sums.add((values * 2).sum().item())
    print(threads(), len(sums))

torch.set_num_threads(3)
worker = threading.Thread(target=work)
worker.start()
worker.join()
# A thread that has no team: nothing to end.
dismiss_team()
"""
"""Prints how many threads there are before, with a team of three, without it and with it again."""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_team_ends_and_comes_again_and_answers_alike():
    """One that stays idle halves the speed of all others; one that did not come again would halve
    its own.
    """
    process = subprocess.run(
        [sys.executable, "-c", COUNTS], check=True, capture_output=True, text=True
    )
    before, team, without, again, answers = map(int, process.stdout.split())
    assert (team - before, without - before, again - before) == (2, 0, 2)
    assert answers == 1
