"""Which stage each weight belongs to: by when a forward pass first uses it."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from se_viz.attribution.question import stage_ends
from se_viz.gates import GateSite

HEAD = "head"
"""What follows the last stage with an SE block: the classifier, and layers before it."""


class _Uses(TorchFunctionMode):
    """Notes which tensors a pass is given to work with, in order.

    It needs no hook, and sees only its own thread.
    """

    def __init__(self) -> None:
        super().__init__()
        # A dictionary, for its order: each tensor stands where it was first used.
        self.order: dict[int, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note every tensor among the arguments, and call the function."""
        for value in _tensors([*args, *(kwargs or {}).values()]):
            self.order.setdefault(id(value))
        return func(*args, **(kwargs or {}))


def order_weights(model: nn.Module, inputs: Tensor) -> list[str]:
    """Return the names of all parameters and buffers in the order in which a forward pass first
    uses them.

    Those that it does not use are left out.
    """
    names = {id(value): name for name, value in [*model.named_parameters(), *model.named_buffers()]}
    with torch.no_grad(), _Uses() as uses:
        model(inputs)
    return [names[key] for key in uses.order if key in names]


def split_stages(names: Sequence[str], sites: Sequence[GateSite]) -> dict[int | str, list[str]]:
    """Split weights that are in forward order by stage, from the classifier back to the image.

    A stage ends with the last weight of the module that ends it; what lies before the first stage's
    SE blocks belongs to that stage too. What follows the last stage is `HEAD`. Parts without a
    weight are left out.
    """
    ends = stage_ends(sites)
    blocks = {site.stage: site.block for site in sites}
    parts: dict[int | str, list[str]] = {}
    start = 0
    for stage in sorted(blocks):
        path = f"{ends.get(stage, blocks[stage])}."
        # Of a block that two stages share, the second finds nothing left.
        end = max(
            (place + 1 for place, name in enumerate(names) if name.startswith(path)), default=0
        )
        parts[stage] = list(names[start:end])
        start = max(start, end)
    parts[HEAD] = list(names[start:])
    return {part: weights for part, weights in reversed(parts.items()) if weights}


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
