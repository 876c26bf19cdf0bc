"""An attribution run again: the same question about another image, or of another network."""

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.records import Attribution
from se_viz.attribution.run import attribute
from se_viz.line import Watch
from se_viz.networks import Network


def attribute_again(
    network: Network,
    inputs: Float[Tensor, "1 3 height width"],
    found: Attribution,
    *,
    watch: Watch = lambda _: None,
) -> Float[Tensor, "height width"]:
    """Return the map of an attribution's method, class, baseline and stage; for the errors see `attribute`.

    What was overridden of the method's options is not known any more: it runs with those of the catalogue.
    """
    return attribute(
        network,
        inputs,
        found.target,
        found.method,
        against=found.against,
        baseline=found.baseline or "mean",
        stage=found.stage,
        watch=watch,
    ).map
