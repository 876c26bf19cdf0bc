"""The parts of the Networks page: the table, one network with its download, its SE blocks, the
cache.
"""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from se_viz.errors import SeVizError
from se_viz.gates import Inspection
from se_viz.gates.tables import label_blocks
from se_viz.networks import NetworkCard, downloads, list_networks
from se_viz.networks.cache import cache_bytes, cache_folder, empty_cache
from se_viz.networks.libraries import has_library, require_library
from se_viz.networks.sources import GIVEN
from se_viz.networks.zoo import OWN, damaged_networks, is_on_disk, list_on_disk
from se_viz.ui.asking import get_engine
from se_viz.ui.frame import is_shown
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.networks.permissions import describe_refusal, may_download
from se_viz.ui.session import keys, note, take, use_network
from se_viz.ui.widgets import choose_option
from se_viz.ui.words import as_markdown, code, plain

_ROWS = 8
_NAMES = 430
"""Pixels that the longest name takes."""
_LONGEST = 80
"""Letters of a search."""
_FILTERS = {
    "all": "All",
    "disk": "On this disk",
    "torchvision": "torchvision",
    "timm": "timm",
}
_ADDED = "What the SE blocks add to the rest of the network"
_COLUMNS = {
    "name": st.column_config.TextColumn("Network", pinned=True, width=_NAMES),
    "here": st.column_config.TextColumn("On disk", alignment="center"),
    "parameters": st.column_config.NumberColumn("Params, M", format="%.1f"),
    "gflops": st.column_config.NumberColumn(
        "GFLOPs", format="%.2f", help="10⁹ multiply-adds for one image"
    ),
    "blocks": st.column_config.NumberColumn("SE blocks"),
    "se_parameters": st.column_config.NumberColumn("SE params", format="%.1f%%", help=_ADDED),
    "se_flops": st.column_config.NumberColumn("SE FLOPs", format="%.2f%%", help=_ADDED),
    "top1": st.column_config.NumberColumn(
        "Top-1", format="%.1f%%", help="Where the source states it"
    ),
    "size": st.column_config.NumberColumn(
        "Download, MB", format="%.0f", help="For timm about 4 bytes a parameter"
    ),
    "input": st.column_config.NumberColumn("Input, px"),
}


def choose_card() -> tuple[NetworkCard | None, DeltaGenerator]:
    """Let people search, sort and pick.

    Return the network picked, or the one in use, or None; and a place above the table, where what
    is told of it is in view.
    """
    try:
        cards = tuple(filter(is_shown, list_networks()))
        on_disk = {card.name for card in list_on_disk()}
    except SeVizError as error:
        st.error(as_markdown(error))
        return None, st.container()
    for name, reason in damaged_networks().items():
        # Plain text: the name of a file is a stranger's word.
        st.text(f"⚠ {name} is left out: {reason}")
    matches = _filtered(cards, on_disk)
    place = st.container()
    if not matches:
        st.info("No network fits. Try a shorter part of its name, or another library.")
    else:
        st.caption(
            f"{len(matches)} of {len(cards)} networks. Click a heading to sort, the box before a "
            "row to select it."
        )
        card = _pick(matches, on_disk)
        if card:
            return card, place
    return next((card for card in cards if card.name == keys.NETWORK.get()), None), place


def _filtered(cards: tuple[NetworkCard, ...], on_disk: set[str]) -> list[NetworkCard]:
    left, right = st.columns([3, 2])
    note(keys.NETWORK_SEARCH, lambda: keys.value_of(keys.NETWORK_SEARCH), "")
    if (linked := take(keys.NETWORK_SEARCH)) is not None:
        keys.set_value(keys.NETWORK_SEARCH, linked[:_LONGEST])
    words = (
        left.text_input(
            "Search",
            placeholder="seresnet, b0, in1k …",
            max_chars=_LONGEST,
            key=keys.NETWORK_SEARCH,
            persist_state="session",
        )
        .lower()
        .split()
    )
    with right:
        choice = choose_option("Show", _FILTERS, key=keys.NETWORK_FILTER)
    return [
        card
        for card in cards
        if all(word in f"{card.name} {card.title}".lower() for word in words)
        and (choice in ("all", card.library) or (choice == "disk" and card.name in on_disk))
    ]


def _pick(cards: list[NetworkCard], on_disk: set[str]) -> NetworkCard | None:
    table = pd.DataFrame([_row(card, on_disk) for card in cards])
    event = st.dataframe(
        table,
        column_config=_COLUMNS,
        hide_index=True,
        height="content" if len(cards) <= _ROWS else 36 * _ROWS,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        # Another list is another table: a row number must not point to another network than the one
        # picked.
        key=f"{keys.NETWORKS}-{hash(tuple(table['name']))}",
    )
    rows = event.selection.rows or ([0] if len(cards) == 1 else [])
    return cards[rows[0]] if rows else None


def _row(card: NetworkCard, on_disk: set[str]) -> dict[str, object]:
    return {
        "name": card.name,
        "here": "✓" if card.name in on_disk else "",
        "parameters": card.parameters / 1e6 if card.parameters else None,
        "gflops": card.gflops,
        "blocks": card.blocks,
        "se_parameters": _added(card.parameters, card.se_parameters),
        "se_flops": _added(card.gflops, card.se_gflops),
        "top1": None if card.top1 is None else 100 * card.top1,
        "size": card.download_bytes / 1e6 if card.source else None,
        "input": card.input_size,
    }


def _added(whole: int | float | None, part: int | float | None) -> float | None:
    return None if whole is None or part is None else 100 * part / (whole - part)


