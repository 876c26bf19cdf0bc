"""The parts of the Networks page for networks that users bring."""

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.networks import NetworkCard, list_networks
from se_viz.networks.families import list_architectures
from se_viz.networks.filling import MAX_BYTES
from se_viz.networks.labels import parse_labels
from se_viz.networks.libraries import has_library
from se_viz.networks.own import forget, read_own
from se_viz.networks.sources import GIVEN
from se_viz.networks.zoo import OWN
from se_viz.ui.frame import give_up, is_mine, is_private, is_shown
from se_viz.ui.networks.own_onnx import show_onnx_upload
from se_viz.ui.networks.taking import ask_for_all, new_key, show_success, take
from se_viz.ui.session import keys, stop_if_unwanted
from se_viz.ui.words import as_markdown


def show_own(card: NetworkCard | None) -> None:
    """Take a network in either way that users bring one, and say what came of it."""
    show_success()
    file, weights = st.tabs(["An ONNX file", "Weights for an architecture"])
    with file:
        show_onnx_upload()
    with weights:
        show_upload(card)


def show_upload(card: NetworkCard | None) -> None:
    """Take a file of weights, check it, hold it and use it.

    A file that does not fit changes nothing.
    """
    st.caption(
        "A .safetensors or `torch.save` file; no code in it is run. Only you see the network, and "
        "it is deleted when you leave.",
        help="Tensors are found under any prefix. The number of classes is inferred from the "
        "classifier layer.",
    )
    architecture = _choose_architecture(card)
    file = st.file_uploader(
        f"Weights (up to {MAX_BYTES // 2**30} GB)",
        type=["safetensors", "pt", "pth", "ckpt", "bin"],
        key=new_key(keys.OWN_WEIGHTS),
    )
    labels = st.text_area("Labels, one a line (optional)", key=keys.OWN_LABELS, height=100)
    multi_label = _choose_multi_label()
    for_all = ask_for_all()
    pressed = st.button("Check and use these weights", type="primary", disabled=file is None)
    if not pressed or file is None:
        return
    try:
        with st.spinner("Checking the weights…"):
            options = {"labels": parse_labels(labels), "multi_label": multi_label}
            options |= {"name": file.name, "watch": stop_if_unwanted}
            network = read_own(file.getvalue(), architecture, **options)
            take(network, for_all=for_all)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    st.rerun()


def _choose_multi_label() -> bool:
    return st.checkbox(
        "Multi-label: any number of classes may be true",
        key=keys.OWN_MULTI_LABEL,
        help="Each class then has a probability of its own, the sigmoid of its logit, as trained "
        "with `BCEWithLogitsLoss`. Otherwise probabilities are a softmax. A single class is always "
        "a yes or no.",
    )


def _choose_architecture(card: NetworkCard | None) -> str:
    choices = _architectures()
    suggestion = "" if card is None else _architecture(card)
    index = choices.index(suggestion) if suggestion in choices else 0
    # Another row picked above is another suggestion here.
    return st.selectbox(
        "For the architecture", choices, index=index, key=f"{keys.OWN_ARCHITECTURE}-{suggestion}"
    )


def show_kept() -> None:
    """List the networks that users brought, each with a button that deletes it."""
    try:
        cards = [card for card in list_networks() if card.name.startswith(OWN) and is_shown(card)]
    except SeVizError:
        # The table above says it already.
        return
    for card in cards:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"{card.title}: {len(card.classes)} class{'es' * (len(card.classes) != 1)}")
            if is_mine(card) or is_private():
                remove = give_up if is_mine(card) else forget
                st.button(
                    "Remove",
                    key=f"{keys.FORGET}-{card.name}",
                    on_click=remove,
                    args=(card.name,),
                    type="tertiary",
                )
    if not cards:
        st.caption("No network of your own yet.")


def _architectures() -> list[str]:
    cards = [
        card
        for card in list_networks()
        if has_library(card) and not card.name.startswith(OWN) and card.library != GIVEN
    ]
    bundled = [card.name for card in cards if not card.weights]
    listed = [_architecture(card) for card in cards if card.weights]
    return list(dict.fromkeys([*bundled, *list_architectures(), *listed]))


def _architecture(card: NetworkCard) -> str:
    # A bundled network may have a width of its own: only its name says which.
    return f"{card.library}/{card.architecture}" if card.library != "se_viz" else card.name
