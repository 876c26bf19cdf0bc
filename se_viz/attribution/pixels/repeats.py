"""How far a map that draws at random agrees with itself: the same method again, with another
seed.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.pixels.rerun import attribute_again
from se_viz.attribution.question import Attribution
from se_viz.devices import Report, Watch
from se_viz.networks import Network


def measure_repeat(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    attribution: Attribution,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> float | None:
    """Run the method of a map again with the next seed, and return the correlation of the two
    maps, -1 to 1.

    It is Pearson's, over all pixels; what two maps of one method do not share is chance, and none
    of it says anything of the image. None: the method draws nothing, or one of the maps has the
    same value everywhere. ``attribution`` is the map of ``inputs``. It takes as long as the map
    did. For the errors see `attribute`.
    """
    row = METHODS[attribution.method]
    if not row.drawn:
        return None
    # Here, so that a page that compares two maps does not wait for Captum.
    options = dict(attribution.options)
    options["seed"] = options.get("seed", row.options["seed"]) + 1
    repeat = replace(attribution, options=tuple(options.items()))
    return correlate(
        attribution.map, attribute_again(network, inputs, repeat, watch=watch, report=report)
    )


def correlate(first: Float[Tensor, "*sides"], second: Float[Tensor, "*sides"]) -> float | None:
    """Return the correlation of two maps over their pixels, -1 to 1.

    None where one has the same value everywhere.
    """
    pairs = torch.stack([first.flatten(), second.flatten()]).double()
    if (pairs.amax(1) == pairs.amin(1)).any():
        return None
    return float(torch.corrcoef(pairs)[0, 1].clamp(-1, 1))
