"""What can be asked of a network: one frozen value a kind, which is a cache's key and can travel
to another process.

Each is named after the function that answers it. A question about a map that was computed before
holds the question that made the map: so it stays plain, and says all that the answer depends on.
The engine remembers such maps for a while, and makes one that it has forgotten again.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from se_viz.attribution.question import Layer, Target
from se_viz.attribution.scores import Exam
from se_viz.gates.designs import Design
from se_viz.gates.neurons import Neuron
from se_viz.gates.surgery import GateEdit
from se_viz.readings import WHOLE, Reading
from se_viz.replay import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """One image before one network on one device."""

    network: str
    """Name of the network."""
    device: str
    """Name of the device."""
    digest: str = ""
    """SHA-256 of the image's file; empty where the answer is the same for every image."""
    at: Reading = WHOLE
    """Where the answer is read, for networks whose answer is no list of classes."""


@dataclass(frozen=True, slots=True)
class Analyse:
    """What the network answers, and every gate; see `analyse`."""

    block: str | None = None
    """Name of one use of a block whose feature maps are kept too."""


@dataclass(frozen=True, slots=True)
class AnalyseEdited:
    """The same with changed gates."""

    edits: tuple[GateEdit, ...]
    """What is changed, in the order it acts."""


@dataclass(frozen=True, slots=True)
class Redesign:
    """What blocks come to that are designed anew and not retrained; see `redesign`."""

    design: Design
    """How they are to make their gates."""


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Every step of one block's excitation; see `open_gate`."""

    block: str
    """Name of the block's use."""


@dataclass(frozen=True, slots=True)
class DifferentiateGate:
    """How one gate answers to each squeeze of its block: a row of the Jacobian.

    See `gate_jacobian`.
    """

    block: str
    """Name of the block's use."""
    channel: int
    """The gate."""


@dataclass(frozen=True, slots=True)
class DifferentiateBlock:
    """How all gates of a block answer to all squeezes, as far as it is shown.

    See `BlockJacobian`.
    """

    block: str
    """Name of the block's use."""
    cells: int
    """The most cells a side that entries are averaged in."""
    strongest: int
    """How many of the strongest rows and columns are kept exactly."""


@dataclass(frozen=True, slots=True)
class FindDead:
    """How many channels of some blocks are zero in each of several images; see `find_dead`."""

    digests: tuple[str, ...]
    """SHA-256 of the images' files."""
    blocks: tuple[str, ...]
    """Names of the blocks' uses."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Which pixels a class came from; see `attribute`."""

    target: Target
    """What is explained."""
    method: str
    """Key of the method."""
    baseline: str = "mean"
    """Key of the baseline."""
    options: tuple[tuple[str, Any], ...] = ()
    """What differs from the catalogue's options, by plain values."""
    stage: int | None = None
    """Whose end a method looks at that looks at a stage; None: the last one's."""


@dataclass(frozen=True, slots=True)
class AttributeEdited:
    """The same with changed gates."""

    attribute: Attribute
    """What is asked of the changed network."""
    edits: tuple[GateEdit, ...]
    """What is changed, in the order it acts."""


@dataclass(frozen=True, slots=True)
class JudgeMethod:
    """What a method is worth on a network; see `judge_method`."""

    method: str
    """Key of the method."""


@dataclass(frozen=True, slots=True)
class AttributeGate:
    """Which pixels opened one gate; see `attribute_neuron`."""

    neuron: Neuron
    """The gate, or its pre-sigmoid value."""
    method: str
    """Key of the method."""
    target: Target | None = None
    """The class, for a method that tells what came to it through the gate."""


@dataclass(frozen=True, slots=True)
class Erase:
    """What becomes of a gate without the pixels that a map marks; see `check_region`."""

    map: AttributeGate
    """What made the map."""
    share: float
    """Share of its pixels of one sign that is erased, the strongest first."""
    fill: str
    """What takes their place, one of ``FILLS``."""
    sign: int = 1
    """1 for the pixels that raise the gate, -1 for those that lower it; a map without signs marks
    the same pixels for both."""


@dataclass(frozen=True, slots=True)
class AttributeLayer:
    """How an answer comes from one feature map.

    See `attribute_layer`, and `Sight` for what is told of it.
    """

    layer: Layer
    """The feature map."""
    target: Target
    """What is explained."""
    method: str
    """Key of the method."""
    baseline: str = "mean"
    """Key of the baseline."""


