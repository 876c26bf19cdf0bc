"""What a network costs and what of it is SE: counted on shapes alone, without memory or
arithmetic.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from se_viz.gates.following import lend_findings
from se_viz.gates.places import Place, scan_model


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and work of a network for one image, in all and in its SE blocks."""

    parameters: int
    """Number of trained values."""
    gflops: float
    """Multiply-adds in 10^9, as papers count them; convolutions and matrix products."""
    blocks: int
    """Number of SE blocks."""
    se_parameters: int
    """Trained values in SE blocks."""
    se_gflops: float
    """Multiply-adds in SE blocks, in 10^9; their means and products with gates are left out, as
    papers do."""


def measure_cost(model: nn.Module, size: int | tuple[int, ...]) -> Cost:
    """Count a network's parameters and multiply-adds for one image of side ``size``, or for one
    input of a shape, (channels, *sides).

    The model is not changed: a copy of its shapes (PyTorch's meta device) is run. Blocks that no
    class names are counted in a model that was inspected.
    """
    # What a hook has computed of weights, as weight norms do, PyTorch copies only without its
    # gradient.
    loose = [
        value
        for part in model.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor)
    ]
    shapes = deepcopy(model, {id(value): value.detach() for value in loose}).to("meta").eval()
    lend_findings(model, shapes)
    return count_cost(shapes, (3, size, size) if isinstance(size, int) else size)


def count_cost(model: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Count the same in a pass of the model itself, where its values decide on shapes, of one input
    of a shape, (channels, *sides).
    """
    blocks = scan_model(model).blocks.values()
    paths = {module: path for path, module in model.named_modules()}
    parts = {part: paths[part] for place in blocks for part in _parts(place)}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *shape, device=next(model.parameters()).device))
    # Two operations (a product and a sum) are one multiply-add.
    work = {name: sum(counts.values()) / 2e9 for name, counts in counter.get_flop_counts().items()}
    return Cost(
        parameters=_count(model),
        gflops=work["Global"],
        blocks=len(blocks),
        se_parameters=sum(map(_count, parts)),
        # From 0.0: a network without blocks has none of its own.
        se_gflops=sum(
            (work.get(f"{type(model).__name__}.{path}", 0.0) for path in parts.values()), 0.0
        ),
    )


def count_blocks(model: nn.Module) -> dict[str, int]:
    """Return the number of trained values of each SE block, by its path."""
    return {
        place.path: sum(map(_count, _parts(place))) for place in scan_model(model).blocks.values()
    }


def _parts(place: Place) -> tuple[nn.Module, ...]:
    # Where the excitation is part of a longer `forward`, its layers are counted, not the block.
    return place.flow.parts if place.flow else (place.block,)


def _count(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())
