"""The training loop: bf16 autocast, channels_last, EMA, resumable after a kill at any moment."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.transforms import v2
from tqdm import tqdm

from se_viz.errors import DataError, NetworkError
from se_viz.files import check_ordinary, told, write_file
from se_viz.gates.places import scan_model
from se_viz.names import show_name
from se_viz.networks.architectures import build
from se_viz.networks.blueprints import find_architecture
from se_viz.networks.card import NetworkCard
from se_viz.networks.families import find_family
from se_viz.networks.listing import read_listing
from se_viz.networks.network import Network
from se_viz.train.data import Pictures, normalise, training_batches, validation_batches
from se_viz.train.gates import watching
from se_viz.train.recipe import Recipe

QUICK_SIZE = 192
"""Side of the images that a run looks at its progress with, in pixels."""
_COLUMNS = "epoch,size,learning_rate,training_loss,validation_top1,seconds"


class Run:
    """One training run and the folder it lives in; what is here survives a kill."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        classes: int,
        steps: int,
        device: torch.device,
        initial: Network | None = None,
    ) -> None:
        card = untrained_card(recipe)
        torch.manual_seed(recipe.seed)
        model = build(card, num_classes=classes)
        _check_sizes(model, recipe, card)
        if initial:
            _begin_with(model, initial)
        self.recipe = recipe
        self.folder = folder
        self.device = device
        self.epoch = 0
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.average = AveragedModel(
            # The statistics of its norms are averaged as well.
            self.model,
            multi_avg_fn=get_ema_multi_avg_fn(recipe.average),
            use_buffers=True,
        )
        groups = _groups(model, recipe)
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99))
        rates = [group["lr"] for group in groups]
        self.schedule = OneCycleLR(
            self.optimiser,
            rates,
            total_steps=recipe.epochs * steps,
            pct_start=0.15,
            cycle_momentum=False,
        )
        if self._last.exists():
            self._resume()

    @property
    def _last(self) -> Path:
        return self.folder / "last.pt"

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }

    def step(self) -> int:
        """Return the number of the step that is being trained, from the first of all epochs on."""
        return self.schedule.last_epoch

    def save(self) -> None:
        """Write the state after an epoch; a kill while writing leaves the previous one."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        # In memory first: PyTorch's own writer ends the process on a full disk.
        content = BytesIO()
        torch.save({**state, "epoch": self.epoch, "recipe": asdict(self.recipe)}, content)
        with told(self._last):
            write_file(self._last, content.getbuffer())

    def _resume(self) -> None:
        state = read_state(self.folder, self.device)
        if state["recipe"] != asdict(self.recipe):
            raise DataError(
                f"{self.folder} holds a run with another recipe ({state['recipe']}). Continue it "
                "with the same arguments, or name another folder with --run."
            )
        try:
            if not self._fits(state):
                raise DataError(
                    f"{self.folder} holds a run on data with other classes or another number of "
                    "images. Continue it with the same data, or name another folder with --run."
                )
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.epoch = int(state["epoch"])
        except (LookupError, TypeError, RuntimeError, AttributeError) as error:
            raise DataError(
                f"{self._last} holds other parts than a run with this recipe. Restore it, or begin "
                "anew in another folder with --run."
            ) from error

    def _fits(self, state: dict[str, Any]) -> bool:
        shapes = all(
            state["model"][name].shape == value.shape
            for name, value in self.model.state_dict().items()
        )
        return shapes and state["schedule"]["total_steps"] == self.schedule.total_steps


def read_state(
    folder: Path,
    device: torch.device,
    *,
    recipe: type = Recipe,
    parts: tuple[str, ...] = ("model", "average", "optimiser", "schedule", "epoch"),
) -> dict[str, Any]:
    """Return what a run last saved: its recipe and the ``parts``.

    Raises:
        DataError: the file is damaged, or none of a run.
    """
    path = folder / "last.pt"
    try:
        check_ordinary(path)
        # First by a process of its own: PyTorch's reader may crash, or fill the memory.
        if foreign_classes := read_listing(path.read_bytes(), path.name).foreign_classes:
            raise TypeError(foreign_classes[0])
        state = torch.load(path, map_location=device, weights_only=True)
        # Lists, where a tuple was saved, are as good.
        state["recipe"] = asdict(recipe(**state["recipe"]))
        whole = {*parts} <= state.keys()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Name another folder with --run."
        ) from error
    except Exception as error:
        # Whatever PyTorch raises on a file that is cut short or no pickle of tensors.
        raise DataError(
            f"{path} is damaged or no state of a run ({type(error).__name__}). Delete it to start "
            "the run anew, or name another folder with --run."
        ) from error
    if not whole:
        raise DataError(f"{path} is no state of a run. Name another folder with --run.")
    return state


def train(
    run: Run,
    training: Pictures,
    validation: Pictures,
    *,
    workers: int,
    compiled: bool,
    validate_every: int = 5,
) -> None:
    """Train to the end of the recipe, saving and logging after every epoch.

    Unless it is ``compiled``, the gates of every hundredth step go to ``gates.parquet``.
    """
    # One graph for each size: a graph for all sizes at once was slower by half on the CPU.
    forward = torch.compile(run.model, dynamic=False) if compiled else run.model
    size = run.recipe.sizes[0]
    # Compiled code calls no hooks, and a run that is over has no steps to look at.
    blind = compiled or run.epoch == run.recipe.epochs
    with nullcontext() if blind else watching(run.model, run.folder, run.step, size=size):
        _train_epochs(run, forward, training, validation, workers, validate_every)


def _train_epochs(
    run: Run,
    forward: Callable[[Tensor], Tensor],
    training: Pictures,
    validation: Pictures,
    workers: int,
    validate_every: int,
) -> None:
    while run.epoch < run.recipe.epochs:
        # By epoch: a run that was killed goes on with the numbers it would have drawn.
        torch.manual_seed(run.recipe.seed + 1000 + run.epoch)
        started = time.perf_counter()
        loss = _train_epoch(run, forward, training, workers)
        seconds = time.perf_counter() - started
        run.epoch += 1
        due = run.epoch % validate_every == 0 or run.epoch == run.recipe.epochs
        top1 = quick_accuracy(run.average.module, validation, run.device) if due else None
        # First the log: a kill in between repeats the epoch, and the second row replaces the first.
        _log(run, loss=loss, top1=top1, seconds=seconds)
        run.save()


def _train_epoch(
    run: Run, forward: Callable[[Tensor], Tensor], training: Pictures, workers: int
) -> float:
    recipe = run.recipe
    batches = training_batches(training, recipe, size=recipe.size_at(run.epoch), workers=workers)
    mix = (
        v2.MixUp(alpha=recipe.mixup, num_classes=len(training.classes))
        if recipe.mixup
        else v2.Identity()
    )
    run.model.train()
    losses = []
    for images, labels in tqdm(
        batches, desc=f"epoch {run.epoch + 1}/{recipe.epochs}", mininterval=2
    ):
        inputs, targets = mix(normalise(images.to(run.device)), labels.to(run.device))
        with torch.autocast(run.device.type, torch.bfloat16):
            logits = forward(inputs)
        # In float32: bfloat16 has too few digits for a sum of exponentials.
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.smoothing)
        loss.backward()
        run.optimiser.step()
        run.optimiser.zero_grad()
        run.schedule.step()
        run.average.update_parameters(run.model)
        # Left on the device: to read a number, every step would be waited for.
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()


@torch.inference_mode()
def quick_accuracy(
    model: nn.Module, pictures: Pictures, device: torch.device, *, size: int = QUICK_SIZE
) -> float:
    """Return the top-1 share under bf16: a guide while training, not the number for the card."""
    model.eval()
    right = 0
    for images, labels in validation_batches(pictures, size=size, batch=64):
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(normalise(images.to(device)))
        right += int((logits.argmax(1).cpu() == labels).sum())
    return right / len(pictures)


def untrained_card(recipe: Recipe) -> NetworkCard:
    """Return the card of a recipe's architecture, with the options that it takes.

    Raises:
        NetworkError: there is no such architecture, or it has no SE block.
    """
    name = recipe.architecture
    card = find_architecture(name)
    options: dict[str, Any] = {}
    if card.library == "se_viz":
        # Not a network that has a width of its own: the recipe says the width.
        options = {option: getattr(recipe, option) for option in find_family(name).options}
    return replace(card, arguments=options, weights="", source="")


def _check_sizes(model: nn.Module, recipe: Recipe, card: NetworkCard) -> None:
    """Try every size: some architectures of timm run at one alone.

    Raises:
        NetworkError: it does not run at one of them.
    """
    if card.library == "se_viz":
        return
    model.eval()
    for size in sorted({*recipe.sizes, QUICK_SIZE}):
        try:
            with torch.inference_mode():
                model(torch.zeros(1, 3, size, size))
        except Exception as error:
            # Libraries raise anything on images of another size than they expect.
            raise NetworkError(
                f"{card.name} cannot be trained here: it does not run at {size} pixels "
                f"({show_name(error)}). Choose an architecture that runs at any size."
            ) from error


def _begin_with(model: nn.Module, network: Network) -> None:
    try:
        model.load_state_dict(network.model.state_dict())
    except RuntimeError as error:
        raise NetworkError(
            f"The weights of {network.card.name} do not fit the network to be trained. Give the "
            "architecture, width, reduction and data it was trained with, or leave --initial out."
        ) from error


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    blocks = scan_model(model).blocks
    gates = {id(value) for block in blocks for value in block.parameters()}
    weights = [value for value in model.parameters() if id(value) not in gates]
    return [
        {
            "params": [value for value in weights if value.ndim > 1],
            "lr": recipe.rate,
            "weight_decay": recipe.decay,
        },
        {
            # Norms and biases: decay would only take their scale from them.
            "params": [value for value in weights if value.ndim == 1],
            "lr": recipe.rate,
            "weight_decay": 0.0,
        },
        {
            "params": [value for block in blocks for value in block.parameters()],
            "lr": recipe.gate_rate,
            "weight_decay": recipe.decay,
        },
    ]


def _log(run: Run, *, loss: float, top1: float | None, seconds: float) -> None:
    rate = run.schedule.get_last_lr()[0]
    size = run.recipe.size_at(run.epoch - 1)
    accuracy = "" if top1 is None else f"{top1:.4f}"
    row = f"{run.epoch},{size},{rate:.5f},{loss:.4f},{accuracy},{seconds:.0f}"
    path = run.folder / "log.csv"
    with told(path):
        before = (
            path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
            if path.is_file()
            else []
        )
        rows = [line for line in before if _epoch_of(line) < run.epoch]
        write_file(path, "\n".join([_COLUMNS, *rows, row, ""]).encode())
    tqdm.write(f"epoch {run.epoch}: loss {loss:.3f} top-1 {accuracy or '-'} ({seconds:.0f} s)")


def _epoch_of(line: str) -> float:
    # What somebody else wrote there is no epoch, and goes.
    number = line.split(",")[0]
    return float(number) if number.isdecimal() else math.inf
