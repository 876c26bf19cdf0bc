"""Images that wait for one network go into one pass; each person's answer stays their own."""

import pickle
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from se_viz.devices.choice import line_of
from se_viz.errors import EditError, NoSEBlocksError, TooLittleMemoryError
from se_viz.experiments.analysis import Analysis, analyse, compare_answers
from se_viz.gates import capture_gates, edit_gates
from se_viz.gates.surgery import compile_edits, level_gates, scale_gates, set_gates
from se_viz.networks import Network
from tests.support.passes import PATIENCE, batches

pytestmark = pytest.mark.slow

BLOCK = "layer3.1.bn3.1"
OTHER = "layer1.0.bn3.1"


@pytest.fixture
def photos() -> list[Image.Image]:
    return [
        Image.effect_noise((64, 64), spread).convert("RGB") for spread in (10, 40, 70, 100, 130)
    ]


def wait_together(network: Network, visits: Sequence[Callable[..., Analysis]]) -> list[Analysis]:
    """Let visits join the line one after the other behind a pass, and return what each got."""
    with ThreadPoolExecutor(len(visits)) as pool:
        with line_of(network.device).turn():
            running = []
            for visit in visits:
                stands = threading.Event()
                running.append(pool.submit(visit, watch=lambda _, stands=stands: stands.set()))
                assert stands.wait(PATIENCE)
        return [visit.result(PATIENCE) for visit in running]


def looks_at(network: Network, photo: Image.Image, **options) -> Callable[..., Analysis]:
    return lambda watch: analyse(network, photo, watch=watch, **options)


