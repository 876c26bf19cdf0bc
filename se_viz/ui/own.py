"""The parts of the Networks page for weights that users bring."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.networks import NetworkCard, list_networks
from se_viz.networks.architectures import has_library
from se_viz.networks.labels import parse_labels
from se_viz.networks.own import MAX_BYTES, forget, keep, read_own
from se_viz.networks.resnet import PLANS
from se_viz.networks.zoo import OWN
from se_viz.ui.state import use_network


def show_upload(card: NetworkCard | None) -> None:
    """Take a file of weights, check it, keep it and use it; a file that does not fit changes nothing."""
    st.caption(
        "A .safetensors file, or a state dict that `torch.save` wrote; nothing in it is run. The number of classes is "
        "told from the classifier. It is kept on this machine, and everybody who uses this app can choose it."
    )
    architecture = _choose_architecture(card)
    file = st.file_uploader(
        f"Weights (up to {MAX_BYTES // 2**30} GB)", type=["safetensors", "pt", "pth", "bin"], key="own-weights"
    )
    labels = st.text_area("Labels, one a line (optional)", key="own-labels", height=100)
    if not st.button("Check and use them", type="primary", disabled=file is None) or file is None:
        return
    try:
        with st.spinner("Checking the weights…"):
            kept = keep(read_own(file.getvalue(), architecture, labels=parse_labels(labels), name=file.name))
    except SeVizError as error:
        st.error(str(error))
        return
    use_network(kept.name)
    st.rerun()


def _choose_architecture(card: NetworkCard | None) -> str:
    choices = _architectures()
    picked = "" if card is None else _architecture(card)
    index = choices.index(picked) if picked in choices else 0
    # Another row picked above is another suggestion here.
    return st.selectbox("For the architecture", choices, index=index, key=f"own-architecture-{picked}")


def show_kept() -> None:
    """List the networks that users brought, each with a button that deletes it."""
    try:
        kept = [card for card in list_networks() if card.name.startswith(OWN)]
    except SeVizError:
        # The table above says it already.
        return
    for card in kept:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"{card.title}: {len(card.classes)} classes")
            st.button("Remove", key=f"forget-{card.name}", on_click=forget, args=(card.name,), type="tertiary")
    if not kept:
        st.caption("No weights of your own are kept yet.")


def _architectures() -> list[str]:
    cards = [card for card in list_networks() if has_library(card) and not card.name.startswith(OWN)]
    bundled = [card.name for card in cards if not card.weights]
    return list(dict.fromkeys([*bundled, *PLANS, *(_architecture(card) for card in cards if card.weights)]))


def _architecture(card: NetworkCard) -> str:
    # A bundled network may have a width of its own: only its name says which.
    return f"{card.library}/{card.architecture}" if card.library != "se_viz" else card.name
