"""The Networks page: finding, looking inside, fetching with the question first, bringing weights,
the cache.
"""

import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import torch
from streamlit import config
from streamlit.testing.v1 import AppTest

from se_viz.networks import catalogue
from se_viz.networks.architectures import build
from se_viz.networks.catalogue import read_rows, write_rows
from se_viz.networks.filling import MAX_BYTES
from se_viz.networks.zoo import find_card, is_on_disk
from se_viz.ui.words import plain
from tests import ROOT
from tests.support.loopback import Hub, run_hub

pytestmark = [pytest.mark.usefixtures("bundled"), pytest.mark.slow]

SMALL = "torchvision/mobilenet_v3_small"


def weights(classes: int = 1000) -> bytes:
    file = BytesIO()
    torch.save(build(find_card(SMALL), num_classes=classes).state_dict(), file)
    return file.getvalue()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty cache, and a hub that serves the one network of a short catalogue, after two that
    it does not.
    """
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    # As on the machine of whoever runs the app; what strangers may do has tests of its own.
    monkeypatch.setenv("SE_VIZ_DOWNLOADS", "on")
    table = tmp_path / "table.csv"
    with run_hub() as hub:
        address = hub.serve_file("small", weights())
        rows = [
            row
            for row in read_rows()
            if row["architecture"] in ("mobilenet_v3_small", "efficientnet_b0")
        ]
        rows = [
            {**row, "source": address if "v3_small" in row["architecture"] else row["source"]}
            for row in rows[:3]
        ]
        write_rows(rows, table)
        monkeypatch.setattr(catalogue, "TABLE", table)
        yield hub


@pytest.fixture
def page(hub: Hub) -> AppTest:
    """Return the page beside the sidebar, as the app shows it, before its first run."""

    def script() -> None:
        from pathlib import Path
        from runpy import run_path

        from se_viz.ui.frame import network_choice

        network_choice.show_network_choice(loads=True)
        run_path(str(Path(network_choice.__file__).parents[3] / "pages" / "networks.py"))

    return AppTest.from_function(script, default_timeout=300)


def run(page: AppTest) -> AppTest:
    assert not page.run().exception
    return page


def table(page: AppTest) -> pd.DataFrame:
    return page.dataframe[0].value


def errors(page: AppTest) -> list[str]:
    return [error.value for error in page.error]


def test_a_damaged_card_is_named_and_costs_no_other_network(page: AppTest, tmp_path: Path):
    """A half-written card of somebody's own weights must not take the bundled network from a
    class.
    """
    own = tmp_path / "cache" / "own"
    own.mkdir(parents=True)
    (own / "mine.json").write_text("{")
    run(page)
    assert "tiny" in table(page)["name"].tolist()
    assert [
        text.value
        for text in page.text
        if "own/mine is left out: mine.json is no readable JSON" in text.value
    ]


def test_a_cache_that_cannot_be_used_costs_no_bundled_network(page: AppTest, tmp_path: Path):
    """A file in the folder's place, as a full or misconfigured disk leaves it."""
    (tmp_path / "cache").write_text("")
    run(page)
    assert "tiny" in table(page)["name"].tolist()
    assert page.selectbox(key="network").value == "tiny"


