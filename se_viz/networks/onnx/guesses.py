"""What a file tells of its input and answers: the settings that a user confirms."""

import ast
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from se_viz.networks.card import MAX_CLASSES, MAX_LABEL
from se_viz.networks.onnx.reading import find_input, read_shape

NORMALISATIONS = {
    "ImageNet mean, std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
"""Usual ways to give pixels to a network, as mean and deviation of values from 0 to 1."""
_SIDE = 224


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file seems to take."""

    size: int
    """Side of its square input, in pixels."""
    fixed: bool
    """Whether the file takes no other size."""
    channels_last: bool
    """Whether it takes (batch, height, width, channels)."""
    normalisation: str
    """A key of `NORMALISATIONS`."""
    labels: tuple[str, ...]
    """Names of classes that the file holds."""
    shape: tuple[int, ...] = ()
    """Channels and sides of one input, channels first; 0 where the file leaves one open."""

    @property
    def photo(self) -> bool:
        """Whether a photo of three colours may be meant."""
        if not self.shape:
            return True
        channels, *sides = self.shape
        return channels in (0, 3) and len(sides) == 2 and (0 in sides or sides[0] == sides[1])

    @property
    def declared(self) -> str:
        """Return the file's own dimensions after the batch, such as 224x224x3."""
        first, *others = self.shape or (0,)
        order = (*others, first) if self.channels_last else (first, *others)
        return "x".join(str(side or "?") for side in order)

    def laid(self, channels_last: bool) -> "Guess":
        """Return the same with the file's dimensions read in the other order, where it is not
        the one that was guessed.
        """
        if channels_last == self.channels_last or not self.shape:
            return replace(self, channels_last=channels_last)
        first, *others = self.shape
        shape = (others[-1], first, *others[:-1]) if channels_last else (*others, first)
        sides = [side for side in shape[1:] if side]
        return replace(
            self,
            channels_last=channels_last,
            shape=shape,
            size=max(sides, default=_SIDE),
            fixed=bool(sides),
        )


def guess(model: ModelProto, title: str) -> Guess:
    """Read the settings off a graph.

    Raises:
        CheckpointError: it has no single input.
    """
    shape = read_shape(find_input(model, title))
    last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
    sides = [side for side in (shape[1:3] if last else shape[2:4]) if side]
    own = (*shape[3:], *shape[1:3]) if last else shape[1:]
    return Guess(
        size=max(sides, default=_SIDE),
        fixed=bool(sides),
        channels_last=last,
        normalisation=_normalisation(model, find_input(model, title).name),
        labels=_labels(model),
        shape=tuple(side or 0 for side in own),
    )


def _normalisation(model: ModelProto, given: str) -> str:
    """Tell from the first arithmetic on the pixels what they are to be."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            weights[node.output[0]] = helper.get_node_attr_value(node, "value")
    for node in model.graph.node:
        if given not in node.input:
            continue
        if node.op_type in ("Transpose", "Cast", "Identity"):
            given = node.output[0]
            continue
        if node.op_type not in ("Sub", "Add", "Mul", "Div"):
            break
        values = [numpy_helper.to_array(weights[name]) for name in node.input if name in weights]
        if len(values) != 1:
            break
        value = float(np.abs(values[0]).mean())
        wide = value < 0.1 if node.op_type == "Mul" else value > 2
        return "0 to 255" if wide else "0 to 1"
    return next(iter(NORMALISATIONS))


def _labels(model: ModelProto) -> tuple[str, ...]:
    """Return the names of classes that some exporters write beside the graph."""
    text = {item.key: item.value for item in model.metadata_props}.get("names", "")
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    values = [names[key] for key in sorted(names)] if _is_numbered(names) else names
    if not isinstance(values, list) or not 0 < len(values) <= MAX_CLASSES:
        return ()
    fit = all(isinstance(name, str) and 0 < len(name.strip()) <= MAX_LABEL for name in values)
    return tuple(values) if fit else ()


def _is_numbered(names: object) -> bool:
    return isinstance(names, dict) and set(names) == set(range(len(names)))