def show_details(card: NetworkCard) -> None:
    """Show what one network costs, where it comes from, and how to get or use it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(card.title), anchor=False, width="content")
        if card.name == keys.NETWORK.get():
            st.badge("In use on all pages", color="green")
    values = {
        "Parameters": _or_dash(card.parameters / 1e6 if card.parameters else None, "{:.1f} M"),
        "GFLOPs": _or_dash(card.gflops, "{:.2f}"),
        "SE blocks": _or_dash(card.blocks, "{}"),
        "SE adds parameters": _or_dash(_added(card.parameters, card.se_parameters), "{:.1f}%"),
        "SE adds FLOPs": _or_dash(_added(card.gflops, card.se_gflops), "{:.2f}%"),
        "Top-1": _or_dash(card.top1, "{:.1%}"),
    }
    with st.container(horizontal=True, gap="medium"):
        for label, value in values.items():
            words = explain("block", "squeeze", "excitation") if label == "SE blocks" else None
            st.metric(label, value, width="content", help=words)
    st.caption(
        f"{code(card.name)}: {plain(_origin(card))}, input of {card.input_size} "
        f"pixels.{_licence(card)}"
    )
    try:
        require_library(card)
    except SeVizError as error:
        st.info(as_markdown(error))
        return
    _show_choice(card)


def _origin(card: NetworkCard) -> str:
    if card.name.startswith(OWN):
        return f"{card.data} for {card.architecture} of {card.library}"
    if card.library == GIVEN:
        return f"{card.architecture}, from {card.data}"
    weights = f"weights {card.weights} of {card.library}" if card.weights else card.library
    return f"{weights}, trained on {card.data}"


def _licence(card: NetworkCard) -> str:
    return f" Licence: {plain(card.licence)}." if card.licence else ""


def _show_choice(card: NetworkCard) -> None:
    if card.name == keys.NETWORK.get():
        return
    if is_on_disk(card):
        st.button("Use this network", type="primary", on_click=use_network, args=(card.name,))
    elif _may_change_disk():
        size = f"{'about ' if card.library == 'timm' else ''}{card.download_bytes / 1e6:.0f} MB"
        with st.popover(f"Download ({size})"):
            st.markdown(
                as_markdown(f"Fetch {size} from {downloads.host_of(card)} to `{cache_folder()}`?")
            )
            # Inside, because the question stays open and would cover what is below it.
            if st.button(
                "Yes, download and use it", type="primary", key=f"{keys.DOWNLOAD}-{card.name}"
            ):
                _download(card)


def _may_change_disk() -> bool:
    """Tell whether visitors may; where they may not, say why."""
    try:
        if may_download():
            return True
        st.info(describe_refusal())
    except SeVizError as error:
        st.error(as_markdown(error))
    return False


def _download(card: NetworkCard) -> None:
    bar = st.progress(0.0, text="Requesting the file…")

    def show(come: int, total: int) -> None:
        bar.progress(min(come / total, 1.0), text=f"{come / 1e6:.0f} of {total / 1e6:.0f} MB")

    try:
        downloads.download(card, show)
    except SeVizError as error:
        bar.empty()
        st.error(as_markdown(error))
        return
    use_network(card.name)
    st.rerun()


def show_blocks(card: NetworkCard) -> None:
    """Show every SE block of a network and what was not recognised, once somebody asks for it."""
    if not has_library(card) or not st.toggle(
        "Look inside: every SE block", key=keys.NETWORK_INSIDE
    ):
        return
    try:
        inspection = _inspection(card.name, _card=card)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    height = "content" if len(inspection.sites) <= 20 else 640
    st.dataframe(
        _table_of(inspection),
        hide_index=True,
        height=height,
        placeholder="–",
        alt="SE blocks of the network",
    )
    st.caption(
        "Each block's output is its input times the gate, checked by one pass of noise with random "
        "weights. r is the reduction ratio; blocks without two layers have none.",
        help=explain("stage", "stride", "channel", "reduction ratio", "gate"),
    )
    link_guide("stages")
    for path, reason in {**inspection.refused, **inspection.others}.items():
        st.warning(f"Not shown: {code(path)}. {as_markdown(reason)}")


def _table_of(inspection: Inspection) -> pd.DataFrame:
    labels = label_blocks(inspection.sites)
    return pd.DataFrame(
        {
            "Block": labels[site.name],
            "Path": site.name,
            "Form": site.form,
            "Channels": site.channels,
            "r": site.ratio,
            "Gate": site.function,
            "Range": f"{site.low:g} to {site.high:g}"
            + ("" if site.gain == 1 else f" (gate x {site.gain:g})"),
        }
        for site in inspection.sites
    )


@st.cache_data(max_entries=32, show_spinner="Looking inside…")
def _inspection(name: str, *, _card: NetworkCard) -> Inspection:
    return get_engine().inspect(_card)


def show_cache() -> None:
    """Say where downloads lie and what they take, with a button that deletes them."""
    size = cache_bytes()
    st.caption(f"Downloads take {size / 1e6:.0f} MB in {code(str(cache_folder()))}.")
    if not _may_change_disk():
        return
    with st.popover("Empty the cache", disabled=not size):
        st.markdown(
            f"Delete {size / 1e6:.0f} MB? Loaded networks keep working until the app restarts."
        )
        st.button("Yes, delete all downloads", key=keys.EMPTY_CACHE, on_click=_empty)


def _empty() -> None:
    empty_cache()


def _or_dash(value: int | float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