@dataclass(frozen=True, slots=True)
class AttributeLayers:
    """The same for several feature maps from the one pass that they share.

    See `attribute_layers`.
    """

    layers: tuple[Layer, ...]
    """The feature maps."""
    target: Target
    """What is explained."""
    method: str
    """Key of a method of a single pass."""


@dataclass(frozen=True, slots=True)
class WeighChannels:
    """The Grad-CAM of a block's output with the values of each channel, for the map of the widest
    gates.
    """

    block: str
    """Name of the block's use."""
    target: Target
    """What is explained."""


@dataclass(frozen=True, slots=True)
class AttributeToGates:
    """What each gate of a block did to an answer; see `attribute_gates`."""

    block: str
    """Name of the block's use."""
    target: Target
    """What is explained."""
    method: str
    """Key of the method."""
    baseline: str = "mean"
    """Key of the baseline."""


@dataclass(frozen=True, slots=True)
class TracePaths:
    """How much of a logit's rise came through gates, and how much past them; see `trace_paths`."""

    target: Target
    """What rises."""
    baseline: str
    """Key of the baseline it rises from."""


@dataclass(frozen=True, slots=True)
class EstimateEffects:
    """Gradient x gate for each channel of a block; see `estimate_effects`."""

    block: str
    """Name of the block's use."""
    target: int
    """Index of the class."""


@dataclass(frozen=True, slots=True)
class AblateChannels:
    """How far each logit falls without one channel after another; see `ablate_channels`."""

    block: str
    """Name of the block's use."""
    channels: tuple[int, ...]
    """Which are shut, one at a time."""


@dataclass(frozen=True, slots=True)
class LendingImage:
    """An image that lends its gates: one that comes with the network, or one whose photo is given
    beside.
    """

    name: str
    """What to call it."""
    digest: str
    """SHA-256 of its file."""


@dataclass(frozen=True, slots=True)
class ReplaceGates:
    """What the answer becomes with other gates; see `run_counterfactuals` and `run_lenders`."""

    kind: str
    """One of ``KINDS``."""
    scope: str
    """One of ``SCOPES``."""
    lenders: tuple[LendingImage, ...] = ()
    """Whose gates, or mean gates, are taken; none where it is the image's own, shuffled, or
    ones."""


@dataclass(frozen=True, slots=True)
class MakeYardstick:
    """What maps of an image are measured with and against; see `make_yardstick`."""

    exam: Exam
    """How maps are scored."""


@dataclass(frozen=True, slots=True)
class ScoreMap:
    """How a map stands its tests; see `score_map`."""

    map: Attribute
    """What made the map."""
    exam: Exam
    """How maps are scored."""


@dataclass(frozen=True, slots=True)
class MeasureSensitivity:
    """How far a map moves when the image hardly does; see `measure_sensitivity`."""

    map: Attribute
    """What made the map."""


@dataclass(frozen=True, slots=True)
class CheckSanity:
    """What becomes of a map while the network is randomised; see `check_sanity`."""

    map: Attribute
    """What made the map."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a replay bundle holds, computed now in a pass alone; see `run_settings`."""

    settings: Settings
    """What is asked; where it is computed comes back filled in."""


@dataclass(frozen=True, slots=True)
class FindPlaces:
    """What the network finds in the image, as places where its answer may be read.

    See `Network.find_places`.
    """


@dataclass(frozen=True, slots=True)
class MeasurePace:
    """How long a pass takes; see `measure_pace`."""


@dataclass(frozen=True, slots=True)
class MeasureCost:
    """What the network takes, in all and in its SE blocks; see `measure_cost`."""


@dataclass(frozen=True, slots=True)
class ReadLenders:
    """The images whose gates come with the network; see `read_lenders`."""


Question: TypeAlias = (
    Analyse
    | AnalyseEdited
    | Redesign
    | OpenGate
    | DifferentiateGate
    | DifferentiateBlock
    | FindDead
    | Attribute
    | AttributeEdited
    | JudgeMethod
    | AttributeGate
    | Erase
    | AttributeLayer
    | AttributeLayers
    | WeighChannels
    | AttributeToGates
    | TracePaths
    | EstimateEffects
    | AblateChannels
    | ReplaceGates
    | MakeYardstick
    | ScoreMap
    | MeasureSensitivity
    | CheckSanity
    | RunSettings
    | FindPlaces
    | MeasurePace
    | MeasureCost
    | ReadLenders
)
"""Every kind of question."""

OF_NETWORKS = (JudgeMethod, MeasurePace, MeasureCost, ReadLenders)
"""Kinds whose answer is the same for every image, and wherever it is read."""
