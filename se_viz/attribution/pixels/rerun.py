"""An attribution run again: the same question about another image, or of another network."""

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.pixels.run import attribute_unproven
from se_viz.attribution.question import Attribution
from se_viz.devices import Report, Watch
from se_viz.networks import Network


def attribute_again(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    attribution: Attribution,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Float[Tensor, "*sides"]:
    """Return the map of an attribution's method, class, baseline, stage and options.

    For the errors see `attribute`.
    """
    return attribute_unproven(
        network,
        inputs,
        attribution.target,
        attribution.method,
        against=attribution.against,
        baseline=attribution.baseline or "mean",
        stage=attribution.stage,
        watch=watch,
        report=report,
        **dict(attribution.options),
    ).map


def nth_of(runs: int, number: int, report: Report) -> Report:
    """Return the report of one of several equal runs, which tells ``report`` of them all.

    Numbers begin with 0.
    """
    # Not beyond its part: a total is what a run is expected to take.
    return lambda passes, total: report(number * total + min(passes, total), runs * total)
