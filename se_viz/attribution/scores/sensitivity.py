"""Sensitivity: how far a map moves when the image hardly does."""

from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.pixels import attribute_again, nth_of
from se_viz.attribution.question import Attribution
from se_viz.devices import Report, Watch
from se_viz.networks import Network

RADIUS = 0.02
"""Most that a value of the network's input moves: a fiftieth of a standard deviation, about one
grey level of 255."""

SAMPLES = 5
"""Moved images."""


def measure_sensitivity(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    attribution: Attribution,
    *,
    seed: int = 0,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> float:
    """Run a method again on images moved a little, and return the greatest change of the map as a
    share of it.

    It is Captum's ``sensitivity_max`` (Yeh et al., arXiv 1901.09392, section 3) of the map with
    `SAMPLES` draws, uniform within `RADIUS`; 0 is best, and a map that does not look at the image
    has it too. The greatest of some draws is no more than the paper's greatest of all. Radius,
    draws and the division by the map's norm are Captum's, but for half as many draws, since each
    runs the method again; and it is the map of pixels that is compared, not of colours.
    ``attribution`` is the map of ``inputs``. ``report`` is told of the method's passes. For the
    errors see `attribute`.
    """
    # Here, so that a page that offers it does not wait for Captum.
    from captum.metrics import sensitivity_max

    generator = torch.Generator().manual_seed(seed)
    run = count()

    def move(images: Tensor) -> Tensor:
        # Drawn on the CPU, so that the same seed moves images alike on every device.
        noise = RADIUS * (2 * torch.rand(images.shape, generator=generator) - 1)
        return images + noise.to(images)

    def explain(images: Tensor | tuple[Tensor]) -> tuple[Tensor]:
        # Captum wraps the image itself in a tuple, and would take a bare map for a tuple of its
        # rows.
        if not isinstance(images, Tensor):
            return (attribution.map[None],)
        progress = nth_of(SAMPLES, next(run), report)
        return (attribute_again(network, images, attribution, watch=watch, report=progress)[None],)

    sensitivity = sensitivity_max(
        explain, (inputs,), move, n_perturb_samples=SAMPLES, max_examples_per_batch=1
    )
    return sensitivity.item()
