"""Files that are no RGB photo as a network's input: sound, images of other channels, arrays."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.inputs.files import MAX_BYTES, open_file
    from se_viz.inputs.names import READY, Way, can_make, find_way, read_way
    from se_viz.inputs.ways import Preprocess, build_way

__all__ = [
    "MAX_BYTES",
    "READY",
    "Preprocess",
    "Way",
    "build_way",
    "can_make",
    "find_way",
    "open_file",
    "read_way",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "files": ("MAX_BYTES", "open_file"),
        "names": ("READY", "Way", "can_make", "find_way", "read_way"),
        "ways": ("Preprocess", "build_way"),
    },
)
