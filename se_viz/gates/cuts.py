"""Gates that can be held as inputs, in the way back only: one pass forward serves every set of held gates."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from se_viz.gates.edits import edit_gates
from se_viz.gates.records import GateSite, use_name


@dataclass(eq=False, slots=True)
class Cuts:
    """The gates of one pass, each by the name of the block's use, and where the way back ends."""

    gates: dict[str, Tensor] = field(default_factory=dict)
    """What each use of a block multiplied by, (batch, channels), without gradient."""
    _held: frozenset[str] = frozenset()
    _slopes: dict[str, Tensor] = field(default_factory=dict)

    def slopes(self, output: Tensor, inputs: Tensor, held: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the derivatives of ``output`` by ``inputs`` and by each held gate, all held gates being inputs.

        Gates that are not held depend on what is before them, as in the network. The graph stays for another set.
        """
        self._held, self._slopes = frozenset(held), {}
        # Where every way leads through held gates, nothing arrives at the inputs.
        (slope,) = torch.autograd.grad(output, inputs, retain_graph=True, materialize_grads=True)
        found = {name: self._slopes.get(name, torch.zeros_like(self.gates[name])) for name in held}
        return slope, found


class _Cut(torch.autograd.Function):
    """A gate as it is; on the way back, its derivative is kept, and goes no further where the gate is held."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, cuts: Cuts, name: str) -> Tensor:
        ctx.cuts, ctx.name = cuts, name
        # A copy: what comes next may work in place.
        return gate.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None]:
        if ctx.name not in ctx.cuts._held:
            return grad_outputs[0], None, None
        ctx.cuts._slopes[ctx.name] = grad_outputs[0]
        return None, None, None


@contextmanager
def cut_gates(model: nn.Module, sites: Sequence[GateSite]) -> Iterator[Cuts]:
    """Let the gates of these uses be held in the way back through one forward pass; their values stay.

    Raises:
        NoSEBlocksError: the model has no such block, or it is compiled.
    """
    cuts = Cuts()
    blocks = {site.block for site in sites}
    with edit_gates(model, {block: partial(_cut, cuts, block, count()) for block in blocks}):
        yield cuts


def _cut(cuts: Cuts, block: str, uses: Iterator[int], gates: Tensor) -> Tensor:
    name = use_name(block, next(uses))
    cuts.gates[name] = gates.detach().clone()
    return _Cut.apply(gates, cuts, name)  # pyright: ignore[reportReturnType]
