"""Counterfactuals of many images, each of which lends its gates to the others."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from se_viz.analysis import analyse
from se_viz.counterfactuals import Counterfactual, Gates, Question, gates_of, mean_gates, run_counterfactuals
from se_viz.images import open_image
from se_viz.networks import Network


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image file whose gates are known."""

    path: Path
    """Where it lies."""
    digest: str
    """SHA-256 of the file: a copy is the same image."""
    gates: Gates
    """Its gates."""


def see_image(network: Network, path: Path) -> Seen:
    """Capture the gates of an image file.

    Raises:
        ImageError: the file cannot be used.
    """
    gates = gates_of(analyse(network, open_image(path)))
    return Seen(path, hashlib.sha256(path.read_bytes()).hexdigest(), gates)


def lend_gates(seen: Seen, gallery: Sequence[Seen], kind: str) -> Gates:
    """Return what an image's live gates are replaced by, for one of ``KINDS``.

    The mean is over all other images of the gallery; another image's gates are the next one's, after the last
    the first one's. For shuffles and ones they are the image's own.

    Raises:
        DataError: the gallery holds no other image.
    """
    if kind not in ("mean", "other"):
        return seen.gates
    places = [place for place, one in enumerate(gallery) if one.digest == seen.digest]
    start = places[0] if places else 0
    following = [*gallery[start:], *gallery[:start]]
    others = list({one.digest: one.gates for one in following if one.digest != seen.digest}.values())
    return mean_gates(others if kind == "mean" else others[:1])


def survey_image(
    network: Network, seen: Seen, gallery: Sequence[Seen], questions: Sequence[Question]
) -> tuple[Counterfactual, ...]:
    """Ask several questions of one image; see `run_counterfactuals`."""
    image = open_image(seen.path)
    return tuple(
        found
        for question in questions
        for found in run_counterfactuals(network, image, question, lend_gates(seen, gallery, question.kind))
    )
