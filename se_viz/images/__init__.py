"""Images: files of strangers become upright RGB pictures, or one sentence.

Names are imported on first use: not all of them may cost the start of PyTorch.
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.images.decoders import warm_up
    from se_viz.images.reading import (
        EXTENSIONS,
        MAX_BYTES,
        Sample,
        centre_square,
        find_images,
        list_samples,
        open_image,
        open_square,
    )

__all__ = [
    "EXTENSIONS",
    "MAX_BYTES",
    "Sample",
    "centre_square",
    "find_images",
    "list_samples",
    "open_image",
    "open_square",
    "warm_up",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "decoders": ("warm_up",),
        "reading": (
            "EXTENSIONS",
            "MAX_BYTES",
            "Sample",
            "centre_square",
            "find_images",
            "list_samples",
            "open_image",
            "open_square",
        ),
    },
)
