from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from se_viz import capture_gates
from se_viz.errors import DataError, EditError
from se_viz.experiments.analysis import Analysis, analyse
from se_viz.experiments.counterfactuals import (
    SCOPES,
    Counterfactual,
    Replacement,
    gates_of,
    list_places,
    mean_gates,
    run_counterfactuals,
    run_lenders,
    summarise_counterfactuals,
    tabulate_counterfactuals,
)
from se_viz.networks import Network
from se_viz.networks.lenders import Lender

pytestmark = pytest.mark.slow

SIZES = {2: 3, 3: 4, 4: 6, 5: 3}
"""Blocks in each stage of an SE-ResNet-50 (arXiv 1709.01507, Table 1)."""


def noise(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def analyses(network: Network) -> list[Analysis]:
    """Return three images' gates."""
    return [analyse(network, noise(seed)) for seed in range(3)]


def softmax(network: Network, model: nn.Module, image: Image.Image) -> np.ndarray:
    """Run one image alone; the softmax is NumPy's, in double precision."""
    with torch.no_grad():
        logits = model(network.preprocess(image))[0].double().numpy()
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def check(counterfactual: Counterfactual, live: np.ndarray, replaced: np.ndarray) -> None:
    """Compare a counterfactual with two answers that were made without it."""
    predicted = live.argmax()
    assert (counterfactual.predicted, counterfactual.answer) == (predicted, replaced.argmax())
    assert counterfactual.kept == (replaced.argmax() == predicted)
    # 1e-5: an image alone is added up in another order than in a batch.
    assert counterfactual.live == pytest.approx(live[predicted], abs=1e-5)
    assert counterfactual.change == pytest.approx(replaced[predicted] - live[predicted], abs=1e-5)
    divergence = sum(p * np.log(p / q) for p, q in zip(live, replaced, strict=True))
    assert counterfactual.divergence == pytest.approx(divergence, abs=1e-5)


class Fixed(nn.Module):
    """An SE block's place taken by constant multipliers."""

    def __init__(self, gates: Tensor) -> None:
        super().__init__()
        self.gates = gates

    def forward(self, features: Tensor) -> Tensor:
        """Multiply, as the block it stands for does."""
        return features * self.gates[None, :, None, None]


def members(network: Network, scope: str) -> list[list[str]]:
    """List the blocks of each place by counting stages, in forward order."""
    paths = [site.block for site in network.inspection.sites]
    ends = {"block": range(1, 17), "stage": np.cumsum([*SIZES.values()]), "network": [16]}[scope]
    return [paths[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("scope", SCOPES)
def test_all_ones_are_the_network_without_the_blocks(
    network: Network, analyses: list[Analysis], scope: str
):
    """U times 1 is U: every number follows from the same model with identities in the blocks'
    places.
    """
    counterfactuals = run_counterfactuals(
        network, noise(0), Replacement("ones", scope), gates_of(analyses[0])
    )
    live = softmax(network, network.model, noise(0))
    for counterfactual, paths in zip(counterfactuals, members(network, scope), strict=True):
        without = deepcopy(network.model)
        for path in paths:
            without.set_submodule(path, nn.Identity())
        check(counterfactual, live, softmax(network, without, noise(0)))
    assert max(counterfactual.divergence for counterfactual in counterfactuals) > 1e-3


@pytest.mark.parametrize("kind", ["mean", "other"])
@pytest.mark.parametrize("scope", SCOPES)
def test_replaced_gates_are_fixed_and_all_others_live(
    network: Network, analyses: list[Analysis], kind: str, scope: str
):
    """The same model with constants in the blocks' places, whose other blocks work as ever,
    answers the same.
    """
    gates = mean_gates([*map(gates_of, analyses)]) if kind == "mean" else gates_of(analyses[1])
    counterfactuals = run_counterfactuals(network, noise(0), Replacement(kind, scope), gates)
    live = softmax(network, network.model, noise(0))
    for counterfactual, paths in zip(counterfactuals, members(network, scope), strict=True):
        fixed = deepcopy(network.model)
        for path in paths:
            fixed.set_submodule(path, Fixed(gates[path]))
        check(counterfactual, live, softmax(network, fixed, noise(0)))


@pytest.mark.parametrize("scope", SCOPES)
def test_each_lender_is_asked_as_if_alone(network: Network, analyses: list[Analysis], scope: str):
    """Many lenders at once are many questions with one; each row says whose gates it got, and the
    report ends.
    """
    lenders = [
        Lender(f"{seed}", f"{seed}", gates_of(analysis)) for seed, analysis in enumerate(analyses)
    ]
    reports: list[tuple[int, int]] = []
    together = run_lenders(
        network, noise(7), lenders, scope, report=lambda *numbers: reports.append(numbers)
    )
    for number, lender in enumerate(lenders):
        alone = run_counterfactuals(network, noise(7), Replacement("other", scope), lender.gates)
        rows = [row for row in together if row.lender == lender.name]
        for row, reference in zip(rows, alone, strict=True):
            assert (row.place, row.repeat) == (reference.place, number)
            # 1e-5: another number of rows is added up in another order.
            assert row.change == pytest.approx(reference.change, abs=1e-5)
            assert row.divergence == pytest.approx(reference.divergence, abs=1e-5)
    assert reports[-1] == (len(together), len(together))
    assert sorted(reports) == reports
    with pytest.raises(EditError, match=r"no gates for layer1\.0\.bn3\.1"):
        run_lenders(network, noise(7), [Lender("empty", "", {})], scope)


def test_an_image_given_its_own_gates_keeps_its_answer(network: Network, analyses: list[Analysis]):
    """Nothing was replaced by anything else: no change, no divergence, beyond rounding."""
    (counterfactual,) = run_counterfactuals(
        network, noise(2), Replacement("other", "network"), gates_of(analyses[2])
    )
    assert counterfactual.kept
    assert abs(counterfactual.change) < 1e-6
    assert abs(counterfactual.divergence) < 1e-9


def test_a_shuffle_moves_gates_and_makes_none(network: Network, analyses: list[Analysis]):
    """A capture around the run sees, block by block, the image's own gates in another order, a new
    one each time.
    """
    own = gates_of(analyses[0])
    with capture_gates(network.model) as records:
        run_counterfactuals(network, noise(0), Replacement("shuffle", "network", repeats=3), own)
    for record in records:
        _, *shuffled = record.gate
        for row in shuffled:
            assert torch.equal(row.sort().values, own[record.name].sort().values)
            assert not torch.equal(row, own[record.name])
        assert not torch.equal(shuffled[0], shuffled[1])


def test_a_shuffle_is_the_same_again_and_in_every_scope(network: Network, analyses: list[Analysis]):
    """A seed makes a number repeatable; the only block of a scope must not depend on what the
    others are asked.
    """
    own = gates_of(analyses[0])
    questions = [
        Replacement("shuffle", "block", repeats=2),
        Replacement("shuffle", "block", repeats=2, seed=1),
    ]
    once, again, shifted = (
        run_counterfactuals(network, noise(0), question, own)
        for question in (questions[0], *questions)
    )
    assert once == again
    # The second shuffle of seed 0 is the first one of seed 1.
    for first, second in zip(once[1::2], shifted[::2], strict=True):
        assert second.divergence == pytest.approx(first.divergence, abs=1e-6)
        assert (first.repeat, second.repeat) == (1, 0)
    assert once[0].divergence != once[1].divergence


def test_mean_gates_are_the_mean_of_each_gate(analyses: list[Analysis]):
    """Summed up one by one in Python; the order of images cannot matter."""
    mean = mean_gates([*map(gates_of, analyses)])
    for place, record in enumerate(analyses[0].records):
        for channel in range(0, record.gate.shape[1], 7):
            values = [float(analysis.records[place].gate[0, channel]) for analysis in analyses]
            assert float(mean[record.name][channel]) == pytest.approx(sum(values) / 3, abs=1e-6)


def test_places_are_in_order_of_depth(network: Network):
    """The plot's x axis: sixteen blocks, four stages, one network, each block in exactly one place
    of a scope.
    """
    sites = network.inspection.sites
    labels = [
        f"SE_{stage}_{unit}" for stage, units in SIZES.items() for unit in range(1, units + 1)
    ]
    assert [place.label for place in list_places(sites, "block")] == labels
    assert [place.label for place in list_places(sites, "stage")] == [
        f"Stage {stage}" for stage in SIZES
    ]
    for scope in SCOPES:
        assert [list(place.names) for place in list_places(sites, scope)] == members(network, scope)


def test_wrong_questions_are_refused(network: Network, analyses: list[Analysis]):
    """Each sentence names what was asked and what there is."""
    with pytest.raises(
        DataError, match=r"no 'median' here\. Choose one of: mean, other, shuffle, ones\."
    ):
        Replacement("median")
    with pytest.raises(
        DataError, match=r"no 'layer' here\. Choose one of: network, stage, block\."
    ):
        Replacement("ones", "layer")
    with pytest.raises(DataError, match=r"0 shuffles are too few\. Choose at least 1"):
        Replacement("shuffle", repeats=0)
    with pytest.raises(DataError, match=r"no other image to take gates from\. Add at least one"):
        mean_gates([])
    lacking = {
        name: gate for name, gate in gates_of(analyses[0]).items() if name != "layer1.0.bn3.1"
    }
    with pytest.raises(
        EditError, match=r"no gates for layer1\.0\.bn3\.1, which has \d+ channels. Take them from"
    ):
        run_counterfactuals(network, noise(0), Replacement("ones"), lacking)
    short = {name: gate[:3] for name, gate in gates_of(analyses[0]).items()}
    with pytest.raises(EditError, match=r"are \(3,\) for layer1\.0\.bn3\.1"):
        run_counterfactuals(network, noise(0), Replacement("other"), short)


def test_tables_say_what_was_found(network: Network, analyses: list[Analysis]):
    """One row each, with class names; the summary is NumPy's median and quartiles over the
    shuffles of a place.
    """
    counterfactuals = run_counterfactuals(
        network, noise(0), Replacement("shuffle", "stage", repeats=4), gates_of(analyses[0])
    )
    table = tabulate_counterfactuals(counterfactuals, network.classes)
    assert table["answer"].tolist() == [
        network.classes[counterfactual.answer] for counterfactual in counterfactuals
    ]
    assert table["path"].unique().tolist() == [""]
    summary = summarise_counterfactuals(table)
    assert summary["place"].tolist() == ["Stage 2", "Stage 3", "Stage 4", "Stage 5"]
    for place, row in enumerate(summary.to_dict("records")):
        four = counterfactuals[4 * place : 4 * place + 4]
        assert row["count"] == 4
        assert row["kept"] == sum(counterfactual.kept for counterfactual in four) / 4
        for column in ("change", "divergence"):
            values = np.array([getattr(counterfactual, column) for counterfactual in four])
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
            assert row[column] == pytest.approx(middle)
            assert row[f"{column}_low"] == pytest.approx(low)
            assert row[f"{column}_high"] == pytest.approx(high)


def test_the_table_of_one_block_names_its_path(network: Network, analyses: list[Analysis]):
    """A click on a point opens the block, by its path."""
    counterfactuals = run_counterfactuals(
        network, noise(0), Replacement("ones"), gates_of(analyses[0])
    )
    table = tabulate_counterfactuals(counterfactuals, network.classes)
    assert table["path"].tolist() == [site.name for site in network.inspection.sites]
    assert isinstance(table, pd.DataFrame)
