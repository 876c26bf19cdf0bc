"""Narrow places: what lies behind acts through them alone."""

import torch
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from se_viz.gates.narrows import Narrows


def node_of(value: Tensor) -> Node:
    return get_gradient_edge(value).node


def test_two_ways_that_meet_are_narrow_where_they_meet():
    """y = exp(sin(x) * cos(x)): both factors act through the product alone, which is behind the
    exponential.
    """
    x = torch.tensor(0.3, requires_grad=True)
    sine = x.sin()
    cosine = x.cos()
    product = sine * cosine
    narrows = Narrows(product.exp())
    for values, expected in (
        ([sine, cosine], product),
        ([x, sine], product),
        ([x], x),
        ([sine], sine),
    ):
        assert narrows.before([node_of(value) for value in values]).node is node_of(expected)


def test_a_way_past_everything_is_narrow_at_the_end_only():
    """y = (x * x) + x: x reaches the sum past the product, so that both together act through the
    sum.
    """
    x = torch.tensor(0.3, requires_grad=True)
    square = x * x
    value = square + x
    assert Narrows(value).before([node_of(square), node_of(x)]).node is node_of(value)


def test_several_outputs_of_one_step_are_not_narrow():
    """Both halves of a split act, and one derivative would tell of one of them: the sum behind
    them tells of both.
    """
    x = torch.ones(4, requires_grad=True)
    first, second = x.exp().split(2)
    product = first * second
    assert Narrows(product.sum()).before([node_of(first)]).node is node_of(product)


def test_what_is_not_in_the_graph_asks_for_nothing():
    """A gate that does not act on the value may be named."""
    x = torch.ones(2, requires_grad=True)
    stranger = torch.ones(2, requires_grad=True)
    narrows = Narrows((2 * x).sum())
    assert narrows.before([node_of(x), node_of(stranger)]).node is node_of(x)
