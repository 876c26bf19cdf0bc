"""What a replay bundle holds: settings, what was computed with them, and the photo."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from se_viz.gates.surgery import GateEdit


@dataclass(frozen=True, slots=True)
class MapSettings:
    """What makes one attribution map of a class; see `attribute`."""

    target: int
    """Index of the class that is explained."""
    method: str
    """Key of the method."""
    against: int | None = None
    """Index of the class that it is compared with; None: none."""
    baseline: str = "mean"
    """Key of the baseline."""
    stage: int | None = None
    """Whose end a method looks at that looks at a stage; None: the last one's."""
    options: tuple[tuple[str, Any], ...] = ()
    """What differs from the catalogue's options, by plain values, such as the seed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an answer depends on, and where it was computed."""

    network: str
    """Name of the network."""
    weights: str
    """SHA-256 of its weights as they are in memory, see `hash_weights`."""
    photo: str
    """SHA-256 of the photo's file."""
    name: str = ""
    """What the photo was called."""
    maps: tuple[MapSettings, ...] = ()
    """The maps, in the order of ``Answers.maps``."""
    edits: tuple[GateEdit, ...] = ()
    """Changes of gates that were in force, in the order they act."""
    block: str | None = None
    """Name of the block that was open."""
    channel: int | None = None
    """The channel of it that was open."""
    classes: tuple[str, ...] = ()
    """Names of the classes that the maps tell of, for people."""
    device: str = "cpu"
    """Where it was computed."""
    precision: str = "float32"
    """Of the weights."""
    versions: tuple[tuple[str, str], ...] = ()
    """Name and version of every package that a number may depend on."""
    machine: str = ""
    """The operating system and processor."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was computed."""

    gates: Mapping[str, np.ndarray]
    """For the name of each use of a block its gates, (channels,) float32."""
    logits: np.ndarray
    """(classes,) float32."""
    maps: tuple[np.ndarray, ...] = ()
    """One map for each of ``Settings.maps``, (height, width) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """One photo before one network: all that it takes to compute it again, and what came out."""

    settings: Settings
    """What was asked, and where."""
    answers: Answers
    """What came out."""
    content: bytes | None = field(default=None, repr=False)
    """The photo's file; None where it was not given along."""
