"""Gates beside a network's weights: they come back as they were, or a sentence says why they
cannot.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from se_viz.errors import CheckpointError
from se_viz.gates import GateSite
from se_viz.networks import NetworkCard, checkpoints, list_networks
from se_viz.networks.lenders import STEPS, Lender, read_lenders, write_lenders


@pytest.fixture
def sites() -> list[GateSite]:
    """Return two blocks of different width, one of which is used twice."""
    second = GateSite("second", 3, 5, "sigmoid")
    return [GateSite("first", 2, 3, "sigmoid"), second, replace(second, call=1)]


@pytest.fixture
def lenders(sites: list[GateSite]) -> list[Lender]:
    """Return three images' gates, some nearly shut, and some nearly open."""
    dice = torch.Generator().manual_seed(0)
    draw = {
        site.name: torch.sigmoid(8 * torch.randn(3, site.channels, generator=dice))
        for site in sites
    }
    return [
        Lender(f"{n}.jpg", f"{n:064}", {name: rows[n] for name, rows in draw.items()})
        for n in range(3)
    ]


@pytest.fixture
def card_with_lenders(
    card: NetworkCard, sites: list[GateSite], lenders: list[Lender], tmp_path: Path
) -> NetworkCard:
    """Return the card of a network beside which the gates lie, in the test's folder."""
    return replace(card, lenders=write_lenders(lenders, sites, tmp_path / "tiny.lenders.npz"))


def test_gates_come_back_for_every_use_of_a_block(
    card_with_lenders: NetworkCard, sites: list[GateSite], lenders: list[Lender], tmp_path: Path
):
    """To half a step, which is also told apart near 1, where half precision is not."""
    copies = read_lenders(card_with_lenders, sites, tmp_path)
    assert [(copy.name, copy.digest) for copy in copies] == [
        (copy.name, copy.digest) for copy in lenders
    ]
    for copy, lender in zip(copies, lenders, strict=True):
        assert copy.gates.keys() == {"first", "second", "second#2"}
        for name, gates in copy.gates.items():
            assert (gates - lender.gates[name]).abs().max() <= 0.5 / STEPS + 1e-7
    assert np.spacing(np.float16(0.9)) / 10 > 0.5 / STEPS


def test_a_network_without_lenders_has_none(
    card: NetworkCard, sites: list[GateSite], tmp_path: Path
):
    """Nothing is looked for: only the card says that there are any."""
    assert read_lenders(card, sites, tmp_path) == ()


def test_what_is_not_the_file_of_the_card_is_refused(
    card_with_lenders: NetworkCard, sites: list[GateSite], tmp_path: Path
):
    """Another network's gates, a damaged file and a missing one look alike to who reads numbers
    alone.
    """
    path = tmp_path / "tiny.lenders.npz"
    with pytest.raises(CheckpointError, match=r"gates of another network\. Restore the file"):
        read_lenders(card_with_lenders, sites[:2], tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        CheckpointError, match=r"tiny\.lenders\.npz in .* is missing, damaged, or not the file"
    ):
        read_lenders(card_with_lenders, sites, tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="Restore both files"):
        read_lenders(card_with_lenders, sites, tmp_path)


def test_the_bundled_network_brings_sixty_lenders():
    """Six of each class, every image once, and any thirty of them in order hold all classes
    alike.
    """
    (bundled,) = [card for card in list_networks() if card.lenders]
    with np.load(checkpoints.FOLDER / f"{bundled.name}.lenders.npz", allow_pickle=False) as arrays:
        gates = arrays["gates"]
        digests = arrays["digests"]
    assert gates.shape == (60, 7552)
    assert gates.dtype == np.uint16
    assert len({*digests.tolist()}) == 60
