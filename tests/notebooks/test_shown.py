"""What a notebook shows: numbers of the library, in HTML that needs nothing else."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

import se_viz
from se_viz.errors import ImageError
from se_viz.experiments import analyse
from se_viz.gates.tables import summarise_blocks
from se_viz.images.reading import list_samples
from se_viz.networks import Network
from se_viz.notebooks import Shown

pytestmark = pytest.mark.slow

PHOTO = list_samples()[0].path


class Cells(HTMLParser):
    """Gathers the texts of all cells, and the addresses that the page asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a cell begins, and what is loaded."""
        self._open = tag in ("td", "th")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        """Keep the text of a cell."""
        if self._open and data.strip():
            self.cells.append(data.strip())


@pytest.fixture(scope="module")
def shown(session_network: Network) -> Shown:
    return se_viz.show(session_network, PHOTO)


def test_one_call_gives_answer_gates_and_map(shown: Shown):
    """The same as by the functions that it stands for."""
    network = shown.network
    photo = se_viz.open_image(PHOTO)
    alone = analyse(network, photo)
    assert torch.equal(shown.analysis.logits, alone.logits)
    best, probability = alone.top(1)[0]
    assert shown.answer.iloc[0].tolist() == [network.classes[best], probability]
    expected = se_viz.attribute(network, network.preprocess(photo), best, "grad_cam")
    assert torch.equal(shown.attribution.map, expected.map)
    assert shown.map.size == shown.image.size == (network.card.input_size,) * 2
    rows = [block["path"] for block in map(dict, shown.blocks.to_dict("records"))]
    assert rows == [record.name for record in alone.records]
    assert all(row in (shown.gates.to_json() or "") for row in rows)


def test_a_notebook_needs_nothing_from_elsewhere(shown: Shown):
    """Pictures and the figure lie in the page, which names the five best classes."""
    html = shown._repr_html_()
    page = Cells(html)
    assert page.cells[0] == shown.answer["class"][0]
    assert page.cells[1] == f"{shown.answer['probability'][0]:.1%}"
    assert len(page.addresses) == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    frame = unescape(html.split('srcdoc="')[1].split('"')[0])
    assert frame.startswith("<!doctype html>")
    assert not re.search(r"<script[^>]+src=", frame)


def test_a_plain_model_is_taken(se_net: torch.nn.Module):
    """Its classes are numbered; names that are markup stay text."""
    shown = se_viz.show(se_net, PHOTO, "saliency")
    assert str(shown.answer["class"][0]).startswith("class ")
    network = se_viz.Network.from_model(se_net, classes=["<script>x</script>"] * 5)
    assert "<script>x" not in se_viz.show(network, PHOTO, "saliency")._repr_html_()


def test_records_and_analyses_show_one_row_a_block(shown: Shown):
    network = shown.network
    with torch.no_grad(), se_viz.capture_gates(network.model) as records:
        assert "run the model" in records._repr_html_()  # pyright: ignore
        network.model(network.preprocess(se_viz.open_image(PHOTO)))
    table = summarise_blocks(records)
    for html in (records._repr_html_(), shown.analysis._repr_html_()):  # pyright: ignore
        cells = Cells(html).cells
        assert [name for name in table["block"] if name in cells] == [*table["block"]]
        assert f"{table['mean'][0]:.3f}" in cells


def test_a_file_that_is_no_photo_is_a_sentence(tmp_path: Path, network: Network):
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(ImageError, match=r"not an image se_viz can read"):
        se_viz.show(network, tmp_path / "a.jpg")