def choose(page: AppTest, name: str) -> AppTest:
    """Pick a network by searching for it, which leaves one row, and clicking that row."""
    run(page).text_input(key="network-search").set_value(name).run()
    (key,) = [str(frame.key) for frame in page.dataframe if str(frame.key).startswith("networks-")]
    page.session_state[key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return run(page)


def test_the_table_says_what_each_network_costs(page: AppTest):
    """Bundled first; by torchvision's own table MobileNetV3-Small has 2.54 M parameters and 0.06
    GFLOPs.
    """
    shown = table(run(page))
    assert shown["name"].tolist()[:1] == ["tiny"]
    row = shown.set_index("name").loc[SMALL]
    assert (round(row["parameters"], 2), round(row["gflops"], 2), row["blocks"]) == (2.54, 0.06, 9)
    assert shown["here"].tolist()[0]
    assert not row["here"]


def test_details_stand_above_the_table(page: AppTest):
    """Below a table of 434 rows nobody sees what a click has shown."""
    run(page)
    kinds = [type(element).__name__ for element in page.main]
    assert kinds.index("Metric") < kinds.index("Dataframe")


def test_a_search_and_a_library_narrow_the_table(page: AppTest):
    """All words have to fit, in any order; nothing found is a sentence."""
    run(page).text_input(key="network-search").set_value("small mobilenet").run()
    assert SMALL in table(page)["name"].tolist()
    assert not any("efficientnet" in name for name in table(page)["name"])
    page.text_input(key="network-search").set_value("").run()
    page.segmented_control(key="network-filter").set_value("disk").run()
    assert table(page)["name"].tolist() == ["tiny"]
    page.text_input(key="network-search").set_value("alexnet").run()
    assert [info.value for info in page.info] == [
        "No network fits. Try a shorter part of its name, or another library."
    ]
    assert not page.exception


def test_a_network_is_fetched_only_after_the_question(page: AppTest, hub: Hub):
    """The question names size, source and place; only its button fetches, and then the network is
    in use.
    """
    choose(page, SMALL)
    assert hub.requests == []
    words = " ".join(element.value for element in page.markdown)
    assert f"Fetch 10 MB from {hub.address.removeprefix('http://')} to" in words
    page.button(key=f"download-{SMALL}").click()
    run(page)
    assert not errors(page)
    assert is_on_disk(find_card(SMALL))
    assert page.session_state["network"] == SMALL
    assert (
        SMALL in page.selectbox(key="network").options
        or len(page.selectbox(key="network").options) == 2
    )


def test_a_download_that_fails_is_one_sentence_and_changes_nothing(page: AppTest, hub: Hub):
    """The network that was in use stays in use."""
    hub.files.clear()
    choose(page, SMALL)
    page.button(key=f"download-{SMALL}").click()
    run(page)
    assert len(errors(page)) == 1
    assert "(404)" in errors(page)[0]
    assert page.session_state["network"] == "tiny"


def test_looking_inside_shows_every_block_with_its_form(page: AppTest):
    """SE-ResNet-50 at a quarter of its width: 3, 4, 6 and 3 blocks, r = 16."""
    run(page).toggle(key="network-inside").set_value(True).run()
    assert not page.exception
    inside = page.dataframe[1].value
    assert len(inside) == 16
    assert inside["Block"].tolist()[:4] == ["SE_2_1", "SE_2_2", "SE_2_3", "SE_3_1"]
    assert set(inside["Form"]) == {"torchvision SqueezeExcitation"}
    assert set(inside["r"]) == {16.0}
    assert set(inside["Gate"]) == {"Sigmoid"}


def test_own_weights_are_checked_kept_and_used(page: AppTest):
    """Three classes with names: afterwards the network is in the sidebar, and a button removes it
    again.
    """
    run(page).selectbox(key="own-architecture-tiny").set_value("torchvision/mobilenet_v3_small")
    page.file_uploader(key="own-weights").set_value(
        ("mine.pt", weights(3), "application/octet-stream")
    )
    page.text_area(key="own-labels").set_value("ant\nbee\ncat")
    run(page)
    next(button for button in page.button if button.label == "Check and use these weights").click()
    run(page)
    assert not errors(page)
    name = page.session_state["network"]
    assert name.startswith("own/mine-")
    assert [text.value for text in page.success] == [
        f"**{plain(find_card(name).title)}** fits, with 3 classes: it is in use on all pages."
    ]
    page.button(key=f"forget-{name}").click()
    run(page)
    assert page.session_state["network"] == "tiny"
    assert not page.success


def test_own_weights_that_do_not_fit_are_one_sentence(page: AppTest, tmp_path: Path):
    """Nothing is kept and the network in use stays."""
    run(page).selectbox(key="own-architecture-tiny").set_value("se_resnet50")
    page.file_uploader(key="own-weights").set_value(
        ("mine.pt", weights(3), "application/octet-stream")
    )
    run(page)
    next(button for button in page.button if button.label == "Check and use these weights").click()
    run(page)
    assert [
        error.startswith("mine.pt holds other weights than se_resnet50") for error in errors(page)
    ] == [True]
    assert page.session_state["network"] == "tiny"
    assert not (tmp_path / "cache" / "own").exists()


def test_page_server_and_library_take_weights_of_one_size(page: AppTest):
    """The server turns a larger file away before the page could say why, and the uploader names
    the server's bound.
    """
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxUploadSize"] * 2**20 == MAX_BYTES == 2**30
    assert run(page).file_uploader(key="own-weights").label == "Weights (up to 1 GB)"


def test_own_weights_without_a_classifier_are_one_sentence(page: AppTest, tmp_path: Path):
    """What a backbone answers cannot be explained: the page says so, and the network in use
    stays.
    """
    state = torch.load(BytesIO(weights(3)))
    backbone = BytesIO()
    torch.save(
        {name: value for name, value in state.items() if not name.startswith("classifier.3")},
        backbone,
    )
    run(page).selectbox(key="own-architecture-tiny").set_value("torchvision/mobilenet_v3_small")
    page.file_uploader(key="own-weights").set_value(
        ("mine.pt", backbone.getvalue(), "application/octet-stream")
    )
    run(page)
    next(button for button in page.button if button.label == "Check and use these weights").click()
    run(page)
    assert [
        error.startswith("mine.pt has no classifier: classifier.3.weight and")
        for error in errors(page)
    ] == [True]
    assert page.session_state["network"] == "tiny"
    assert not (tmp_path / "cache" / "own").exists()


def test_the_cache_is_shown_and_emptied_after_a_question(page: AppTest, hub: Hub, tmp_path: Path):
    """The network in use was emptied away: the sidebar goes back to the first."""
    choose(page, SMALL)
    page.button(key=f"download-{SMALL}").click()
    run(page)
    assert any("Downloads take 10 MB" in caption.value for caption in page.caption)
    page.button(key="empty-cache").click()
    run(page)
    assert any("Downloads take 0 MB" in caption.value for caption in page.caption)
    assert page.session_state["network"] == "tiny"


def words(page: AppTest) -> str:
    return " ".join(info.value for info in page.info)


@pytest.fixture
def address() -> Iterator[None]:
    """Return the server to the address it has in tests."""
    yield
    config.set_option("server.address", None)


@pytest.mark.parametrize("where", [None, "0.0.0.0", "192.168.1.5", "lecture.example.org"])
def test_a_stranger_cannot_fill_the_disk(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, where: str | None, address
):
    """Without an address the server listens on all of them: hundreds of networks are some 20 GB."""
    monkeypatch.delenv("SE_VIZ_DOWNLOADS")
    config.set_option("server.address", where)
    choose(page, "mobilenet_v3_small")
    keys = {button.key for button in page.button}
    assert not [
        key for key in keys if key and (key.startswith("download-") or key == "empty-cache")
    ]
    assert (
        "Downloads and emptying the cache are off here, because other machines may reach this app."
        in words(page)
    )
    assert "`python -m se_viz download NAME`" in words(page)
    assert "SE_VIZ_DOWNLOADS=on" in words(page)


@pytest.mark.parametrize("where", ["localhost", "127.0.0.1", "::1"])
def test_whoever_is_alone_with_the_app_may_download(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, where: str, address
):
    """On one's own machine a second question would be in the way."""
    monkeypatch.delenv("SE_VIZ_DOWNLOADS")
    config.set_option("server.address", where)
    choose(page, "mobilenet_v3_small")
    assert f"download-{SMALL}" in {button.key for button in page.button}
    assert not words(page)


def test_an_operator_can_close_downloads_on_any_address(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, address
):
    """Behind a proxy the address is localhost, and everybody comes from there."""
    monkeypatch.setenv("SE_VIZ_DOWNLOADS", "off")
    config.set_option("server.address", "localhost")
    choose(page, "mobilenet_v3_small")
    assert f"download-{SMALL}" not in {button.key for button in page.button}
    assert "because SE_VIZ_DOWNLOADS is off." in words(page)


def test_a_slip_in_the_setting_is_named_and_opens_nothing(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
):
    """A misspelt word may not count as permission."""
    monkeypatch.setenv("SE_VIZ_DOWNLOADS", "yes")
    choose(page, "mobilenet_v3_small")
    assert f"download-{SMALL}" not in {button.key for button in page.button}
    assert "SE_VIZ_DOWNLOADS is 'yes'. It takes on or off: set it, or unset it." in errors(page)
