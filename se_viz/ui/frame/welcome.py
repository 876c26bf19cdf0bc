"""What a newcomer sees first: what this is, a place for a photo, and samples.

It needs no PyTorch.
"""

import streamlit as st

from se_viz.charts import to_uri
from se_viz.images import (
    EXTENSIONS,
    MAX_BYTES,
    Sample,
    centre_square,
    list_samples,
    open_image,
    warm_up,
)
from se_viz.inputs import find_way
from se_viz.networks import NetworkCard
from se_viz.ui.navigation import PAGES
from se_viz.ui.session import choose_file, choose_sample, keys
from se_viz.ui.words import plain


def show_welcome(unfit_for: NetworkCard | None = None) -> None:
    """Offer an uploader, and the samples where the network takes photos.

    On all pages but the first, say which one waits for the photo; say so too where the chosen file
    is ``unfit_for`` the network.
    """
    way = find_way(keys.WAY.get() or "rgb")
    page = PAGES.get(keys.PAGE.get())
    if unfit_for:
        st.info(
            f"**{plain(unfit_for.title)}** takes {way.words}, and what is chosen is none: choose "
            "another file, or another network in the sidebar."
        )
    elif page and page != next(iter(PAGES.values())):
        st.info(f"*{page.title}* needs a {way.noun}: choose one, and this page opens.")
    st.subheader(f"Your {way.noun}", anchor="your-photo")
    show_upload(area="page")
    if way.photos:
        st.markdown("**No photo at hand? Start with one of these.**")
        show_samples(area="page")


def show_samples(*, area: str = "sidebar") -> None:
    """Show the sample images: a click on one, or on its name, chooses it.

    The page tells whose they are below, the sidebar at each name.
    """
    samples = list_samples()
    width = 136 if area == "page" else 112
    with st.container(horizontal=True, gap="small"):
        for sample in samples:
            # The button's area covers the card, by `page.css`.
            with st.container(width=width, gap="xsmall", key=f"{keys.CARD}-{area}-{sample.name}"):
                st.image(_thumbnail(sample), alt=f"Sample: {sample.title}", width="stretch")
                st.button(
                    sample.title,
                    key=f"{area}-{sample.name}",
                    help=None if area == "page" else sample.credit,
                    on_click=choose_sample,
                    args=(sample,),
                    width="stretch",
                )
    if area == "page":
        credits = "; ".join(f"{sample.title}: {plain(sample.credit)}" for sample in samples)
        st.caption(f"{credits}.")


def show_upload(*, area: str = "sidebar") -> None:
    """Let people drop a photo, or a file that the chosen network takes; a broken one is named and
    changes nothing.
    """
    way = find_way(keys.WAY.get() or "rgb")
    if way.photos:
        warm_up()
    # Empty again after each photo: to put one in another's place would draw the page twice.
    key = f"{area}-upload-{keys.UPLOADS.get()}"
    st.file_uploader(
        f"Drop a {way.noun} here (up to {MAX_BYTES // 2**20} MB)",
        # Of code of one's own nobody knows what it reads.
        type=list_types(keys.WAY.get()),
        # The server's own bound is that of weights, which are larger.
        max_upload_size=MAX_BYTES // 2**20,
        key=key,
        on_change=choose_file,
        args=(key,),
    )


def list_types(text: str) -> list[str] | None:
    """Return the endings of files that a network takes, by what makes its inputs; None: any."""
    if not text:
        return list(EXTENSIONS)
    way = find_way(text)
    others = [suffix for suffix in way.suffixes if suffix not in EXTENSIONS]
    return [*(EXTENSIONS if way.photos else ()), *others] or None


@st.cache_data(max_entries=16, show_spinner=False)
def _thumbnail(sample: Sample) -> str:
    # One shape for all: the buttons below stand in line. Inside the page: a file would be gone for
    # a browser that asks for it after somebody has already chosen a photo.
    return to_uri(centre_square(open_image(sample.path, trusted=True), 240))
