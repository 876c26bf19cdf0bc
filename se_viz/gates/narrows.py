"""Narrow places in the graph of a value's derivatives, through which all of what lies behind them
acts on it.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import reduce
from graphlib import TopologicalSorter

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node


class Narrows:
    """The graph that autograd goes back through from a value, and for each node the nearest one it
    cannot pass by.

    That is its immediate dominator (Cooper, Harvey and Kennedy, "A simple, fast dominance
    algorithm", 2001); the graph has no cycles, so that one walk finds them all.
    """

    def __init__(self, value: Tensor) -> None:
        """Walk through the graph of a value that was computed with gradients."""
        users, self._places = _explore(torch.autograd.graph.get_gradient_edge(value))
        self._above: dict[Node, Node] = {}
        self._depth: dict[Node, int] = {}
        for node in TopologicalSorter(users).static_order():
            above = reduce(self._meet, users[node]) if users[node] else node
            self._above[node] = above
            self._depth[node] = self._depth[above] + 1 if users[node] else 0

    @property
    def nodes(self) -> Iterable[Node]:
        """Every node of the graph."""
        return self._above

    def before(self, nodes: Iterable[Node]) -> GradientEdge:
        """Return the last edge that no way from the value to any of these nodes passes by."""
        node = reduce(self._meet, (node for node in nodes if node in self._above))
        # One derivative has to tell all: a node with several outputs is no narrow place.
        while len(self._places[node]) > 1:
            node = self._above[node]
        return GradientEdge(node, min(self._places[node]))

    def _meet(self, first: Node, second: Node) -> Node:
        # The deeper of the two climbs until both are the same.
        while first is not second:
            if self._depth[first] < self._depth[second]:
                first, second = second, first
            first = self._above[first]
        return first


def _explore(edge: GradientEdge) -> tuple[dict[Node, set[Node]], dict[Node, set[int]]]:
    """Return for each node behind an edge those that use it, and which of its outputs they use."""
    users: dict[Node, set[Node]] = {edge.node: set()}
    places: defaultdict[Node, set[int]] = defaultdict(set, {edge.node: {edge.output_nr}})
    waiting = [edge.node]
    while waiting:
        user = waiting.pop()
        for node, place in user.next_functions:
            if node is not None:
                if node not in users:
                    users[node] = set()
                    waiting.append(node)
                users[node].add(user)
                places[node].add(place)
    return users, places
