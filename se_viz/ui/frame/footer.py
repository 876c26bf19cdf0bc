"""The foot of every page: where networks run, in which precision, and what that takes."""

from collections.abc import Iterator

import streamlit as st

from se_viz.devices import choose_device, peak_memory
from se_viz.errors import SeVizError
from se_viz.ui.asking import get_engine
from se_viz.ui.session import keys
from se_viz.ui.words import as_markdown


def show_footer() -> None:
    """Say in one quiet line: device, precision, time of the last step, peak memory."""
    try:
        st.caption(" · ".join(_facts(keys.NETWORK.get() or "", keys.DEVICE.get())))
    except SeVizError as problem:
        st.caption(as_markdown(problem))


def _facts(name: str, device: str | None) -> Iterator[str]:
    choice = choose_device(device)
    yield choice.reason.rstrip(".")
    if network := get_engine().peek(name, str(choice.device)):
        yield network.precision
    if step := get_engine().load(str(choice.device)).step:
        yield f"last step {1000 * step:.0f} ms"
    if peak := peak_memory(choice.device):
        yield f"peak memory {peak / 2**30:.1f} GiB"
