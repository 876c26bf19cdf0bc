"""Replay bundles on the page: made of what is shown, opened, run again and compared."""

import hashlib
from dataclasses import replace

import pandas as pd
import streamlit as st

from se_viz.attribution.catalogue import COMMON, METHODS
from se_viz.engine.questions import RunSettings
from se_viz.errors import BundleError, NoSEBlocksError
from se_viz.experiments import Analysis
from se_viz.names import show_name
from se_viz.networks import list_networks
from se_viz.replay import (
    TOLERANCE,
    Bundle,
    MapSettings,
    Replayed,
    Settings,
    bundle_bytes,
    check_photo,
    compare_bundles,
    read_bundle,
)
from se_viz.ui.asking import Choices, ask_with_bar, choose, get_view, page_part
from se_viz.ui.frame import is_shown, live_part
from se_viz.ui.session import ChosenImage, keys, stop_if_unwanted
from se_viz.ui.widgets import open_block_of
from se_viz.ui.words import plain

_COMPUTING = "Computing gates, logits and the map in a pass alone…"


@live_part
@page_part
def show_bundles(choices: Choices, analysis: Analysis) -> None:
    """Offer what is shown as a replay bundle, and run one that somebody brings."""
    st.caption(
        "A replay bundle keeps gates, logits and the map that is shown, with all settings. Here or "
        "by `se_viz replay` anybody computes them again and compares."
    )
    made, brought = st.columns([2, 3], gap="medium")
    with made:
        if choices.network.card.answer == "classes":
            _offer(choices, analysis)
        else:
            st.caption("Bundles keep answers of classes alone, which this network does not give.")
    with brought:
        _open(choices)


def _offer(choices: Choices, analysis: Analysis) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.button(
            "Replay bundle",
            key=keys.BUNDLE,
            icon=":material/inventory_2:",
        )
        with_photo = st.checkbox(f"with the {choices.noun} in it", key=keys.BUNDLE_PHOTO)
        place = st.container()
    settings = _settings(choices, analysis)
    made_of = (settings, with_photo)
    if wanted:
        bundle = ask_with_bar(choices, RunSettings(settings), _COMPUTING, key=keys.BUNDLE)
        content = choices.image.content if with_photo else None
        keys.BUNDLE_MADE.set((made_of, bundle_bytes(replace(bundle, content=content))))
    made = keys.BUNDLE_MADE.get()
    if made and made[0] == made_of:
        place.download_button(
            f"Download · {len(made[1]) / 1e6:.1f} MB",
            made[1],
            file_name=f"se_viz-{choices.image.digest[:8]}.zip",
            mime="application/zip",
            key=keys.BUNDLE_SAVE,
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _settings(choices: Choices, analysis: Analysis) -> Settings:
    """Return what the page shows now: the class and the method of its map, the open block."""
    method = keys.value_of(keys.METHOD) or COMMON[0]
    stage = keys.value_of(f"{keys.STAGE}-{choices.name}") if METHODS[method].layered else None
    token = (choices.image.digest, choices.name)
    target = keys.TARGET.get() if keys.TARGET_OF.get() == token else None
    if target is None:
        target = keys.TARGETS.get().get(token, analysis.top(1)[0][0])
    return Settings(
        network=choices.name,
        weights="",
        photo=choices.image.digest,
        name=choices.image.name,
        maps=(MapSettings(target, method, stage=stage),),
        block=open_block_of(analysis),
        channel=keys.CHANNEL.get(),
    )


def _open(choices: Choices) -> None:
    file = st.file_uploader(
        "Open a replay bundle",
        type=["zip"],
        key=keys.BUNDLE_FILE,
        help="Nothing in it is run. Its network has to be on this disk; a photo that it does not "
        "hold has to be the chosen one.",
    )
    pressed = st.button("Run it again", key=keys.BUNDLE_RUN, disabled=file is None)
    if file is None:
        keys.BUNDLE_RESULT.pop()
        return
    content = file.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    if pressed:
        keys.BUNDLE_RESULT.pop()
        bundle = read_bundle(content, watch=stop_if_unwanted)
        keys.BUNDLE_RESULT.set((digest, _run(choices, bundle)))
    result = keys.BUNDLE_RESULT.get()
    if result and result[0] == digest:
        _show(result[1])


def _run(choices: Choices, bundle: Bundle) -> Replayed:
    """Compute what a bundle holds on the device that is chosen, and compare.

    Raises:
        SeVizError: it cannot be; the text says why and what to do.
    """
    settings = bundle.settings
    _check_shown(settings.network)
    view = get_view(settings.network, choices.device)
    if view.lack:
        raise NoSEBlocksError(view.lack)
    content = bundle.content
    if content is None and settings.photo == choices.image.digest:
        content = choices.image.content
    if content is None:
        raise BundleError(
            f"The bundle does not hold its photo ({settings.name or 'without a name'}). Choose it "
            "as the photo of this page, and run the bundle again."
        )
    check_photo(settings, content)
    image = ChosenImage(settings.name, content, settings.photo)
    asked = choose(image, view, choices.device)
    again = ask_with_bar(asked, RunSettings(settings), _COMPUTING, key=keys.BUNDLE_RUN)
    return compare_bundles(bundle, again)


def _check_shown(name: str) -> None:
    # Before anything is said of names that are near: what others brought is theirs.
    if name not in {card.name for card in list_networks() if is_shown(card)}:
        raise BundleError(
            f"The network of the bundle, {show_name(name)}, is not here. Bring its weights on the "
            "page Networks, or run the bundle with `se_viz replay` where they are."
        )


def _show(result: Replayed) -> None:
    show = st.success if result.same else st.warning
    equal = all(difference.equal for difference in result.differences)
    words = "Equal bit for bit." if equal else f"Within {TOLERANCE:g} of the largest value."
    show(words if result.same else f"Not within {TOLERANCE:g} of the largest value.")
    rows = [
        (
            plain(difference.what),
            "equal bit for bit" if difference.equal else f"{difference.largest:.3g}",
            f"{difference.scale:.3g}",
        )
        for difference in result.differences
    ]
    names = ["What", "Largest difference", "Values up to"]
    st.dataframe(pd.DataFrame(rows, columns=pd.Index(names)), hide_index=True)
    if result.changed:
        st.caption(f"Not as where the bundle was made: {plain('; '.join(result.changed))}.")
