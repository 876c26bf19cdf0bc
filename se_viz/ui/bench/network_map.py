"""The whole network on the page, a box a block; a click on one opens it."""

from collections.abc import Collection
from pathlib import Path

from streamlit.components.v2 import component

from se_viz.charts import lay_out_network
from se_viz.networks import NetworkCard
from se_viz.ui.asking import Choices
from se_viz.ui.session import keys

_HERE = Path(__file__).parent
_map = component(
    "se_viz_network_map",
    html='<div class="network-map" role="group" aria-label="The network from its input to its '
    'answer: a box a block"></div>',
    css=(_HERE / "network_map.css").read_text(encoding="utf-8"),
    js=(_HERE / "network_map.js").read_text(encoding="utf-8"),
)


def show_network_map(
    choices: Choices, *, chosen: Collection[str], bypassed: Collection[str], opened: str
) -> None:
    """Show where the network's SE blocks sit, and which of them a design changes."""
    data = lay_out_network(
        choices.network.inspection.sites,
        ends=describe_ends(choices.network.card),
        chosen=chosen,
        bypassed=bypassed,
        opened=opened,
    )
    _map(key=keys.BENCH_MAP, data=data, on_block_change=_open_clicked)


def describe_ends(card: NetworkCard) -> tuple[str, str]:
    """Say what goes into a network, and what comes out of it."""
    count = len(card.classes)
    kind = "classes" if card.shares else "numbers"
    answer = card.classes[0] if count == 1 else f"{count:,} {kind}"
    sides = " × ".join(map(str, card.shape[1:]))
    return f"Input\n{sides}", f"Answer\n{answer}"


def _open_clicked() -> None:
    keys.BLOCK.set(str(keys.value_of(keys.BENCH_MAP).block))
