"""The package as it is published, built without a network."""

from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tests import ROOT


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build the wheel of a source tree into a folder; return its file."""
    (wheel,) = WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


def build_source(folder: Path) -> Path:
    """Build the archive of the source into a folder; return its file."""
    (source,) = SdistBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(source)
