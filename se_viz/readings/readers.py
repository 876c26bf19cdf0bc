"""From the name of a kind, or code of one's own, to what reads a model's answers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from se_viz.errors import NetworkError
from se_viz.readings.adapter import Reader
from se_viz.readings.boxes import Boxes
from se_viz.readings.detectors import counts_classes
from se_viz.readings.kinds import split_answer
from se_viz.readings.numbers import Embedding, Values
from se_viz.readings.segments import Segments

Pick: TypeAlias = Callable[[Any], Any]
"""Code of one's own that picks, of a model's answer, what is read."""
Answer: TypeAlias = str | Pick | tuple[str, Pick]
"""The name of a kind; code, whose numbers are taken as they are; or both."""
_BACKGROUND = ("__background__", "background", "n/a")


def make_reader(
    answer: Answer,
    model: nn.Module,
    *,
    classes: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> tuple[Reader | None, tuple[str, ...]]:
    """Return what reads a model's answers, and the names of the numbers; None for plain logits.

    ``classes`` are names that are given, ``mean`` and ``std`` what inputs are normalised with.

    Raises:
        NetworkError: there is no such kind, or it cannot be read of this model.
    """
    kind, pick = _split(answer)
    names = tuple(classes)
    if kind == "classes":
        return (Values("classes", pick), names) if pick else (None, names)
    if kind == "segments":
        return Segments(pick=pick), names
    if kind == "embedding":
        return Embedding(pick=pick), names or ("similarity",)
    if kind == "value":
        return Values(pick=pick), names
    return _make_boxes(model, pick, names, (tuple(mean), tuple(std)))


def usual_colours(model: nn.Module) -> tuple[Any, Any]:
    """Return mean and deviation that a detector normalises with itself; None for others."""
    transform = getattr(model, "transform", None)
    if isinstance(transform, GeneralizedRCNNTransform):
        return transform.image_mean, transform.image_std
    return None, None


def _split(answer: Answer) -> tuple[str, Pick | None]:
    if isinstance(answer, str):
        kind, code = split_answer(answer)
        if not code:
            return kind, None
    elif callable(answer):
        return "value", answer
    elif len(answer) == 2 and callable(answer[1]):
        return split_answer(answer[0])[0], answer[1]
    raise NetworkError(
        f"The answer {answer!r} is no kind and no code. Give the name of a kind, a function that "
        "takes what the model returns, or both as a pair."
    )


def _make_boxes(
    model: nn.Module,
    pick: Pick | None,
    names: tuple[str, ...],
    colours: tuple[tuple[float, ...], tuple[float, ...]],
) -> tuple[Reader, tuple[str, ...]]:
    count = 0 if pick else counts_classes(model)
    # Lists of labels often begin with what is no class.
    if names and names[0].lower() in _BACKGROUND and count != len(names):
        names = names[1:]
    if not (count or names):
        raise NetworkError(
            f"{type(model).__name__} is no detector of torchvision that is known here, so that "
            "nobody can tell how many classes its boxes have. Name them, in the order of their "
            "labels from 1 on."
        )
    mean, std = colours
    if len(mean) != 3:
        raise NetworkError(
            "Boxes are read of photos in three colours, and something else makes these inputs. "
            "Leave `preprocess` out, or choose another answer."
        )
    return Boxes(count or len(names), mean, std, pick=pick), names
