from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from se_viz.charts.palettes import LIGHT
from se_viz.charts.scales import GATES
from se_viz.charts.surgery import draw_answers, draw_choice, draw_reaction

NOBODY = np.array([], dtype=int)


@pytest.fixture
def block() -> pd.DataFrame:
    """Return four channels of one block, of which channel 2 was shut by hand."""
    gate = np.array([0.2, 0.9, 0.6, 0.4])
    after = np.array([0.2, 0.9, 0.0, 0.4])
    return pd.DataFrame({"channel": range(4), "gate": gate, "after": after, "change": after - gate})


@pytest.fixture
def network() -> pd.DataFrame:
    """Return the gates of three blocks of two channels; the first was edited, the others react a
    little.
    """
    change = [-0.9, 0.0, 0.02, -0.04, 0.0, 0.01]
    paths = ["a", "a", "b", "b", "c", "c"]
    labels = {"a": "SE_2_1", "b": "SE_2_2", "c": "SE_3_1"}
    return pd.DataFrame(
        {
            "block": [labels[path] for path in paths],
            "path": paths,
            "stage": [2, 2, 2, 2, 3, 3],
            "channel": [0, 1] * 3,
            "gate": 0.95,
            "change": change,
        }
    )


def traces(figure: go.Figure, kind: type) -> list[Any]:
    return [trace for trace in figure.data if isinstance(trace, kind)]


def test_points_keep_their_places_while_gates_change(block: pd.DataFrame):
    """Sorted by the gate before any edit, so that what was picked does not run away; heights are
    the gates now.
    """
    points: Any = draw_choice(block, LIGHT, order="gate", selection=NOBODY, span=GATES).data[0]
    assert list(points.customdata) == ["1", "2", "3", "0"]
    assert list(points.y) == [0.9, 0.0, 0.4, 0.2]
    assert points.selectedpoints is None


def test_a_stem_leads_from_the_old_gate_to_the_new_one(block: pd.DataFrame):
    """Only the changed channel has one: at its place, from 0.6 down to 0."""
    stems: Any = draw_choice(block, LIGHT, order="channel", selection=NOBODY, span=GATES).data[1]
    assert list(stems.x) == [2, 2, 2]
    assert list(stems.y)[:2] == [0.6, 0.0]
    assert stems.mode == "lines"


def test_picked_channels_are_stressed_wherever_they_stand(block: pd.DataFrame):
    """Channels 0 and 2 are the last and the second point of the sorted row."""
    figure = draw_choice(
        block, LIGHT, order="gate", selection=np.array([0, 2]), span=GATES, areas=True
    )
    points: Any = figure.data[0]
    assert sorted(points.selectedpoints) == [1, 3]
    nobody: Any = draw_choice(
        block, LIGHT, order="gate", selection=NOBODY, span=GATES, areas=True
    ).data[0]
    assert nobody.selectedpoints is None


def test_what_clicks_have_picked_is_drawn_without_the_browsers_selection(block: pd.DataFrame):
    """A point that the browser holds for selected would not tell of the next click on it, which
    takes it away.
    """
    figure: Any = draw_choice(block, LIGHT, order="gate", selection=np.array([0, 2]), span=GATES)
    points = figure.data[0]
    assert points.selectedpoints is None
    assert list(points.marker.size) == [4, 9, 4, 9]
    assert figure.layout.dragmode is False
    nobody: Any = draw_choice(block, LIGHT, order="gate", selection=NOBODY, span=GATES).data[0]
    assert nobody.marker.size == 7


def test_gates_stand_on_their_fixed_scale_with_a_rule(block: pd.DataFrame):
    """0 to 1 with a rule at 0.5; what a factor has lifted above 1 is still inside."""
    layout: Any = draw_choice(block, LIGHT, order="gate", selection=NOBODY, span=GATES).layout
    low, high = layout.yaxis.range
    assert low < 0 < 1 < high < 1.1
    assert [shape.y0 for shape in layout.shapes] == [0.5]
    lifted: Any = draw_choice(
        block.assign(after=block["gate"] * 2), LIGHT, order="gate", selection=NOBODY, span=GATES
    )
    assert lifted.layout.yaxis.range[1] > 1.8


