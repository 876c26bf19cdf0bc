"""Answers by trying: other gates in place of the live ones.

And what is known of the network itself.
"""

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.catalogue import Pace, measure_pace
from se_viz.devices import line_of
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import (
    AblateChannels,
    Analyse,
    EstimateEffects,
    LendingImage,
    MeasureCost,
    MeasurePace,
    ReadLenders,
    ReplaceGates,
    RunSettings,
)
from se_viz.errors import NetworkError, SeVizError
from se_viz.experiments import (
    Counterfactual,
    Gates,
    Replacement,
    ablate_channels,
    estimate_effects,
    gates_of,
    mean_gates,
    run_counterfactuals,
    run_lenders,
)
from se_viz.networks.cost import Cost, measure_cost
from se_viz.networks.lenders import Lender, read_lenders
from se_viz.replay import Bundle, run_settings


def estimate(question: EstimateEffects, work: Work) -> Float[Tensor, "channels"]:
    """Estimate what each channel of a block does to a logit."""
    return estimate_effects(
        work.network, work.photo, question.block, question.target, whole=True, watch=work.watch
    )


def ablate(question: AblateChannels, work: Work) -> Float[Tensor, "channels classes"]:
    """Shut channels, one after another."""
    return ablate_channels(
        work.network,
        work.photo,
        question.block,
        channels=question.channels,
        whole=True,
        **work.callbacks,
    )


def replace_gates(question: ReplaceGates, work: Work) -> tuple[Counterfactual, ...]:
    """Put other gates in place of the live ones."""
    if question.kind == "other":
        lenders = [_lend(image, work) for image in question.lenders]
        return run_lenders(
            work.network, work.photo, lenders, question.scope, whole=True, **work.callbacks
        )
    replacement = Replacement(question.kind, question.scope)
    if question.kind == "mean":
        gates = mean_gates([_lend(image, work).gates for image in question.lenders])
    else:
        gates = _gates_of(work.digest, work)
    return run_counterfactuals(
        work.network, work.photo, replacement, gates, whole=True, **work.callbacks
    )


def run(question: RunSettings, work: Work) -> Bundle:
    """Compute what a replay bundle holds."""
    return run_settings(work.network, work.photo, question.settings, **work.callbacks)


def measure(question: MeasurePace, work: Work) -> Pace:
    """Time a pass."""
    return measure_pace(work.network, watch=work.watch)


def count(question: MeasureCost, work: Work) -> Cost:
    """Count what the network takes: as its card says, or on shapes alone.

    Raises:
        NetworkError: it does not run on shapes alone.
    """
    card = work.network.card
    if card.gflops is not None:
        return Cost(
            parameters=card.parameters,
            gflops=card.gflops,
            blocks=card.blocks or 0,
            se_parameters=card.se_parameters or 0,
            se_gflops=card.se_gflops or 0.0,
        )
    try:
        with line_of(work.network.device).turn(work.watch):
            return measure_cost(work.network.model, card.shape)
    except SeVizError:
        raise
    except Exception as error:
        # A stranger's code may raise anything where tensors have no values.
        raise NetworkError(
            f"The multiply-adds of {card.title} cannot be counted: {type(error).__name__} in a "
            "pass without values. The page Networks has the numbers of parameters."
        ) from error


def read(question: ReadLenders, work: Work) -> tuple[Lender, ...]:
    """Read the gates of images that come with the network."""
    work.watch(0)
    return read_lenders(work.network.card, work.network.inspection.sites)


def _lend(image: LendingImage, work: Work) -> Lender:
    if image.digest in work.photos:
        return Lender(image.name, image.digest, _gates_of(image.digest, work))
    lenders: tuple[Lender, ...] = work.recall(ReadLenders(), "")
    return next(lender for lender in lenders if lender.digest == image.digest)


def _gates_of(digest: str, work: Work) -> Gates:
    return gates_of(work.recall(Analyse(), digest))
