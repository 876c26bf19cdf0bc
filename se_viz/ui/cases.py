"""What cached calls are about, which is their key, and what they need besides, which is not.

Why: docs/decisions/030-what-keys-the-caches.md
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from se_viz.attribution.layer_catalogue import LAYER_METHODS
from se_viz.attribution.targets import Target
from se_viz.gates.records import GateRecord
from se_viz.line import Watch
from se_viz.networks import Network
from se_viz.ui.choices import Choices
from se_viz.ui.loaded import borrow_network
from se_viz.variants import Report

HashFuncs: TypeAlias = dict[str | type[Any], Callable[[Any], Any]]
"""How caches know what cannot be hashed, or only slowly, by its type."""


@dataclass(frozen=True, slots=True)
class Case:
    """One image before one network on one device."""

    network: str
    """Name of the network."""
    device: str
    """Name of the device."""
    digest: str
    """SHA-256 of the image's file."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of feature maps or gates."""

    target: Target
    """What is explained."""
    method: str
    """Key of the method."""
    baseline: str
    """Key of the baseline."""


@dataclass(frozen=True, slots=True)
class Work:
    """What computing takes that the result does not depend on; the photo is known by its digest."""

    photo: Image.Image
    """The square that the network sees."""
    watch: Watch
    """Called before each pass."""
    report: Report = lambda *_: None
    """Told how far it is."""


BY_NAME: HashFuncs = {GateRecord: lambda record: record.name}
"""How caches know a block's record: of one case, by its name."""


def case_of(choices: Choices) -> Case:
    """Return what a session has chosen, without the heavy parts."""
    return Case(choices.name, choices.device, choices.image.digest)


def ask_layers(target: Target, method: str, baseline: str) -> Question:
    """Return a question to feature maps; where the method has no baseline always the same one, as for caches."""
    return Question(target, method, baseline if LAYER_METHODS[method].baseline else "mean")


@contextmanager
def borrow_inputs(case: Case, work: Work) -> Iterator[tuple[Network, Float[Tensor, "1 3 height width"]]]:
    """Yield the network of a case, and the photo as it sees it.

    Raises:
        DeviceError: the device has no room for the network.
    """
    with borrow_network(case.network, case.device) as network:
        yield network, network.preprocess(work.photo, whole=True)
