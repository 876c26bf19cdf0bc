"""All boxes that a detector weighs, before it chooses among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.ssd import SSD

from se_viz.errors import NetworkError

_EDGE = 1e-6
"""A score this near to 0 or 1 is one: its logit would be infinite."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The boxes of one image, each with a number for every class."""

    boxes: Float[Tensor, "boxes classes 4"]
    """Left, top, right, bottom, as shares of the image; one class may stand for all."""
    values: Float[Tensor, "boxes values"]
    """What scores are made of: logits; with ``background`` one more, the first."""
    background: bool
    """Whether scores are a softmax with a background; otherwise each is a sigmoid."""

    def order(self) -> Float[Tensor, "boxes classes"]:
        """Return the score of each box and class, from 0 to 1."""
        return self.values.softmax(-1)[:, 1:] if self.background else self.values.sigmoid()

    def strongest(self, rows: Tensor) -> Float[Tensor, "classes"]:
        """Return the logit of the score of one box a class: the score is its sigmoid.

        Of logits, so that a score of nearly 0 or 1 has a slope too.
        """
        if not self.background:
            return self.values.gather(0, rows[None])[0]
        values = self.values[rows]
        classes = torch.arange(len(rows), device=rows.device) + 1
        own = values.gather(1, classes[:, None])[:, 0]
        others = values.scatter(1, classes[:, None], -torch.inf).logsumexp(1)
        return own - others


def weigh(model: nn.Module, pixels: Tensor) -> list[Candidates]:
    """Run a detector of torchvision up to its scores, for pixels from 0 to 1.

    Boxes are taken before thresholds and the suppression of overlapping ones: of what these throw
    away nothing comes back, so that an image in which nothing is found has no number to explain.
    """
    run = _of_proposals if isinstance(model, GeneralizedRCNN) else _of_anchors
    return run(model, pixels)


def counts_classes(model: nn.Module) -> int:
    """Return how many classes a detector of torchvision has, without the background; 0: unknown."""
    layers: Any = model
    if isinstance(model, GeneralizedRCNN):
        scores = getattr(layers.roi_heads.box_predictor, "cls_score", None)
        # A predictor of one's own names its layers otherwise.
        return scores.out_features - 1 if isinstance(scores, nn.Linear) else 0
    if isinstance(model, SSD):
        return layers.head.classification_head.num_columns - 1
    return layers.head.classification_head.num_classes if isinstance(model, RetinaNet) else 0


def _of_proposals(model: Any, pixels: Tensor) -> list[Candidates]:
    images, _ = model.transform([*pixels])
    features = model.backbone(images.tensors)
    features = {"0": features} if isinstance(features, Tensor) else features
    proposals, _ = model.rpn(images, features)
    heads = model.roi_heads
    pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
    values, shifts = heads.box_predictor(heads.box_head(pooled))
    # Of no proposal at all, torchvision leaves the classes in one row.
    boxes = heads.box_coder.decode(shifts, proposals).reshape(*values.shape, 4)
    counts = [len(rows) for rows in proposals]
    rows = zip(boxes.split(counts), values.split(counts), images.image_sizes, strict=True)
    return [
        Candidates(_in_shares(boxes[:, 1:], size), values, background=True)
        for boxes, values, size in rows
    ]


def _of_anchors(model: Any, pixels: Tensor) -> list[Candidates]:
    images, _ = model.transform([*pixels])
    features = model.backbone(images.tensors)
    features = [features] if isinstance(features, Tensor) else [*features.values()]
    found = model.head(features)
    anchors = model.anchor_generator(images, features)
    rows = zip(
        anchors, found["bbox_regression"], found["cls_logits"], images.image_sizes, strict=True
    )
    background = isinstance(model, SSD)
    return [
        Candidates(
            _in_shares(model.box_coder.decode_single(shifts, boxes)[:, None], size),
            values,
            background=background,
        )
        for boxes, shifts, values, size in rows
    ]


def gather_returned(answer: Any, count: int, size: tuple[int, int], name: str) -> list[Candidates]:
    """Return the boxes that a detector has chosen itself, one class each.

    For detectors whose inside nobody here knows; labels count from 1, as torchvision's do.

    Raises:
        NetworkError: the answer is no list of boxes with labels and scores.
    """
    keys = {"boxes", "labels", "scores"}
    if not isinstance(answer, Sequence) or not all(
        isinstance(row, dict) and keys <= row.keys() for row in answer
    ):
        raise NetworkError(
            f"{name} returns no list of boxes, labels and scores, one an image. Choose another "
            "answer, or name code that makes them: boxes=file.py:callable."
        )
    return [_of_returned(row, count, size) for row in answer]


def _of_returned(row: dict[str, Tensor], count: int, size: tuple[int, int]) -> Candidates:
    scores = row["scores"].clamp(_EDGE, 1 - _EDGE)
    known = torch.arange(1, count + 1, device=scores.device) == row["labels"][:, None]
    nothing = torch.full_like(known, 0, dtype=scores.dtype) + _EDGE
    values = torch.where(known, scores[:, None], nothing).logit()
    return Candidates(_in_shares(row["boxes"][:, None], size), values, background=False)


def _in_shares(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    shares = boxes.detach() / boxes.new_tensor([width, height, width, height])
    return shares.clamp(0, 1)
