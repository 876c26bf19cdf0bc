"""How a run of distillation gets on: answers in a thousand ways and among ten, and whether gates
differ between photos.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from se_viz.files import told, write_file
from se_viz.gates import capture_gates
from se_viz.train.data import normalise
from se_viz.train.distillation import MEAN, STD
from se_viz.train.photos import Photos


@dataclass(frozen=True, slots=True)
class Answers:
    """A network's answers to photos, and its gates meanwhile."""

    logits: Tensor
    """(photos, 1000)."""
    spreads: dict[str, float]
    """For each block: standard deviation of a gate over photos, as mean over channels."""


@torch.inference_mode()
def answer(model: nn.Module, photos: Photos, *, gates: bool, batch: int = 50) -> Answers:
    """Return a network's answers to photos in the size that it sees, without mixing them."""
    device = next(model.parameters()).device
    logits: list[Tensor] = []
    values: dict[str, list[Tensor]] = {}
    for start in range(0, len(photos), batch):
        images = torch.stack(photos.images[start : start + batch]).to(device)
        inputs = normalise(images, MEAN, STD)
        if not gates:
            logits.append(model(inputs).cpu())
            continue
        with capture_gates(model) as records:
            logits.append(model(inputs).cpu())
        for record in records:
            values.setdefault(record.block, []).append(record.gate)
    spreads = {block: float(torch.cat(parts).std(0).mean()) for block, parts in values.items()}
    return Answers(torch.cat(logits), spreads)


def compare(student: Tensor, plain: Tensor, labels: list[int]) -> dict[str, int]:
    """Count photos that each network is right about, and those that one of them alone is."""
    truth = torch.tensor(labels)
    right = student.argmax(1) == truth
    before = plain.argmax(1) == truth
    return {
        "photos": len(labels),
        "right": int(right.sum()),
        "plain_right": int(before.sum()),
        "gained": int((right & ~before).sum()),
        "lost": int((before & ~right).sum()),
    }


def among(logits: Tensor, labels: list[int]) -> Tensor:
    """Return the answers where only the classes that occur can be given, all others shut out."""
    classes = sorted(set(labels))
    shut = torch.full((logits.shape[1],), -torch.inf)
    shut[classes] = 0
    return logits + shut


def log(path: Path, row: dict[str, Any]) -> None:
    """Write a row of a run's log (JSON lines); rows of a later step, lost by a kill, go."""
    with told(path):
        before = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in before if json.loads(line)["step"] < row["step"]]
        write_file(path, "\n".join([*kept, json.dumps(row), ""]).encode())
