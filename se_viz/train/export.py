"""From a run's folder to a bundled network: averaged weights in half precision, measured, with
their card.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from se_viz.errors import DataError
from se_viz.files import told
from se_viz.networks.architectures import build
from se_viz.networks.card import NetworkCard
from se_viz.networks.cost import measure_cost
from se_viz.networks.network import Network
from se_viz.networks.weights import save_checkpoint
from se_viz.train.data import MEAN, STD, Pictures
from se_viz.train.evaluate import evaluate
from se_viz.train.loop import read_state, untrained_card
from se_viz.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Naming:
    """What a card says that no run can know."""

    name: str
    """Name to load the network by."""
    title: str
    """Name for people."""
    data: str
    """What it was trained on."""
    command: str
    """The command that made the weights."""
    input_size: int = 224
    """Side of the input, in pixels."""
    notes: str = ""
    """Anything else a reader should know."""


def export(
    run: Path, out: Path, naming: Naming, validation: Pictures, *, device: torch.device
) -> NetworkCard:
    """Write weights and card of a run, evaluated exactly as they are on disk.

    Raises:
        DataError: the folder holds no run.
    """
    if not (run / "last.pt").exists():
        raise DataError(f"{run} holds no run. Train one with `python -m se_viz train`.")
    state = read_state(run, torch.device("cpu"))
    network = _network(Recipe(**state["recipe"]), naming, validation.classes, state)
    network.model.to(device)
    top1 = evaluate(Network(network.model, network.card, device), validation)
    with told(out / naming.name):
        return save_checkpoint(network.model, replace(network.card, top1=round(top1, 4)), out)


def _network(recipe: Recipe, naming: Naming, classes: tuple[str, ...], state: dict) -> Network:
    plan = untrained_card(recipe)
    model = build(plan, num_classes=len(classes))
    model.load_state_dict(averaged(state))
    model.half().float().eval().requires_grad_(False)
    card = NetworkCard(
        name=naming.name,
        title=naming.title,
        architecture=plan.architecture,
        library=plan.library,
        arguments=plan.arguments,
        classes=classes,
        input_size=naming.input_size,
        mean=MEAN,
        std=STD,
        **asdict(measure_cost(model, naming.input_size)),
        top1=0.0,
        evaluated_with=f"python -m se_viz evaluate --network {naming.name}",
        trained_with=naming.command,
        data=naming.data,
        date=datetime.now(UTC).date().isoformat(),
        sha256="",
        licence="Apache-2.0",
        notes=" ".join(filter(None, [naming.notes, _remark(state["epoch"], recipe.epochs)])),
    )
    return Network(model, card, torch.device("cpu"))


def averaged(state: dict) -> dict[str, torch.Tensor]:
    """Return the moving average of the weights in what a run saved."""
    prefix = "module."
    return {
        key.removeprefix(prefix): value
        for key, value in state["average"].items()
        if key.startswith(prefix)
    }


def _remark(epoch: int, epochs: int) -> str:
    return "" if epoch == epochs else f"Training was stopped after epoch {epoch} of {epochs}."
