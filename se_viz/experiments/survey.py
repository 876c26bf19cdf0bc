"""Counterfactuals of many images, each of which lends its gates to the others."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from se_viz.errors import DataError
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import (
    Counterfactual,
    Gates,
    Replacement,
    gates_of,
    mean_gates,
    run_counterfactuals,
    run_lenders,
)
from se_viz.names import name_path
from se_viz.networks import Network
from se_viz.networks.lenders import Lender

LENDERS = 30
"""How many other images lend their gates to one, where there are as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image file whose gates are known."""

    path: Path
    """Where it lies."""
    digest: str
    """SHA-256 of the file: a copy is the same image."""
    gates: Gates
    """Its gates."""

    @property
    def lender(self) -> Lender:
        """Return the image as one that lends its gates."""
        return Lender(name_path(self.path), self.digest, self.gates)


def see_image(network: Network, path: Path) -> Seen:
    """Capture the gates of an image file.

    Raises:
        ImageError: the file cannot be used.
    """
    gates = gates_of(analyse(network, network.see(path), whole=True))
    return Seen(path, hashlib.sha256(path.read_bytes()).hexdigest(), gates)


def choose_lenders(
    digest: str, gallery: Sequence[Lender], most: int = LENDERS
) -> tuple[Lender, ...]:
    """Return up to ``most`` images of a gallery that lend their gates to one: those after it,
    never itself or a copy.

    After the last comes the first.

    Raises:
        DataError: the gallery holds no other image.
    """
    start = next((place for place, lender in enumerate(gallery) if lender.digest == digest), 0)
    circle = (*gallery[start:], *gallery[:start])
    # By digest: a copy of a lender lends once.
    following = {lender.digest: lender for lender in circle if lender.digest != digest}
    if not following:
        raise DataError("There is no other image to take gates from. Add at least one.")
    return tuple(following.values())[:most]


def survey_image(
    network: Network, photo: Seen, lenders: Sequence[Lender], questions: Sequence[Replacement]
) -> tuple[Counterfactual, ...]:
    """Ask several questions of one image, which gets the gates of each lender or their mean.

    See `run_lenders`.
    """
    image = network.see(photo.path)
    counterfactuals = list[Counterfactual]()
    for question in questions:
        if question.kind == "other":
            counterfactuals += run_lenders(network, image, lenders, question.scope, whole=True)
        else:
            gates = photo.gates
            if question.kind == "mean":
                gates = mean_gates([lender.gates for lender in lenders])
            counterfactuals += run_counterfactuals(network, image, question, gates, whole=True)
    return tuple(counterfactuals)
