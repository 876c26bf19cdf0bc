"""The parts of the page *Two networks*: the second one, both answers, gates, maps, what differs."""

from se_viz.ui.two_networks.answers import show_answers
from se_viz.ui.two_networks.gates import show_gates
from se_viz.ui.two_networks.maps import show_maps
from se_viz.ui.two_networks.members import pair_up
from se_viz.ui.two_networks.second import choose_second

__all__ = [
    "choose_second",
    "pair_up",
    "show_answers",
    "show_gates",
    "show_maps",
]