def test_an_answer_shows_both_shares_and_both_logits():
    """The bar is what it is now, the tick what it was, and the words hold both numbers."""
    table = pd.DataFrame(
        {
            "class": ["cat", "a dog with a very long name indeed"],
            "before": [0.8, 0.1],
            "after": [0.25, 0.1],
        }
    ).assign(logit_before=[4.0, 2.0], logit_after=[1.5, 2.0])
    figure = draw_answers(table, LIGHT)
    (bar,) = traces(figure, go.Bar)
    (tick,) = traces(figure, go.Scatter)
    assert list(bar.x) == [25.0, 10.0]
    assert list(tick.x) == [80.0, 10.0]
    layout: Any = figure.layout
    texts = [note.text for note in layout.annotations]
    assert texts[:2] == ["cat", "80.0% → <b>25.0%</b> · logit 4.00 → <b>1.50</b>"]
    assert texts[2].endswith("…")
    assert len(texts[2]) <= 26
    assert texts[3] == "<b>10.0%</b> · logit <b>2.00</b>"
    assert tuple(layout.xaxis.range) == (0, 100)


def test_the_scale_of_the_reaction_is_that_of_untouched_blocks(network: pd.DataFrame):
    """-0.9 was set by hand: on its scale the others, at most 0.04, would be pale; it is marked as
    beyond instead.
    """
    figure = draw_reaction(network, LIGHT, edited={"a"}, selected=None)
    first, second = traces(figure, go.Heatmap)
    layout: Any = figure.layout
    assert layout.coloraxis.colorbar.ticktext[1] == "0"
    low, high = (float(text) for text in layout.coloraxis.colorbar.ticktext[::2])
    assert (low, high) == (-0.04, 0.04)
    # Half of 0.04 up lies halfway from the middle code 63 to 126, and -0.9 has the code of what is
    # below.
    assert first.z[1].tolist()[0] == pytest.approx(94, abs=1)
    assert first.z[0].tolist() == [-1, 63]
    assert second.z[0].tolist()[0] == 63
    assert list(layout.yaxis.ticktext) == ["✎ SE_2_1", "SE_2_2", "SE_3_1"]


def test_the_means_of_what_reacts_can_be_read(network: pd.DataFrame):
    """Mean and spread of b are -0.01 and 0.03: the axis reaches a little further than 0.04, and is
    symmetric.
    """
    layout: Any = draw_reaction(network, LIGHT, edited={"a"}, selected=None).layout
    low, high = layout.xaxis2.range
    assert low == -high
    assert 0.04 < high < 0.06


def test_the_side_plot_has_numbers_at_its_ends(network: pd.DataFrame):
    """Without them nobody knows whether gates moved by a half or by a thousandth: -0.01 ± 0.03 lies
    within 0.04, and of an edited network the means are those of the edits.
    """
    layout: Any = draw_reaction(network, LIGHT, edited={"a"}, selected=None).layout
    assert list(layout.xaxis2.ticktext) == ["−0.04", "0", "+0.04"]
    assert list(layout.xaxis2.tickvals) == [-0.04, 0, 0.04]
    assert layout.xaxis2.range[0] < -0.04 < 0.04 < layout.xaxis2.range[1]
    every: Any = draw_reaction(network, LIGHT, edited={"a", "b", "c"}, selected=None).layout
    # Block a: -0.9 and 0, so -0.45 ± 0.45.
    assert list(every.xaxis2.ticktext) == ["−0.9", "0", "+0.9"]


def test_where_every_block_was_edited_the_scale_is_theirs(network: pd.DataFrame):
    """A whole network set to 0 leaves no untouched row to fit."""
    layout: Any = draw_reaction(network, LIGHT, edited={"a", "b", "c"}, selected="b").layout
    assert float(layout.coloraxis.colorbar.ticktext[2]) == pytest.approx(0.9, rel=0.05)
    assert len([shape for shape in layout.shapes if shape.type == "rect"]) == 1
