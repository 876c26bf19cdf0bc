import json

import numpy as np
import pytest

from se_viz.charts import dress
from se_viz.charts.dress import make_figure
from se_viz.charts.palettes import LIGHT

DATA = [
    {
        "type": "scatter",
        "x": np.arange(3, dtype=np.float32),
        "y": [1, 2, 3],
        "text": ["a", "b", "c"],
    }
]
LAYOUT = {
    "xaxis": {"title": "share", "range": [0, 3]},
    "yaxis": {"visible": False},
    "annotations": [{"text": "one"}],
}


def test_a_figure_that_was_not_looked_at_draws_the_same(monkeypatch: pytest.MonkeyPatch):
    """The app leaves out Plotly's validation, which must not change what the browser is given."""
    checked = make_figure(DATA, LAYOUT, LIGHT)
    monkeypatch.setattr(dress, "validated", False)
    assert json.loads(str(make_figure(DATA, LAYOUT, LIGHT).to_json())) == json.loads(
        str(checked.to_json())
    )


def test_tests_look_at_every_property():
    """A word that Plotly does not know would be ignored by the browser without any complaint."""
    with pytest.raises(ValueError, match="hight"):
        make_figure(DATA, LAYOUT | {"hight": 100}, LIGHT)
