"""Networks that sessions brought: bounded for each and for all, and gone with the last that held
them.
"""

import pytest

from se_viz.devices import holdings
from se_viz.devices.holdings import Holdings
from se_viz.errors import BusyError


@pytest.fixture
def dropped() -> list[str]:
    return []


@pytest.fixture
def networks(dropped: list[str]) -> Holdings:
    return Holdings(dropped.append)


def test_a_session_holds_so_many_and_no_more(networks: Holdings):
    """One visitor must not fill the disk; what it holds already it may bring again."""
    for place in range(holdings.SESSION.networks):
        networks.check("me", f"own/{place}", 10**6)
        networks.hold("me", f"own/{place}", 10**6, 0.0)
    with pytest.raises(
        BusyError, match=r"^You hold 3 networks of 3 MB, and this one has 1 MB: .* Remove one"
    ):
        networks.check("me", "own/more", 10**6)
    networks.check("me", "own/0", 10**6)
    networks.check("you", "own/more", 10**6)


def test_bytes_count_as_well_as_networks(networks: Holdings):
    """Three of the largest would be three times a visitor's share."""
    networks.hold("me", "own/large", holdings.SESSION.size - 5, 0.0)
    networks.check("me", "own/small", 5)
    with pytest.raises(BusyError, match="one person may hold 3 and"):
        networks.check("me", "own/small", 6)


def test_all_together_hold_so_many(networks: Holdings):
    """Many visitors fill a disk as one does; one network that two brought counts once."""
    for place in range(holdings.SERVER.networks):
        networks.hold(f"session {place}", f"own/{place}", 1, 0.0)
    with pytest.raises(
        BusyError,
        match=r"hold 32 networks, as many as it has room for\. Wait until somebody leaves",
    ):
        networks.check("late", "own/new", 1)
    networks.check("late", "own/0", 1)


def test_what_a_session_held_goes_when_it_has_left(networks: Holdings, dropped: list[str]):
    """Not at once: a browser that loses its connection comes back to its session for two
    minutes.
    """
    networks.hold("me", "own/mine", 1, 0.0)
    networks.hold("you", "own/yours", 1, 0.0)
    assert networks.sweep(lambda session: session == "you", 100.0) == 2
    assert networks.holds("me", "own/mine")
    assert networks.sweep(lambda session: session == "you", 200.0) == 1
    assert dropped == ["own/mine"]
    assert networks.holds("you", "own/yours")


def test_a_session_that_comes_back_keeps_what_it_held(networks: Holdings, dropped: list[str]):
    """Its time away begins anew."""
    networks.hold("me", "own/mine", 1, 0.0)
    networks.sweep(lambda session: False, 140.0)
    networks.sweep(lambda session: True, 145.0)
    networks.sweep(lambda session: False, 290.0)
    assert dropped == []
    networks.sweep(lambda session: False, 300.0)
    assert dropped == ["own/mine"]


def test_a_network_of_two_sessions_goes_with_the_second(networks: Holdings, dropped: list[str]):
    """Two students with the teacher's file hold one network."""
    networks.hold("me", "own/ours", 1, 0.0)
    networks.hold("you", "own/ours", 1, 0.0)
    networks.give_up("me", "own/ours")
    networks.give_up("stranger", "own/ours")
    assert dropped == []
    networks.give_up("you", "own/ours")
    assert dropped == ["own/ours"]
    networks.give_up("you", "own/ours")
