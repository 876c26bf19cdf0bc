"""Boxes: for each class the score of its strongest box."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import batched_nms, box_iou

from se_viz.readings.adapter import Place
from se_viz.readings.detectors import Candidates, counts_classes, gather_returned, weigh
from se_viz.readings.kinds import Reading, Region

OVERLAP = 0.5
"""Least intersection over union with the region at which a box is the one that is meant, as D-RISE
matches boxes: Petsiuk et al. (2021), arXiv 2006.03204, section 3.2."""
NOTHING = -13.8
"""Logit of a score of a millionth: no box is there."""
_MOST = 20
_LEAST = 0.05
_SAME = 0.5
"""Boxes of one class that overlap by more are one."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """For each class the logit of the score of its strongest box, over the image or a region.

    The sigmoid gives the score back, so that each class is a yes or no by itself. Read before
    thresholds and the suppression of overlapping boxes, see `weigh`. Where no box overlaps the
    region the score is 0, and has no slope.
    """

    count: int
    """How many classes there are, without a background."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """What inputs are normalised with: a detector takes pixels from 0 to 1, and normalises them
    itself."""
    region: Region | None = None
    pick: Callable[[Any], Any] | None = None
    """Code of one's own that makes boxes, labels and scores of an answer."""

    @property
    def kind(self) -> str:
        """``boxes``."""
        return "boxes"

    def __call__(self, model: nn.Module, inputs: Tensor) -> Float[Tensor, "batch classes"]:
        """Return the logit of the strongest score of each class."""
        return torch.stack([self._read(row, inputs) for row in self.show(model, inputs)])

    def show(self, model: nn.Module, inputs: Tensor) -> list[Candidates]:
        """Return all boxes of each image.

        Raises:
            NetworkError: there are none in the answer.
        """
        axes = (1, -1, 1, 1)
        pixels = inputs * inputs.new_tensor(self.std).reshape(axes)
        pixels = pixels + inputs.new_tensor(self.mean).reshape(axes)
        if not self.pick and counts_classes(model):
            return weigh(model, pixels)
        answer = model([*pixels])
        answer = self.pick(answer) if self.pick else answer
        size = (inputs.shape[-2], inputs.shape[-1])
        return gather_returned(answer, self.count, size, type(model).__name__)

    def move(self, model: nn.Module, at: Reading, beside: Tensor | None) -> "Boxes":
        """Return the same within another region."""
        return replace(self, region=at.region)

    @torch.no_grad()
    def find(self, model: nn.Module, inputs: Tensor) -> tuple[Place, ...]:
        """Return the strongest boxes that do not overlap, the best first."""
        candidates = self.show(model, inputs)[0]
        scores = candidates.order()
        rows, classes = (scores >= min(_LEAST, _tenth(scores))).nonzero().unbind(1)
        boxes = candidates.boxes[rows, classes if candidates.boxes.shape[1] > 1 else 0]
        values = scores[rows, classes]
        wide = ((boxes[:, 2:] - boxes[:, :2]) > 0.01).all(1)
        rows, classes, boxes, values = rows[wide], classes[wide], boxes[wide], values[wide]
        best = batched_nms(boxes, values, classes, _SAME)[:_MOST]
        return tuple(
            Place(int(classes[row]), values[row].item(), _region_of(boxes[row])) for row in best
        )

    def _read(self, candidates: Candidates, inputs: Tensor) -> Float[Tensor, "classes"]:
        scores = candidates.order().detach()
        if self.region is not None:
            scores = scores.where(self._overlap(candidates.boxes, self.region), -1.0)
        if not len(scores):
            # Of no box: a number without a slope, but one that gradients may be asked of.
            return inputs.sum() * 0 + inputs.new_full((self.count,), NOTHING)
        best, rows = scores.max(0)
        return candidates.strongest(rows).where(best >= 0, NOTHING)

    def _overlap(self, boxes: Tensor, region: Region) -> Tensor:
        flat = boxes.reshape(-1, 4)
        shares = box_iou(flat, flat.new_tensor([region]))[:, 0]
        return (shares >= OVERLAP).reshape(boxes.shape[:2])


def _tenth(scores: Tensor) -> float:
    """Return the score of the last of the places that are told, where all are low."""
    flat = scores.flatten()
    return flat.topk(min(10 * _MOST, len(flat))).values[-1].item() if len(flat) else 0.0


def _region_of(box: Tensor) -> Region:
    left, top, right, bottom = (round(value, 3) for value in box.tolist())
    return left, top, right, bottom
