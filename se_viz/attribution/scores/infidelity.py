"""Infidelity: how badly a map foretells what the logit loses with a square of the image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.passes import answer_pictures
from se_viz.attribution.question import make_baseline
from se_viz.attribution.scores.curves import Exam
from se_viz.devices import Report, Watch
from se_viz.networks import Network

_LEAST = 8
_MOST = 3


@dataclass(frozen=True, slots=True)
class Square:
    """A part of the image, in pixels."""

    top: int
    """First row."""
    left: int
    """First column."""
    side: int
    """Number of rows and columns."""

    def cut(self, values: Tensor) -> Tensor:
        """Return what lies in it of a tensor whose last two axes are those of the image."""
        return values[..., self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True, slots=True)
class Falls:
    """What an image loses with each of some squares; the same for all of its maps."""

    exam: Exam
    """How they were measured."""
    squares: tuple[Square, ...]
    """Where each square lies."""
    losses: tuple[float, ...]
    """How far the logit, or the difference of two, falls when the square shows the baseline; in
    logits."""

    @property
    def moved(self) -> float:
        """Return how far a square moves the logit, up or down, on average."""
        return sum(map(abs, self.losses)) / len(self.losses)


def measure_falls(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    exam: Exam,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Falls:
    """Remove squares of an image, one at a time, and read what the logit loses.

    This is the square removal of Yeh et al. (arXiv 1901.09392, section 2), who take every square
    with sides of 1 to 10 pixels of 28, too many for photos. Here their sides are drawn between an
    eighth and a third of the image's shorter side, and their places all over it; what shows instead
    is the exam's baseline, theirs 0. The passes run as in `answer_pictures`, which see for the
    errors.
    """
    squares = draw_squares(inputs.shape[-2], inputs.shape[-1], exam.squares, seed=exam.seed)
    baseline = make_baseline(network, inputs, exam.baseline)

    def make(numbers: Tensor) -> Tensor:
        pictures = torch.cat([inputs] * len(numbers))
        # The first picture is the image itself.
        first = int(numbers[0])
        for picture, square in zip(pictures, [None, *squares][first:], strict=False):
            if square:
                square.cut(picture)[:] = square.cut(baseline[0])
        return pictures

    logits = answer_pictures(network, make, len(squares) + 1, watch=watch, report=report)
    whole, *without = exam.target.read(logits).tolist()
    return Falls(exam, squares, tuple(whole - value for value in without))


def infidelity(values: Float[Tensor, "*sides"], falls: Falls) -> float:
    """Return the share of the losses that a map does not foretell, 0 to 1.

    0 is best (Yeh et al., arXiv 1901.09392).

    The map foretells for a square the sum of its values there: the paper's infidelity (definition
    2.1) with a perturbation of ones and zeros. It is E[(b * foretold - loss)^2] / E[loss^2], where
    b is the best factor for the map, so that maps in other units than logits can be compared, as in
    the paper's code and Captum's ``normalize``. Other than there it is divided by E[loss^2], so
    that it is a share for every image; b is 0 at least, so that a map that points the wrong way has
    1; and gradients are not multiplied by the image first, since what is shown is scored. Where no
    square changes the logit at all there is nothing to foretell, and it is 0.
    """
    foretold = torch.stack(
        [square.cut(values).sum(dtype=torch.float64) for square in falls.squares]
    )
    losses = torch.tensor(falls.losses, dtype=torch.float64)
    whole = losses.square().sum()
    if not whole:
        return 0.0
    # Not less than the smallest number: a map of zeros foretells nothing, and 0 / 0 is no number.
    power = foretold.square().sum().clamp_min(torch.finfo(torch.float64).tiny)
    best = (foretold @ losses / power).clamp_min(0)
    return ((best * foretold - losses).square().sum() / whole).item()


def draw_squares(height: int, width: int, count: int, *, seed: int = 0) -> tuple[Square, ...]:
    """Draw squares of several sizes all over an image."""
    generator = torch.Generator().manual_seed(seed)
    low, high = (max(1, min(height, width) // part) for part in (_LEAST, _MOST))
    sides = [_draw(low, high, generator) for _ in range(count)]
    return tuple(
        Square(_draw(0, height - side, generator), _draw(0, width - side, generator), side)
        for side in sides
    )


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))
