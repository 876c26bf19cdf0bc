"""What the hooks of `hooks` tell: a pass of a model, an SE block while it runs, and who listens."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from se_viz.errors import CaptureError
from se_viz.gates.following import Frame, Mark, Multiplication
from se_viz.gates.places import Place
from se_viz.gates.strides import Images, stage_of


@dataclass(eq=False, slots=True)
class Run:
    """One forward pass of a model, from its call to its end."""

    images: Images
    handled: BaseException | None
    """What was being handled as it began: anything else at its end is what ended it."""
    calls: Counter[str] = field(default_factory=Counter)
    notes: list[Any] = field(default_factory=list)
    """What the listener has gathered in it; gone with a pass that raises."""


@dataclass(eq=False, slots=True)
class Visit:
    """One SE block while it runs."""

    place: Place
    features: Tensor
    run: Run | None
    """The pass it belongs to; None where a part of the model was called by itself, or runs again
    on the way back."""
    call: int
    again: bool = False
    """Whether it runs again on the way back, as under gradient checkpointing, which is no pass of
    its own."""
    squeeze: Tensor | None = None
    logit: Tensor | None = None
    """What the gate function was given; None where it has written its output over that."""
    gate: Tensor | None = None
    expected: Tensor | None = None
    """For whoever watches: what the block should put out, everywhere or at the places of
    ``cuts``."""
    cuts: tuple[slice, ...] = ()
    product: Multiplication | None = None
    """What was followed, where the block is known by what it does and not by its class."""

    @property
    def channels(self) -> int:
        """Return the number of channels of the block's input."""
        return self.features.shape[-1 if self.place.row.channels_last else 1]

    @property
    def axes(self) -> int:
        """Return the number of axes in space of the block's input: 2 for images."""
        return self.features.ndim - 2

    def stage(self) -> int:
        """Return log2 of the stride at the block's input.

        Raises:
            CaptureError: the model itself was not called, so that its image is not known.
        """
        if self.run is None:
            raise CaptureError(
                "A part of the model was run, so its stages cannot be derived from the size of the "
                "image. Call the model that was given to `capture_gates`, as `model(images)`."
            )
        return stage_of(
            self.run.images,
            self.place.path,
            self.features,
            channels_last=self.place.row.channels_last,
        )


@dataclass(eq=False, slots=True, weakref_slot=True)
class Listener:
    """What one ``with`` block wants to know; it is told of passes of the thread that opened it."""

    model: nn.Module
    blocks: dict[nn.Module, Place]
    change: Callable[[Visit, Tensor], Tensor] | None = None
    """Is given each gate, and returns the one to go on with."""
    see: Callable[[Visit], None] | None = None
    """Is told of each gate, after every change."""
    part: Callable[[nn.Module, Tensor], None] | None = None
    """Is told of each part of a block that has no parts itself, as it has run, and what it put
    out."""
    leave: Callable[[Visit, Any], None] | None = None
    """Is told of each block's output."""
    finish: Callable[[Run], None] | None = None
    """Is told of each pass that has come to its end."""
    take: Mapping[nn.Module, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """For a module: is given its input, and returns the one to go on with."""
    give: Mapping[nn.Module, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """For a module: is given its output, and returns the one to go on with."""
    discover: bool = False
    """Whether passes are followed wherever they go, to find gates by what is done."""
    steps: bool = False
    """Whether each step from a squeeze to a gate is asked for."""
    skip: frozenset[nn.Module] = frozenset()
    """Modules that are left out then."""
    refusals: dict[nn.Module, str] = field(default_factory=dict)
    """Modules that multiply by what is no gate of a block, and of what kind it is."""
    counts: dict[nn.Module, set[int]] = field(default_factory=dict)
    """For each module how many products with gates its own code has made in one use."""
    end: Callable[[Frame, Any, Any], None] | None = None
    """Is told of the end of each module that is followed, what it was given, and its output."""
    stages: bool = False
    """Whether stages are asked for, which are measured from the image."""
    stems: dict[nn.Module, str] = field(default_factory=dict)
    """The modules that may take in the image, with their paths."""
    around: set[nn.Module] = field(default_factory=set)
    """What is compiled in place, and holds or is one of the modules that are hooked outside of
    blocks."""
    opaque: bool = False
    """Whether a part of the model is TorchScript."""
    runs: list[Run] = field(default_factory=list)
    """Passes that have not ended: a model may call itself."""
    visit: Visit | None = None
    reported: set[nn.Module] = field(default_factory=set)
    """Blocks whose gate was seen, in any pass."""
    passes: int = 0
    """Passes that have come to their end."""
    paths: dict[nn.Module, str] = field(default_factory=dict)
    """The model's modules with their paths, while gates are found."""
    scopes: dict[nn.Module, tuple[Mark | None, ...]] = field(default_factory=dict)
    """The modules inside of which passes are followed, and what is known of their inputs."""
    begin: Callable[[], Callable[[], None] | None] | None = None
    """Is asked as each pass of the model begins. It may open other listeners, which are told of
    that pass from its start, and then returns what ends them after it."""
    openings: list["Opening"] = field(default_factory=list)
    """What ``begin`` has opened and nothing has ended yet."""
    thread: int = 0
    elsewhere: bool = False
    """Whether the model ran in another thread that has no listener of its own on it."""


@dataclass(eq=False, slots=True)
class Opening:
    """Listeners that were opened for one pass, as it began."""

    listeners: list[Listener]
    end: Callable[[], None]
    handled: BaseException | None
    """What was being handled as the pass began."""
    depth: int = 1
    """Passes that have not ended: a model may call itself. 0 after one that raised."""
