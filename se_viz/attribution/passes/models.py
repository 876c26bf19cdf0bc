"""Which model a method runs on: the network's own, or a copy where the method needs one or it
pays.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from se_viz.attribution.catalogue import Method
from se_viz.attribution.passes.copies import copy_unrolled
from se_viz.attribution.passes.deep_lift_rules import Differences
from se_viz.attribution.passes.folded import LEAST, swift_copy
from se_viz.attribution.passes.rules import check_relus
from se_viz.attribution.question import in_words
from se_viz.networks import Network


@contextmanager
def lend_model(
    network: Network, row: Method, inputs: Tensor, *, passes: int
) -> Iterator[nn.Module]:
    """Yield the model that a method runs on while it runs about ``passes`` images forward.

    Raises:
        AttributionError: the method's rules do not fit the network, or a copy does not fit into
            memory.
    """
    if row.copied:
        with in_words(row.title, network.device):
            twin = copy_unrolled(network.model, inputs)
        with Differences():
            yield twin
    elif row.guided:
        with in_words(row.title, network.device):
            check_relus(row.title, network.model, inputs)
        yield network.model
    else:
        pays = passes >= LEAST and not row.layered
        yield swift_copy(network.model, inputs) if pays else network.model
