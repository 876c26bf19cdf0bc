"""Design a block: the whole network, the choices, and what the network makes of them untrained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from streamlit.testing.v1 import AppTest

from se_viz.experiments import analyse, redesign
from se_viz.gates.designs import Design
from se_viz.networks import Network
from se_viz.ui.asking.engine import get_engine
from se_viz.ui.bench.paper import TABLES
from tests.support.pages import (
    chosen,
    clean,
    components,
    figure,
    get_network,
    noise,
    session,
    words,
)

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

BLOCK = "layer3.2.bn3.1"
OWN = "The network's own answer: no gate has changed."


def show(**state: object) -> AppTest:
    """Return the page after its first run, with SE_4_3 of the tiny network open."""
    return clean(session("bench.py", image=chosen(noise()), **{"block": BLOCK, **state}).run())


def boxes(page: AppTest) -> dict[str, dict]:
    """Return what is drawn of each block, by its name."""
    stages = components(page, "se_viz_network_map")[0]["stages"]
    return {box["name"]: box for stage in stages for box in stage["boxes"]}


def table_of(page: AppTest, first: str) -> list[list[str]]:
    """Return the cells of the table whose head begins with a word."""
    text = next(text.value for text in page.markdown if text.value.startswith(f"| {first}"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_nothing_chosen_asks_for_a_photo():
    """Without a photo there are no gates."""
    page = clean(session("bench.py").run())
    assert not page.get("plotly_chart")
    assert page.get("file_uploader")


def test_at_first_the_page_shows_the_network_as_it_is():
    """Whoever has chosen nothing sees the network's own answer, size and gates."""
    page = show()
    assert OWN in words(page)
    assert ":primary-badge[not retrained]" in words(page)
    rows = table_of(page, "These 16 blocks")
    assert [row[1] == row[2] for row in rows[2:]] == [True, True]
    assert not any(chart.key == "bench-reaction" for chart in page.get("plotly_chart"))
    drawn = boxes(page)
    assert len(drawn) == 16
    assert [name for name, box in drawn.items() if box["opened"]] == [BLOCK]
    assert drawn[BLOCK] | {"channels": 256, "size": "4 × 4", "label": "SE_4_3"} == drawn[BLOCK]


@pytest.mark.parametrize(
    ("state", "design"),
    [
        ({"bench-scope": "block", "bench-squeeze": "max"}, {"squeeze": "max"}),
        ({"bench-scope": "block", "bench-squeeze": "none"}, {"squeeze": "none"}),
        ({"bench-scope": "block", "bench-excitation": "tanh"}, {"excitation": "tanh"}),
        ({"bench-scope": "block", "bench-ratio": 32}, {"ratio": 32}),
        ({"bench-scope": "block", "bench-stage-2-3-4-5": 4}, {"stage": 4}),
    ],
    ids=str,
)
def test_each_switch_shows_what_the_library_says(state: dict, design: dict):
    """The page computes nothing: its gates and distance are those of `redesign`."""
    page = show(**state, **{"bench-order": "channel"})
    network = get_network()
    changed = redesign(network, noise(), Design((BLOCK,), **design), whole=True)
    points = figure(page, "bench-gates")["data"][0]["y"]
    values = np.frombuffer(_decode(points), points["dtype"]) if isinstance(points, dict) else points
    expected = changed.analysis.record(BLOCK).gate[0].numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert f"**{changed.divergence:.3g} nats**" in words(page)
    own = analyse(network, noise(), whole=True)
    assert not torch.equal(own.logits, changed.analysis.logits)
    assert figure(page, "bench-reaction")


def _decode(points: dict) -> bytes:
    import base64

    return base64.b64decode(points["bdata"])


def test_a_smaller_ratio_changes_the_count_and_no_gate():
    """New units put out 0: twice the products, and the answer of the network itself."""
    page = show(**{"bench-ratio": 8})
    assert OWN in words(page)
    rows = {row[0]: row[1:] for row in table_of(page, "These 16 blocks")}
    before, after = (int(cell.strip("*").replace(",", "")) for cell in rows["Multiply-adds"])
    assert after == 2 * before


