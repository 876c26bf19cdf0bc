"""Photos as a network sees them, decoded once.

Nothing here loads PyTorch before there is a photo.
"""

from collections.abc import Callable

import streamlit as st
from PIL import Image

from se_viz.images import open_image, open_square
from se_viz.networks import View


@st.cache_data(max_entries=128, max_size="128MB", show_spinner=False)
def get_photo(
    digest: str, view: View, _content: bytes, _watch: Callable[[int], None] = lambda _: None
) -> Image.Image:
    """Decode a file once, to the square that a network with this view sees.

    ``watch`` is that of `open_image`.

    Raises:
        BusyError: too many files wait to be decoded.
        ImageError: the file cannot be used; nothing is cached then.
    """
    if view.resize is None:
        return open_square(_content, view.size, watch=_watch)
    # Here, so that the first page does not wait for torchvision.
    from se_viz.networks.crop import crop_image

    return crop_image(open_image(_content, watch=_watch), view)