def assert_close(analysis: Analysis, expected: Analysis) -> None:
    # Another number of images is added up in another order: float32 rounding through 50 layers.
    torch.testing.assert_close(analysis.probabilities, expected.probabilities, rtol=1e-4, atol=1e-5)
    for record, reference in zip(analysis.records, expected.records, strict=True):
        assert (record.block, record.stage) == (reference.block, reference.stage)
        torch.testing.assert_close(record.squeeze, reference.squeeze, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(record.gate, reference.gate, rtol=1e-4, atol=1e-5)


def test_all_that_wait_share_one_pass(network, photos):
    """Five people wait behind a sixth: one pass of five serves them, and each gets their own
    image's gates.
    """
    alone = [analyse(network, photo) for photo in photos]
    with batches(network.model) as sizes:
        analyses = wait_together(network, [looks_at(network, photo) for photo in photos])
    assert sizes == [5]
    for analysis, expected in zip(analyses, alone, strict=True):
        assert_close(analysis, expected)
    assert len({analysis.records[0].squeeze.numpy().tobytes() for analysis in analyses}) == 5


def test_one_that_waits_alone_gets_the_single_pass(network, photos):
    """Nobody's last digits change where nobody shares: equal to a capture without any line, to the
    bit.
    """
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(network.preprocess(photos[0]))
    for record, expected in zip(analyse(network, photos[0]).records, records, strict=True):
        assert torch.equal(record.gate, expected.gate)
        assert torch.equal(record.squeeze, expected.squeeze)


def test_a_pass_holds_no_more_than_the_setting(network, photos, monkeypatch):
    """On a CPU large batches are slower than small ones: with room for four, four people and then
    the fifth.
    """
    monkeypatch.setenv("SE_VIZ_TOGETHER", "4")
    with batches(network.model) as sizes:
        wait_together(network, [looks_at(network, photo) for photo in photos])
    assert sizes == [4, 1]


def test_people_can_be_kept_apart(network, photos, monkeypatch):
    """Who needs equal digits in every run sets 1, and waits a little longer."""
    monkeypatch.setenv("SE_VIZ_TOGETHER", "1")
    with batches(network.model) as sizes:
        wait_together(network, [looks_at(network, photo) for photo in photos])
    assert sizes == [1] * 5


def test_feature_maps_are_kept_for_those_who_asked(network, photos):
    """People have different blocks open and share a pass: each gets the maps of that block
    alone.
    """
    blocks = [None, BLOCK, OTHER]
    visits = [
        looks_at(network, photo, keep_features=[block] if block else [])
        for photo, block in zip(photos[:3], blocks, strict=True)
    ]
    with batches(network.model) as sizes:
        analyses = wait_together(network, visits)
    assert sizes == [3]
    for analysis, block in zip(analyses, blocks, strict=True):
        maps = [
            (record, record.features) for record in analysis.records if record.features is not None
        ]
        assert [record.block for record, _ in maps] == ([block] if block else [])
        for record, features in maps:
            # The definition of the squeeze, on the maps of this image.
            torch.testing.assert_close(features.mean((2, 3)), record.squeeze)


def test_a_name_that_no_block_has_fails_for_its_asker_alone(network, photos):
    """One person's mistake in a shared pass would otherwise be an error on everybody's page."""
    wrong = looks_at(network, photos[1], keep_features=["layer9"])

    def refused(watch) -> Analysis:
        with pytest.raises(NoSEBlocksError, match="no SE block 'layer9'"):
            wrong(watch=watch)
        return analyse(network, photos[1])

    with batches(network.model) as sizes:
        wait_together(
            network, [looks_at(network, photos[0]), refused, looks_at(network, photos[2])]
        )
    assert sizes == [2, 1]


def test_an_edit_reaches_nobody_else(network, photos):
    """An edited pass of one thread neither takes others along nor is taken along: it closes a
    block's gates.
    """
    alone = [analyse(network, photo) for photo in photos[:3]]

    def edited(watch) -> Analysis:
        with edit_gates(network.model, {BLOCK: torch.zeros_like}):
            return analyse(network, photos[1], watch=watch)

    for order in (0, 1):
        visits = [looks_at(network, photos[0]), looks_at(network, photos[2])]
        visits.insert(order, edited)
        with batches(network.model) as sizes:
            analyses = wait_together(network, visits)
        analysis_of_edit = analyses.pop(order)
        assert sorted(sizes) == [1, 2]
        for analysis, expected in zip(analyses, (alone[0], alone[2]), strict=True):
            assert_close(analysis, expected)
        gates = {record.block: record.gate for record in analysis_of_edit.records}
        assert not gates[BLOCK].any()
        assert not torch.equal(analysis_of_edit.probabilities, alone[1].probabilities)


def test_equal_edits_share_a_pass_and_others_do_not(network, photos):
    """Two with one list of edits, one with another and one without: three passes, each with its
    own gates.
    """
    half = [set_gates(BLOCK, 0.5)]
    shut = [set_gates(BLOCK, 0.0)]
    lists = [half, shut, [set_gates(BLOCK, 0.5)], []]
    alone = [
        analyse(network, photo, edits=edits) for photo, edits in zip(photos, lists, strict=False)
    ]
    visits = [
        looks_at(network, photo, edits=edits) for photo, edits in zip(photos, lists, strict=False)
    ]
    with batches(network.model) as sizes:
        analyses = wait_together(network, visits)
    assert sizes == [2, 1, 1]
    for analysis, expected in zip(analyses, alone, strict=True):
        assert_close(analysis, expected)
    gates = [
        next(record.gate for record in analysis.records if record.block == BLOCK)
        for analysis in analyses
    ]
    assert [gate.unique().tolist() for gate in gates[:3]] == [[0.5], [0.0], [0.5]]
    assert gates[3].unique().numel() > 2


def test_an_analysis_under_edits_is_a_pass_inside_edit_gates(network, photos):
    """The same numbers, to the bit, as the engine gives by itself; the logits are the network's
    own.
    """
    edits = [scale_gates(BLOCK, 2.0, channels=[1, 2]), level_gates("layer1.0.bn3.1")]
    changes = compile_edits(edits, network.inspection.sites)
    with (
        torch.inference_mode(),
        edit_gates(network.model, changes),
        capture_gates(network.model) as records,
    ):
        logits = network.model(network.preprocess(photos[0]))[0]
    analysis = analyse(network, photos[0], edits=edits)
    assert torch.equal(analysis.logits, logits)
    assert torch.equal(analysis.probabilities, logits.softmax(0))
    for record, expected in zip(analysis.records, records, strict=True):
        assert torch.equal(record.gate, expected.gate)


def test_an_edit_that_does_not_fit_is_refused_before_its_turn(network, photos):
    """The sentence comes at once, and nobody waits for a pass that cannot be."""
    with (
        batches(network.model) as sizes,
        pytest.raises(
            EditError, match=r"no SE block 'layer9', which an edit changes\. Remove the edit"
        ),
    ):
        analyse(network, photos[0], edits=[set_gates("layer9", 0.0)])
    assert sizes == []


def test_answers_are_compared_class_by_class(network, photos):
    """All that are among the best before or after, with numbers that NumPy gives again from the
    logits.
    """
    before, after = (
        analyse(network, photos[0], edits=edits) for edits in ([], [set_gates(BLOCK, 0.0)])
    )
    table = compare_answers(before, after, network.classes, count=2)
    best = [
        [network.classes[index] for index, _ in analysis.top(2)] for analysis in (before, after)
    ]
    assert table["class"].tolist() == list(dict.fromkeys(best[0] + best[1]))
    for name, *cells in zip(*(table[column] for column in table), strict=True):
        index = network.classes.index(name)
        for analysis, share, logit in ((before, cells[0], cells[2]), (after, cells[1], cells[3])):
            logits = analysis.logits.double().numpy()
            assert logit == logits[index]
            assert share == pytest.approx(np.exp(logits[index]) / np.exp(logits).sum(), rel=1e-5)


def test_a_capture_around_an_analysis_sees_its_pass(network, photos):
    """Its hooks record the passes of this thread, so nobody else may run the pass for it."""

    def captured(watch) -> Analysis:
        with capture_gates(network.model) as records:
            analysis = analyse(network, photos[0], watch=watch)
        assert len(records) == 16
        return analysis

    wait_together(network, [looks_at(network, photos[1]), captured])


def test_where_memory_runs_out_fewer_share_a_pass(network, photos):
    """Five do not fit: two, two and one, in the order they came."""
    alone = [analyse(network, photo) for photo in photos]
    with batches(network.model, most=2) as sizes:
        analyses = wait_together(network, [looks_at(network, photo) for photo in photos])
    assert sizes == [5, 2, 2, 1]
    for analysis, expected in zip(analyses, alone, strict=True):
        assert_close(analysis, expected)


def test_an_image_that_does_not_fit_says_what_to_choose(network, photos):
    """The page shows it as it is: what was found, and the ways out."""
    message = r"^cpu has too little memory left for A tiny .*\. Lower .* a smaller network\.$"
    with batches(network.model, most=0), pytest.raises(TooLittleMemoryError, match=message):
        analyse(network, photos[0])
    assert len(analyse(network, photos[0]).records) == 16


def test_a_block_that_is_not_there_is_said(network, photos):
    """The pass of one is refused, and the device is free for the next."""
    with pytest.raises(NoSEBlocksError, match=r"no SE block 'layer9'"):
        analyse(network, photos[0], keep_features=["layer9"])
    assert len(analyse(network, photos[0]).records) == 16


def test_an_analysis_takes_the_memory_of_its_numbers(network, photos):
    """A cache holds hundreds, pickled: a view of what all people share would bring all of it
    along.
    """
    for analysis in wait_together(network, [looks_at(network, photo) for photo in photos]):
        numbers = sum(record.squeeze.numel() + record.gate.numel() for record in analysis.records)
        # Four bytes a number, and less than a kilobyte around each of 34 tensors.
        assert 4 * numbers < len(pickle.dumps(analysis)) < 4 * numbers + 34 * 1024


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_records_may_be_used_in_autograd(network, photos, mode):
    """A notebook that fits something to gates must not be stopped by how the app ran them."""
    with mode():
        analysis = analyse(network, photos[0])
    gate = analysis.records[0].gate
    assert not gate.is_inference()
    assert not gate.requires_grad
    weight = torch.ones_like(gate, requires_grad=True)
    (weight * gate).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, gate)