def test_a_stage_alone_is_drawn_and_counted():
    """The other stages' boxes are dashed, and their blocks cost nothing any more."""
    page = show(**{"bench-stage-2-3-4-5": 4})
    drawn = boxes(page)
    assert {box["label"][:4] for box in drawn.values() if box["bypassed"]} == {
        "SE_2",
        "SE_3",
        "SE_5",
    }
    assert {box["label"][:4] for box in drawn.values() if box["chosen"]} == {"SE_4"}
    network = get_network()
    kept = [site for site in network.inspection.sites if site.stage == 4]
    products = sum(2 * site.channels * (site.hidden or 0) for site in kept)
    rows = {row[0]: row[1:] for row in table_of(page, "These 16 blocks")}
    assert int(rows["Multiply-adds"][1].strip("*").replace(",", "")) == products


@pytest.mark.parametrize(
    ("state", "table", "row"),
    [
        ({}, "ratio", ["**▶ r = 16: in use**", "**22.28 %**"]),
        ({"bench-ratio": 32}, "ratio", ["**▶ r = 32: in use**", "**22.72 %**"]),
        ({"bench-squeeze": "none"}, "squeeze", ["**▶ none: in use**", "**22.93 %**"]),
        ({"bench-excitation": "relu"}, "excitation", ["**▶ ReLU: in use**", "**23.47 %**"]),
        ({"bench-stage-2-3-4-5": 3}, "stage", ["**▶ stage 3 alone: in use**", "**23.04 %**"]),
        ({"bench-stage-2-3-4-5": 5}, "stage", []),
        ({}, "integration", []),
    ],
    ids=str,
)
def test_the_papers_row_in_use_is_marked(state: dict, table: str, row: list[str]):
    """Beside each choice stands what the paper measured; of what it did not measure, nothing."""
    page = show(**state, **{"bench-table": table})
    marked = [cells for cells in table_of(page, TABLES[table].title) if "in use" in cells[0]]
    assert marked == ([row] if row else [])
    assert ("insert_se" in words(page)) == (table == "integration")
    assert "do not predict" in words(page)


def test_the_paper_follows_the_switch():
    """Whoever turns a switch wants to know what the paper says of that one."""
    page = show()
    assert page.selectbox(key="bench-table").value == "ratio"
    for key, value, table in (
        ("bench-squeeze", "max", "squeeze"),
        ("bench-excitation", "tanh", "excitation"),
        ("bench-ratio", 4, "ratio"),
        ("bench-stage-2-3-4-5", 4, "stage"),
    ):
        page = clean(page.segmented_control(key=key).set_value(value).run())
        assert page.selectbox(key="bench-table").value == table


@pytest.fixture
def eca(bundled: Path) -> Iterator[str]:
    """Keep a network loaded whose blocks have one convolution, and no two layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=5, block_args={"attn_layer": "eca"})
    network = Network.from_model(model.eval(), input_size=64)
    with get_engine().residents("cpu").borrow("eca", lambda: network, lambda: None):
        yield "eca"


def test_blocks_that_cannot_be_opened_say_so_and_stay(eca: str):
    """A sentence in place of wrong arithmetic, and stages can be switched all the same."""
    page = session("bench.py", image=chosen(noise()), network=eca, **{"bench-squeeze": "max"})
    page = clean(page.run())
    (info,) = page.info
    assert "stays as it is. So do" in info.value
    assert "not by the paper's layer" in info.value
    assert OWN in words(page)
    assert not any(box["chosen"] for box in boxes(page).values())
    sites = get_network(eca).inspection.sites
    stages = sorted({site.stage for site in sites})
    key = f"bench-stage-{'-'.join(map(str, stages))}"
    page = clean(page.segmented_control(key=key).set_value(stages[0]).run())
    assert sum(box["bypassed"] for box in boxes(page).values()) == sum(
        site.stage != stages[0] for site in sites
    )


def test_a_use_of_a_block_that_is_used_twice_is_shown(bundled: Path, network: Network):
    """A design is of the block, and so of both its uses."""
    network.model.set_submodule(BLOCK, network.model.get_submodule("layer3.1.bn3.1"))
    reused = Network(network.model, network.card, network.device)
    with get_engine().residents("cpu").borrow("tiny", lambda: reused, lambda: None):
        page = show(block="layer3.1.bn3.1#2", **{"bench-scope": "block", "bench-squeeze": "none"})
        drawn = boxes(page)
    assert [name for name, box in drawn.items() if box["chosen"]] == [
        "layer3.1.bn3.1",
        "layer3.1.bn3.1#2",
    ]
