"""Readable names for classes: ImageNet's by their number, and a user's own list."""

from functools import cache
from pathlib import Path

from se_viz.errors import DataError
from se_viz.files import read_file

MAX_BYTES = 4 << 20
"""Largest list of labels that is read."""
_IMAGENET = Path(__file__).with_name("imagenet.txt")


@cache
def imagenet_classes(count: int) -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, or of a larger set as far as timm knows it.

    Sets are told apart by their number of classes, as timm does; an unknown number gives ``class
    0`` and so on.
    """
    if count == 1000:
        # A file: torchvision has the same names, and brings PyTorch.
        return tuple(_IMAGENET.read_text(encoding="utf-8").splitlines())
    return _timm_classes(count) or numbered_classes(count)


def numbered_classes(count: int) -> tuple[str, ...]:
    """Return a name for each class that nobody has named."""
    return tuple(f"class {index}" for index in range(count))


def parse_labels(text: str) -> tuple[str, ...]:
    """Read a list of class names, one a line; empty lines count for nothing."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a text file of class names, one a line.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = read_file(path, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise DataError(
                f"{path} has more than {MAX_BYTES >> 20} MB, too many for labels. Write one label "
                "a line."
            )
        return parse_labels(content.decode("utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Name a text file, one label a line."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read as text ({error}). Save it as UTF-8, one label a line."
        ) from error


def _timm_classes(count: int) -> tuple[str, ...]:
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
