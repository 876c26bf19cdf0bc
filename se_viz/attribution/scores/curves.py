"""Deletion and insertion: how fast the answer falls, or comes back, as pixels go or come in the
order of a map.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from se_viz.attribution.passes import answer_pictures
from se_viz.attribution.question import make_baseline
from se_viz.attribution.scores.exams import Exam
from se_viz.devices import Report, Watch
from se_viz.errors import AttributionError
from se_viz.networks import Network

START = "blur"
"""Baseline that insertion starts from: a plain one would add the edges of what comes first."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What the network answers while more and more pixels are changed."""

    shares: tuple[float, ...]
    """Share of pixels that are changed, from 0 to 1."""
    values: tuple[float, ...]
    """Probability of the class, 0 to 1; or the difference of two logits, in logits."""

    @property
    def area(self) -> float:
        """Return the area under it by the trapezoid rule: the mean value over all shares, in the
        units of values.
        """
        return torch.trapezoid(torch.tensor(self.values), torch.tensor(self.shares)).item()


def check_map(values: Float[Tensor, "*rows"], inputs: Float[Tensor, "1 channels *sides"]) -> None:
    """Check that a map puts the pixels of an image in an order.

    Raises:
        AttributionError: it has another size, holds something that is no number, or is constant.
    """
    if values.shape != inputs.shape[2:]:
        raise AttributionError(
            f"The map has {tuple(values.shape)} values, the image {tuple(inputs.shape[2:])} "
            "pixels. Score a map of the network's input size."
        )
    if not values.isfinite().all():
        raise AttributionError(
            "This map holds values that are NaN or infinite, so its pixels have no order. Choose "
            "another method."
        )
    if values.min() == values.max():
        raise AttributionError(
            f"This map is {values.min().item():g} everywhere, so that its pixels have no order. "
            "Choose another method, stage or class."
        )


def rank_pixels(values: Float[Tensor, "*sides"], seed: int = 0) -> Int[Tensor, "*sides"]:
    """Return the place of each pixel in the order of a map, 0 for the highest value.

    By value, not by size: what speaks for the class comes first, what speaks against it last. Equal
    values are shuffled with ``seed``: by position, the zeros of a map would go row by row, which is
    an order of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(values.numel(), generator=generator)
    # Stable: where values are equal, the shuffled order stays.
    order = shuffled[values.flatten()[shuffled].argsort(descending=True, stable=True)]
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    return places.view(values.shape)


def trace_curves(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    values: Float[Tensor, "*rows"],
    exam: Exam,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> tuple[Curve, Curve]:
    """Trace the deletion and the insertion curve of a map (Petsiuk et al., arXiv 1806.07421,
    section 4).

    Deletion puts the pixels of the exam's baseline into the image, insertion those of the image
    into a blurred one; both in the order of `rank_pixels`. The passes run as in `answer_pictures`,
    which see for the errors.

    As in the paper and its code: pixels go with all their colours, the highest first, in steps of
    one size; the mean colour takes the place of what goes; a curve has both ends; its area is the
    trapezoid rule's over shares. Other than there: 24 steps, not 224, which takes a tenth of the
    time; ties in random order; a class that was asked for, not the image's best; and another blur.
    Theirs is a Gaussian of 5 pixels cut to 11 x 11, at 224, in which many objects can still be made
    out: that of `START` has 14 there.

    Raises:
        AttributionError: the map gives no order.
    """
    check_map(values, inputs)
    places = rank_pixels(values, exam.seed).to(inputs.device)
    # Steps of one size, within a pixel.
    edges = torch.linspace(0, values.numel(), exam.steps + 1, dtype=torch.float64).round().long()
    before = torch.cat([inputs, make_baseline(network, inputs, START)])
    after = torch.cat([make_baseline(network, inputs, exam.baseline), inputs])

    def make(numbers: Tensor) -> Tensor:
        kinds = (numbers // len(edges)).to(inputs.device)
        mask = places < edges[numbers % len(edges)].to(inputs.device).view(-1, 1, 1)
        return torch.where(mask[:, None], after[kinds], before[kinds])

    logits = answer_pictures(network, make, exam.passes, watch=watch, report=report)
    shares = tuple((edges / values.numel()).tolist())
    deletion, insertion = exam.read(logits, network).view(2, -1).tolist()
    return Curve(shares, tuple(deletion)), Curve(shares, tuple(insertion))
