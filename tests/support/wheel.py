"""The wheel of the working tree, built without a network."""

from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests import ROOT


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder; return its file."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(wheel)
