"""What visitors take home: every value of the tables, and figures that open by themselves."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from .steps import BLOCKS, Visit, box, channel_maps, figure, gate_map, open_visit

pytestmark = pytest.mark.browser


def save(page: Page, button: Locator, folder: Path) -> Path:
    """Press a button and return the file that comes, under the name it comes with."""
    with page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def save_table(tour: Visit, kind: str, folder: Path) -> Path:
    return save(tour.page, tour.page.get_by_role("button", name=f"Gates as {kind}"), folder)


def expect_same(table: pd.DataFrame, gates: pd.DataFrame, photo: Path) -> None:
    """Check every value of a table against the library's, bit for bit as float32."""
    assert (
        table[["path", "channel"]].to_numpy().tolist()
        == gates[["path", "channel"]].to_numpy().tolist()
    )
    for column in ("squeeze", "gate"):
        np.testing.assert_array_equal(
            table[column].to_numpy(dtype=np.float32), gates[column].to_numpy()
        )
    assert set(table["image"]) == {photo.name}
    assert list(dict.fromkeys(table["block"])) == BLOCKS
    assert [int(name.split("_")[1]) for name in table["block"]] == table["stage"].tolist()


def test_parquet_holds_every_gate(tour: Visit, gates: pd.DataFrame, photo: Path, tmp_path: Path):
    """A binary format loses nothing: the columns are float32 as they were captured."""
    path = save_table(tour, "Parquet", tmp_path)
    table = pd.read_parquet(path)
    assert path.suffix == ".parquet"
    assert (table["gate"].dtype, table["squeeze"].dtype) == (np.float32, np.float32)
    expect_same(table, gates, photo)


def test_csv_holds_every_gate(tour: Visit, gates: pd.DataFrame, photo: Path, tmp_path: Path):
    """Enough digits are written to read the same float32 again."""
    path = save_table(tour, "CSV", tmp_path)
    assert path.suffix == ".csv"
    with path.open(newline="", encoding="utf-8") as file:
        table = pd.DataFrame(csv.DictReader(file))
    # Python's float rounds correctly; pandas' own reader is a digit off now and then.
    numbers = {"stage": int, "channel": int, "squeeze": float, "gate": float}
    expect_same(
        table.assign(**{name: table[name].map(kind) for name, kind in numbers.items()}),
        gates,
        photo,
    )


def test_json_holds_every_gate(tour: Visit, gates: pd.DataFrame, photo: Path, tmp_path: Path):
    """Records as every language reads them, again with enough digits for float32."""
    path = save_table(tour, "JSON", tmp_path)
    assert path.suffix == ".json"
    expect_same(pd.DataFrame(json.loads(path.read_text())), gates, photo)


@pytest.mark.parametrize("key", ["gates", "most-open"])
def test_the_camera_saves_a_figure_as_png(tour: Visit, key: str, tmp_path: Path):
    """A picture for slides: twice the size on screen, and not an empty one."""
    shown = {
        "gates": gate_map(tour.page),
        "most-open": channel_maps(tour.page, key),
    }[key]
    shown.hover()
    path = save(tour.page, shown.get_by_role("button", name="Download plot as a PNG"), tmp_path)
    with Image.open(path) as picture:
        assert (path.name, picture.format) == (f"se_viz-{key}.png", "PNG")
        assert picture.width == pytest.approx(2 * box(shown)["width"], abs=4)
        assert len(picture.convert("RGB").resize((200, 200)).getcolors(40_000) or []) > 20


def test_the_camera_of_a_chart_saves_vectors(tour: Visit, tmp_path: Path):
    """For papers and posters: words stay words, and the photo lies below the map."""
    shown = figure(tour.page, "attribution")
    shown.hover()
    path = save(tour.page, shown.get_by_role("button", name="Download plot"), tmp_path)
    assert path.name == "se_viz-attribution.svg"
    graphic = path.read_text()
    assert re.search(r"<text[^>]*>[^<]*(none → strongest|against ← 0 → for)", graphic)
    assert graphic.count("<image") >= 2


def test_a_figure_saved_as_html_opens_without_a_network(
    tour: Visit, browser: Browser, tmp_path: Path
):
    """The file draws all 16 blocks in a browser that is offline, and asks for nothing but
    itself.
    """
    path = save(tour.page, tour.page.locator(".st-key-html-gates").get_by_role("button"), tmp_path)
    assert path.name == "se_viz-gates.html"
    assert path.stat().st_size < 1_000_000
    with open_visit(browser, path.as_uri(), offline=True) as alone:
        expect(alone.page.locator(".ytick text")).to_have_text(
            [re.compile(block) for block in BLOCKS]
        )
        expect(alone.page.locator(".heatmaplayer image")).to_have_count(4)
        assert {address.split(":")[0] for address in alone.requests} <= {"file", "data", "blob"}
