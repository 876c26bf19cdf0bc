"""Training SE blocks inside a pretrained network: the plain network teaches, step by step, and a
kill at any moment loses some minutes.

Why: docs/decisions/046-a-pretrained-network-learns-to-recalibrate.md
"""

import math
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from se_viz.errors import DataError
from se_viz.files import told, write_file
from se_viz.train.beginnings import blocks_of
from se_viz.train.data import normalise
from se_viz.train.loop import read_state
from se_viz.train.photos import Views, mix

MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""What the plain network was trained with; pixels range from 0 to 1."""
PARTS = ("model", "average", "optimiser", "step")
"""What a run saves beside its recipe."""


@dataclass(frozen=True, slots=True)
class Distilling:
    """Everything that shapes the weights beside the data."""

    steps: int = 12_000
    """Steps of the whole run."""
    batch: int = 32
    """Photos a step."""
    size: int = 160
    """Side of the training views; smaller than the network's own, as crops magnify things
    (arXiv 1906.06423)."""
    crop: float = 0.25
    """Smallest share of a photo's area that a view shows."""
    repeats: int = 10
    """How often a photo of the list comes for each time that one of the ten classes does: with 4,
    and with labels at 0.2, 13 of 650 photos of other classes were lost in 250 steps."""
    gate_rate: float = 2e-3
    """Highest learning rate of the layers that make gates (the paper's W2)."""
    hidden_rate: float = 1e-6
    """The same of the layers before them (W1): squeezes are much larger than what differs between
    them, so that at 1e-3 all hidden units of some blocks were shut for good after 300 steps."""
    rate: float = 5e-5
    """The same of all other weights."""
    alone: int = 200
    """Steps in which the SE blocks learn alone."""
    warm_up: int = 50
    """Steps in which a rate rises."""
    labels: float = 0.05
    """Share of the labels in the loss; the rest is the teacher's."""
    temperature: float = 2.0
    """Temperature of the teacher's answers (arXiv 1503.02531)."""
    decay: float = 0.01
    """AdamW's decay of weight matrices."""
    average: float = 0.995
    """Decay of the moving average of the weights, per step."""
    seed: int = 0
    """Seed of the hidden units and the augmentation."""


class Losses(NamedTuple):
    """What a step was trained with."""

    teacher: float
    """KL divergence from the teacher's answer, in nats, at the recipe's temperature."""
    labels: float
    """Cross entropy of the labels, in nats."""


class Distillation:
    """One run and the folder that it lives in."""

    def __init__(
        self,
        recipe: Distilling,
        folder: Path,
        *,
        student: nn.Module,
        teacher: nn.Module,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.device = device
        self.step = 0
        # Norms keep the statistics of the large data set that they were trained on.
        self.student = student.eval().to(device).to(memory_format=torch.channels_last)
        self.teacher = teacher.to(device).to(memory_format=torch.channels_last)
        self.average = AveragedModel(
            self.student, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(_groups(self.student, recipe), betas=(0.9, 0.99))
        if (folder / "last.pt").exists():
            self._resume()

    def train_step(self, views: Views) -> Losses:
        """Train on the views of one step: the teacher sees them as they are, the student
        damaged.
        """
        clean, damaged, labels = views.at(self.step)
        sights = []
        for images in (clean, damaged):
            inputs = normalise(images.to(self.device), MEAN, STD)
            mixed, targets = mix(inputs, labels.to(self.device), seed=self.step)
            sights.append(mixed.contiguous(memory_format=torch.channels_last))
        self._set_rates()
        with torch.no_grad():
            taught = self.teacher(sights[0])
        logits = self.student(sights[1])
        distance = distil(logits, taught, self.recipe.temperature)
        named = F.cross_entropy(logits, targets)
        share = self.recipe.labels
        # Gradients of answers at temperature T are smaller by its square.
        strength = self.recipe.temperature**2
        ((1 - share) * strength * distance + share * named).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.average.update_parameters(self.student)
        self.step += 1
        return Losses(distance.item(), named.item())

    def save(self) -> None:
        """Write the state; a kill while writing leaves the previous one."""
        content = BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({**parts, "step": self.step, "recipe": asdict(self.recipe)}, content)
        path = self.folder / "last.pt"
        with told(path):
            write_file(path, content.getbuffer())

    def _set_rates(self) -> None:
        recipe = self.recipe
        alone = self.step < recipe.alone
        for group, begin in zip(self.optimiser.param_groups, _starts(recipe), strict=True):
            group["lr"] = group["highest"] * rate_at(self.step, begin, recipe)
            for value in group["params"]:
                value.requires_grad_(begin == 0 or not alone)

    def _parts(self) -> dict[str, Any]:
        return {"model": self.student, "average": self.average, "optimiser": self.optimiser}

    def _resume(self) -> None:
        state = read_state(self.folder, self.device, recipe=Distilling, parts=PARTS)
        if state["recipe"] != asdict(self.recipe):
            raise DataError(
                f"{self.folder} holds a run with another recipe ({state['recipe']}). Name another "
                "folder with --run."
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step = int(state["step"])


def distil(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return the KL divergence from the teacher's softened answers (Hinton et al., arXiv
    1503.02531, section 2), in nats.
    """
    return F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(taught / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def rate_at(step: int, begin: int, recipe: Distilling) -> float:
    """Return the share of the highest rate: it rises from ``begin`` on, then falls as a cosine."""
    if step < begin:
        return 0.0
    rise = min(1.0, (step - begin + 1) / recipe.warm_up)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / recipe.steps)))
    return rise * max(fall, 0.01)


def _groups(model: nn.Module, recipe: Distilling) -> list[dict[str, Any]]:
    blocks = [block for _, block in blocks_of(model)]
    gates = [value for block in blocks for value in block.fc2.parameters()]
    hidden = [value for block in blocks for value in block.fc1.parameters()]
    known = {id(value) for value in [*gates, *hidden]}
    others = [value for value in model.parameters() if id(value) not in known]
    return [
        {"params": values, "highest": rate, "weight_decay": recipe.decay if matrices else 0.0}
        for matrices in (True, False)
        for values, rate in (
            ([value for value in gates if (value.ndim > 1) == matrices], recipe.gate_rate),
            ([value for value in hidden if (value.ndim > 1) == matrices], recipe.hidden_rate),
            ([value for value in others if (value.ndim > 1) == matrices], recipe.rate),
        )
    ]


def _starts(recipe: Distilling) -> list[int]:
    """Return the step from which each group learns, in the order of `_groups`."""
    return [0, 0, recipe.alone] * 2
