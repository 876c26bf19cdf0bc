"""The health of gates on Explore: over the gallery, judged by limits that sliders move."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from se_viz.gates import Limits, capture_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, NetworkCard
from se_viz.networks.lenders import Lender, write_lenders
from se_viz.networks.weights import save_checkpoint
from tests.gates.test_variance import estimate_share_by_loops
from tests.support.pages import clean

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]


@pytest.fixture
def part() -> AppTest:
    """Return that part of the page alone, with the first sample chosen, after its first run."""
    return open_part()


def open_part() -> AppTest:
    """Run that part of the page as a new visitor."""

    def script() -> None:
        import streamlit as st

        from se_viz.ui.asking.analysis import get_analysis
        from se_viz.ui.explore.health import show_health
        from se_viz.ui.frame import require_choices
        from se_viz.ui.session.state import list_gallery

        st.session_state.setdefault("image", list_gallery()[0])
        choices = require_choices()
        show_health(choices, get_analysis(choices))

    part = AppTest.from_function(script, default_timeout=300)
    part.session_state["network"] = "tiny"
    part.session_state["device"] = "cpu"
    return clean(part.run())


def table(part: AppTest) -> pd.DataFrame:
    return part.dataframe[0].value


def verdicts(part: AppTest) -> set[str]:
    return {flag for flags in table(part)["flags"] for flag in flags}


def test_the_numbers_are_those_of_the_six_samples(part: AppTest, network: Network):
    """Mean and spread by NumPy, the share by loops, of one pass of all samples; last digits depend
    on the batch.
    """
    inputs = torch.cat([network.preprocess(open_image(sample.path)) for sample in list_samples()])
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(inputs)
    gates = [record.gate.double().numpy() for record in records]
    assert table(part)["mean"].tolist() == pytest.approx([gate.mean() for gate in gates], abs=1e-5)
    spreads = [gate.std(axis=1).max() for gate in gates]
    assert table(part)["over_channels"].tolist() == pytest.approx(spreads, abs=1e-5)
    shares = [100 * estimate_share_by_loops(gate) for gate in gates]
    assert table(part)["image_share"].tolist() == pytest.approx(shares, abs=1e-2)
    assert table(part)["dead"].tolist() == [0] * 16
    assert any(
        "Measured over the 6 images of the gallery" in caption.value for caption in part.caption
    )


def test_every_block_has_its_sentence(part: AppTest):
    """In forward order, as a list."""
    (words,) = [element.value for element in part.markdown if element.value.startswith("- SE_")]
    assert [line.split(":")[0] for line in words.splitlines()] == [
        f"- {label}" for label in table(part)["block"]
    ]


def test_a_moved_limit_changes_verdict_table_and_meaning(part: AppTest):
    """If all variance has to be between images no block is healthy, and the page says what the
    flag means.
    """
    part.slider(key="limit-fixed").set_value(1.0).run()
    assert all("same for every image" in flags for flags in table(part)["flags"])
    part.slider(key="limit-fixed").set_value(0.0).run()
    assert "same for every image" not in verdicts(clean(part))


def test_sliders_begin_at_the_usual_limits(part: AppTest):
    """The page and the command line must judge alike until somebody moves a limit."""
    usual = Limits()
    assert {slider.key: slider.value for slider in part.slider} == {
        f"limit-{name}": getattr(usual, name)
        for name in ("constant", "middle", "end", "most", "dead", "fixed")
    }


def test_dead_channels_are_told_by_a_second_pass(
    se_net: nn.Module, card: NetworkCard, bundled: Path, part: AppTest
):
    """Half of one block's channels are zero by their norm, which leaves squeezes of exactly 0 and
    nothing to gate.
    """
    norm = se_net.get_submodule("layer3.1.bn3.0")
    with torch.no_grad():
        for values in norm.parameters():
            values[:128] = 0
    save_checkpoint(se_net, card, bundled)
    st.cache_data.clear()
    st.cache_resource.clear()
    rows = table(clean(part.run())).set_index("block")
    assert rows["dead"].tolist() == [128 if label == "SE_4_2" else 0 for label in rows.index]
    assert "dead channels" in rows["flags"]["SE_4_2"]


def test_gates_that_come_with_a_network_count_as_images(
    se_net: nn.Module, card: NetworkCard, bundled: Path
):
    """Six samples leave half of the blocks undecided; gates of 20 more are there already, and cost
    no pass.
    """
    network = Network(se_net, card, torch.device("cpu"))
    sites = network.inspection.sites
    dice = torch.Generator().manual_seed(0)
    lenders = [
        Lender(
            str(number),
            f"{number:064}",
            {site.name: torch.rand(site.channels, generator=dice) for site in sites},
        )
        for number in range(20)
    ]
    digest = write_lenders(lenders, sites, bundled / f"{card.name}.lenders.npz")
    save_checkpoint(se_net, replace(card, lenders=digest), bundled)
    st.cache_data.clear()
    st.cache_resource.clear()
    part = open_part()
    assert any(
        "Measured over 26 images: 20 validation images whose gates come with" in caption.value
        for caption in part.caption
    )
    inputs = torch.cat([network.preprocess(open_image(sample.path)) for sample in list_samples()])
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(inputs)
    means = [
        torch.cat([record.gate, *(one.gates[record.name][None] for one in lenders)]).mean()
        for record in records
    ]
    assert table(part)["mean"].tolist() == pytest.approx([mean.item() for mean in means], abs=1e-4)
