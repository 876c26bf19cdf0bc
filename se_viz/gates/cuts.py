"""Gates that can be held as inputs, in the way back only: one pass forward serves every set of
held gates.

Why: docs/decisions/021-through-the-gates.md
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from se_viz.gates.edits import edit_gates
from se_viz.gates.narrows import Narrows
from se_viz.gates.records import GateSite, use_name


@dataclass(eq=False, slots=True)
class Cuts:
    """The gates of one pass, each by the name of the block's use, and where the way back ends."""

    gates: dict[str, Tensor] = field(default_factory=dict)
    """What each use of a block multiplied by, (batch, channels), without gradient."""
    _names: frozenset[str] = frozenset()
    _slopes: dict[str, Tensor] = field(default_factory=dict)

    def slopes(
        self, output: Tensor, inputs: Tensor, sets: Mapping[str, Collection[str]]
    ) -> dict[str, tuple[Tensor, dict[str, Tensor]]]:
        """Return for each set of held gates the derivatives of ``output`` by ``inputs`` and by
        each gate of the set.

        The gates of the set are inputs then; others depend on what is before them, as in the
        network. What comes after the last gate of a set acts as if none were held, and the way back
        leads through it once for all sets.
        """
        narrows = Narrows(output)
        end = get_gradient_edge(inputs)
        uses: dict[str, Node] = {}
        for node in narrows.nodes:
            # Only the nodes of `_Cut` carry the name of a use.
            use = getattr(node, "use", None)
            if use:
                uses[use] = node
        edges = [
            narrows.before([end.node, *(uses[use] for use in names if use in uses)])
            for names in sets.values()
        ]
        # Once for all sets: from the value to the last node that all ways of a set share.
        slope, *gradients = self._back(
            get_gradient_edge(output), torch.ones_like(output), (), [end, *edges]
        )
        derivatives = {}
        for (set_name, names), edge, gradient in zip(sets.items(), edges, gradients, strict=True):
            # `_Cut.backward` fills it on the way back.
            self._slopes = {}
            by_inputs = slope
            if names and gradient is not None:
                by_inputs = self._back(edge, gradient, names, [end])[0]
            if by_inputs is None:
                by_inputs = torch.zeros_like(inputs)
            slopes = {
                use: self._slopes.get(use, torch.zeros_like(self.gates[use])) for use in names
            }
            derivatives[set_name] = (by_inputs, slopes)
        return derivatives

    def _back(
        self,
        start: GradientEdge,
        gradient: Tensor,
        names: Collection[str],
        ends: Sequence[GradientEdge],
    ) -> tuple[Tensor | None, ...]:
        self._names = frozenset(names)
        # Where every way leads through held gates, nothing arrives. The graph stays for another
        # set.
        return torch.autograd.grad([start], ends, [gradient], retain_graph=True, allow_unused=True)


class _Cut(torch.autograd.Function):
    """A gate as it is; on the way back, its derivative is kept, and goes no further where the gate
    is held.
    """

    @staticmethod
    def forward(ctx: Any, gate: Tensor, cuts: Cuts, name: str) -> Tensor:
        ctx.cuts = cuts
        ctx.use = name
        # A copy: what comes next may work in place.
        return gate.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None]:
        if ctx.use not in ctx.cuts._names:
            return grad_outputs[0], None, None
        ctx.cuts._slopes[ctx.use] = grad_outputs[0]
        return None, None, None


@contextmanager
def cut_gates(model: nn.Module, sites: Sequence[GateSite]) -> Iterator[Cuts]:
    """Let the gates of these uses be held in the way back through one forward pass.

    Their values stay.

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
