"""Attributions as a notebook shows them: their own numbers, and maps that can be read back."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import se_viz
from se_viz.attribution.gates import GateAttribution, attribute_neuron
from se_viz.attribution.layers import attribute_layer
from se_viz.attribution.question import Attribution, Layer, Target
from se_viz.gates.neurons import Neuron
from se_viz.images import list_samples
from se_viz.networks import Network
from se_viz.notebooks import draw
from tests.notebooks.test_shown import Cells


def pictures_in(html: str) -> list[np.ndarray]:
    """Return the pictures of a page, which lie in it."""
    codes = re.findall(r'src="data:image/\w+;base64,([^"]+)"', html)
    return [
        np.asarray(Image.open(BytesIO(base64.b64decode(code))).convert("RGB")).astype(int)
        for code in codes
    ]


class Balance(HTMLParser):
    """Counts elements that are open."""

    open = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one more, unless it has no end."""
        self.open += tag not in ("img", "br")

    def handle_endtag(self, tag: str) -> None:
        """Note one less."""
        self.open -= 1


def is_whole(html: str) -> bool:
    parser = Balance()
    parser.feed(html)
    return parser.open == 0


def test_a_map_is_drawn_where_it_is_and_of_its_sign():
    """Red speaks for a class and blue against it; what says nothing stays white."""
    values = torch.zeros(64, 64)
    values[:32, :32] = 1.0
    values[32:, 32:] = -1.0
    result = Attribution("saliency", 3, values, True, 0.25, None, None, None, against=1)
    html = result._repr_html_()
    (picture,) = pictures_in(html)
    side = len(picture)
    quarter = side // 4
    for_it, against, nothing = (
        picture[row, column]
        for row, column in (
            (quarter, quarter),
            (3 * quarter, 3 * quarter),
            (quarter, 3 * quarter),
        )
    )
    assert for_it[0] > for_it[2] + 50
    assert against[2] > against[0] + 50
    assert nothing.min() > 245
    cells = Cells(html).cells
    assert cells == [
        *("explains", "class 3 against class 1"),
        *("completeness error", "nothing promised"),
        *("seconds", "0.25"),
    ]
    assert is_whole(html)


def test_gates_are_listed_from_both_ends():
    """Five that did most for the class, and five that did most against it."""
    values = torch.arange(-6.0, 6.0)
    html = GateAttribution("gradient_x_gate", "layer1.0.se", values, 0.5, -0.01)._repr_html_()
    cells = Cells(html).cells
    numbers = [(cells[at], cells[at + 1]) for at in range(cells.index("value") + 1, len(cells), 2)]
    assert [channel for channel, _ in numbers] == [
        *("11", "10", "9", "8", "7", "4", "3", "2", "1", "0")
    ]
    assert numbers[0][1] == "+5.0000"
    assert numbers[-1][1] == "-6.0000"
    assert cells[cells.index("past the gates") + 1] == "+0.500 logits"
    assert is_whole(html)


@pytest.fixture(scope="module")
def inputs(session_network: Network) -> Tensor:
    return session_network.preprocess(se_viz.open_image(list_samples()[0].path))


@pytest.mark.slow
def test_what_the_library_computes_draws_itself(session_network: Network, inputs: Tensor):
    """Whatever stands in the last line of a cell: each kind has a picture or a table."""
    block = session_network.inspection.sites[-1].name
    trace = se_viz.trace_paths(session_network, inputs, 0, n_steps=2)
    first = next(iter(trace.flows))
    values = [
        (se_viz.attribute(session_network, inputs, 0, "saliency"), 1),
        (attribute_neuron(session_network, inputs, Neuron(block, 3), "saliency"), 1),
        (attribute_layer(session_network, inputs, Target(0), layer=Layer("before", block)), 1),
        (se_viz.attribute_gates(session_network, inputs, 0, "gradient_x_gate", block=block), 0),
        (trace, 2),
        (trace.flows[first], 1),
    ]
    for value, count in values:
        html = value._repr_html_()
        assert len(pictures_in(html)) == count
        assert "<table" in html
        assert is_whole(html)
    cells = Cells(trace._repr_html_()).cells
    at = cells.index(first)
    flow = trace.flows[first]
    assert cells[at + 1 : at + 3] == [f"{flow.bypass:+.3f}", f"{flow.carried:+.3f}"]


def test_other_values_are_not_drawn():
    """A slip here would be an empty cell."""
    with pytest.raises(TypeError, match="int is not drawn"):
        draw(3)
