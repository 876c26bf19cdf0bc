"""Curves, areas, infidelity and sensitivity equal their definitions, computed another way;
controls know nothing.
"""

from collections.abc import Callable
from typing import Any

import captum.metrics
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.passes import masked_batches as pictures
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.baselines import make_baseline
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.controls import CONTROLS, make_controls
from se_viz.attribution.scores.curves import Curve, Exam, rank_pixels, trace_curves
from se_viz.attribution.scores.infidelity import (
    Falls,
    Square,
    draw_squares,
    infidelity,
    measure_falls,
)
from se_viz.attribution.scores.scores import (
    MapScore,
    Yardstick,
    count_passes,
    describe_scores,
    find_limit,
    make_yardstick,
    score_map,
    tabulate_curves,
    tabulate_scores,
)
from se_viz.attribution.scores.sensitivity import RADIUS, SAMPLES, measure_sensitivity
from se_viz.errors import AttributionError
from se_viz.networks import Network

pytestmark = pytest.mark.slow

SIDE = 12


class Linear(nn.Module):
    """Two logits that are weighted sums of the pixels; its SE block's gates are exactly 1."""

    def __init__(self) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 1)
        nn.init.constant_(self.se.get_parameter("fc2.bias"), 100.0)
        self.head = nn.Linear(3 * SIDE * SIDE, 2, bias=False)
        with torch.no_grad():
            weights = torch.randn(2, 3 * SIDE * SIDE, generator=torch.Generator().manual_seed(5))
            self.head.weight.copy_(weights / SIDE)

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits an image."""
        return self.head(self.se(images).flatten(1))


@pytest.fixture
def linear() -> Network:
    return Network.from_model(Linear(), input_size=SIDE)


@pytest.fixture
def photo() -> Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def exact(linear: Network, photo: Tensor) -> Tensor:
    """What each pixel adds to the lead of logit 1 over logit 0: from the weights alone, against
    the mean colour 0.
    """
    weights = linear.model.get_parameter("head.weight")
    return ((weights[1] - weights[0]).view(3, SIDE, SIDE) * photo[0]).sum(0).detach()


LEAD = Exam(Target(1, against=0), steps=SIDE)


def area(values: np.ndarray) -> float:
    """Trapezoids of equal width on 0 to 1."""
    return float((values[:-1] + values[1:]).mean() / 2)


def test_an_area_is_that_of_its_trapezoids():
    """By hand: (1 + 0.5) / 2 * 0.25 + (0.5 + 0) / 2 * 0.75."""
    assert Curve((0.0, 0.25, 1.0), (1.0, 0.5, 0.0)).area == pytest.approx(0.375)


def test_deletion_of_a_linear_model_takes_off_the_largest_parts_first(
    linear: Network, photo: Tensor, exact: Tensor
):
    """With the exact map the curve is the whole less the sorted parts added up: the lowest that
    any order can give.
    """
    deletion, _ = trace_curves(linear, photo, exact, LEAD)
    parts = np.sort(exact.double().numpy().ravel())[::-1]
    remainder = parts.sum() - np.concatenate([[0], parts.cumsum()])
    expected = remainder[:: SIDE * SIDE // LEAD.steps]
    # Sums of 432 products in float32.
    np.testing.assert_allclose(deletion.values, expected, atol=1e-4)
    np.testing.assert_allclose(deletion.shares, np.linspace(0, 1, SIDE + 1))
    assert deletion.area == pytest.approx(area(expected), abs=1e-4)
    areas = [
        trace_curves(linear, photo, values, LEAD)[0].area
        for values in (-exact, exact.abs(), torch.rand(12, 12))
    ]
    assert deletion.area < min(areas)


def test_insertion_begins_with_a_blur_and_ends_with_the_image(
    linear: Network, photo: Tensor, exact: Tensor
):
    """For a linear model each pixel adds its part of the way from the blurred photo: again sorted
    and added up.
    """
    blur = make_baseline(linear, photo, "blur")
    weights = linear.model.get_parameter("head.weight")
    gain = (
        ((weights[1] - weights[0]).view(3, SIDE, SIDE) * (photo - blur)[0]).sum(0).detach().double()
    )
    _, insertion = trace_curves(linear, photo, gain.float(), LEAD)
    start = float((weights[1] - weights[0]) @ blur.flatten())
    ordered = np.sort(gain.numpy().ravel())[::-1]
    expected = start + np.concatenate([[0], ordered.cumsum()])[:: SIDE * SIDE // LEAD.steps]
    np.testing.assert_allclose(insertion.values, expected, atol=1e-4)
    areas = [
        trace_curves(linear, photo, values, LEAD)[1].area
        for values in (-gain.float(), torch.rand(12, 12))
    ]
    assert insertion.area > max(areas)


def test_curves_are_probabilities_where_one_class_is_explained(network: Network, images: Tensor):
    """Both ends by plain passes: the image, the chosen baseline; a blurred image, the image."""
    exam = Exam(Target(2), baseline="black", steps=4)
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    curves = trace_curves(network, images[:1], values, exam)
    with torch.no_grad():
        black, blur = (make_baseline(network, images[:1], key) for key in ("black", "blur"))
        ends = [
            network.model(picture).softmax(1)[0, 2].item()
            for picture in (images[:1], black, blur, images[:1])
        ]
    assert [curve.values[place] for curve in curves for place in (0, -1)] == pytest.approx(
        ends, abs=1e-6
    )
    assert all(0 <= value <= 1 for curve in curves for value in curve.values)


def test_a_middle_picture_is_the_baseline_where_the_map_is_highest(
    network: Network, images: Tensor
):
    """One step of two: the half of the pixels with the higher values is painted over, and nothing
    else.
    """
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(3))
    half = torch.where(values > values.median(), torch.zeros(()), images[:1])
    with torch.no_grad():
        expected = network.model(half).softmax(1)[0, 1].item()
    deletion, _ = trace_curves(network, images[:1], values, Exam(Target(1), steps=2))
    assert deletion.values[1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("place", [0, 1])
def test_curves_are_those_of_the_papers_loop(network: Network, images: Tensor, place: int):
    """Petsiuk et al.: one canvas that gets so many more pixels each step, and the normalised area
    of equal steps.
    """
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(3))
    image = images[:1]
    zeros = torch.zeros(1, 3, 64, 64)
    steps = 16
    start, finish = ((image, zeros), (make_baseline(network, image, "blur"), image))[place]
    order = np.flip(np.argsort(values.numpy().ravel())).copy()
    canvas = start.clone()
    scores = []
    for step in range(steps + 1):
        with torch.no_grad():
            scores.append(network.model(canvas).softmax(1)[0, 1].item())
        coords = order[step * 256 : (step + 1) * 256]
        canvas.view(1, 3, -1)[:, :, coords] = finish.reshape(1, 3, -1)[:, :, coords]
    curve = trace_curves(network, image, values, Exam(Target(1), steps=steps))[place]
    # Batches add in another order, and norms are folded into convolutions.
    assert curve.values == pytest.approx(scores, abs=1e-5)
    assert curve.area == pytest.approx(
        (sum(scores) - scores[0] / 2 - scores[-1] / 2) / steps, abs=1e-5
    )


def test_pixels_go_by_value_and_equal_ones_at_random_but_always_the_same():
    """What speaks against a class must not go first for its size; zeros in reading order would be
    a map of a kind.
    """
    places = rank_pixels(torch.tensor([[-9.0, 2.0], [5.0, 0.0]]))
    assert places.tolist() == [[3, 1], [0, 2]]
    flat = torch.zeros(20, 20)
    flat[3, 4] = 1
    first = rank_pixels(flat, seed=1)
    assert first[3, 4] == 0
    assert sorted(first.flatten().tolist()) == list(range(400))
    assert torch.equal(first, rank_pixels(flat, seed=1))
    assert not torch.equal(first, rank_pixels(flat, seed=2))
    ties = first.flatten()[first.flatten() > 0].double()
    assert abs(np.corrcoef(ties, np.arange(399))[0, 1]) < 0.2


def test_the_size_of_a_batch_does_not_matter(network, images, monkeypatch):
    """Pictures are made for their numbers, not for their place in a batch."""
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(3))
    exam = Exam(Target(1), steps=5, squares=7)
    curves = trace_curves(network, images[:1], values, exam)
    falls = measure_falls(network, images[:1], exam)
    monkeypatch.setitem(pictures._ROWS, "cpu", 3)
    small_curves = trace_curves(network, images[:1], values, exam)
    small_falls = measure_falls(network, images[:1], exam)
    for curve, small in zip(curves, small_curves, strict=True):
        # PyTorch adds in another order for another number of images.
        assert curve.values == pytest.approx(small.values, abs=1e-5)
    assert falls.losses == pytest.approx(small_falls.losses, abs=1e-5)


def test_a_linear_models_exact_map_foretells_every_square(
    linear: Network, photo: Tensor, exact: Tensor
):
    """The loss with a square is the sum of its pixels' parts; so it is in any unit, and upside
    down it is wrong.
    """
    falls = measure_falls(linear, photo, LEAD)
    assert infidelity(exact, falls) == pytest.approx(0, abs=1e-8)
    assert infidelity(250 * exact, falls) == pytest.approx(0, abs=1e-8)
    assert infidelity(-exact, falls) == 1
    assert 0.1 < infidelity(torch.rand(SIDE, SIDE), falls) <= 1


@pytest.mark.parametrize(
    ("foretold", "share"), [((1, 2), 0.36), ((-1, -2), 1), ((2, 1), 0), ((-1, 2), 1)]
)
def test_infidelity_is_what_the_best_factor_leaves(foretold: tuple[int, int], share: float):
    """By hand, for losses 2 and 1: 1 - cos^2 of the angle between foretold and lost, and 1 from a
    right angle on.
    """
    values = torch.zeros(4, 4)
    values[0, 0], values[2, 2] = foretold
    falls = Falls(LEAD, (Square(0, 0, 2), Square(2, 2, 2)), (2.0, 1.0))
    assert infidelity(values, falls) == pytest.approx(share)


def test_infidelity_is_0_where_nothing_is_lost():
    """Nothing was to be foretold; a division by it would be no number."""
    assert (
        infidelity(torch.ones(4, 4), Falls(LEAD, (Square(0, 0, 2), Square(2, 2, 2)), (0.0, 0.0)))
        == 0
    )


def test_infidelity_is_captums_for_the_same_squares(network: Network, images: Tensor):
    """Captum's normalised infidelity with a mask as the perturbation, divided by the mean squared
    loss.
    """
    exam = Exam(Target(2), squares=6)
    squares = draw_squares(64, 64, 6)
    image = images[:1]
    masks = torch.zeros(6, 3, 64, 64)
    for mask, square in zip(masks, squares, strict=True):
        square.cut(mask)[:] = 1
    heat = attribute(network, image, 2, "occlusion").map

    def remove(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return masks, inputs * (1 - masks)

    spread = heat.expand(1, 3, 64, 64) / 3
    with torch.no_grad():
        losses = network.model(image)[0, 2] - network.model(image * (1 - masks))[:, 2]
    direct = captum.metrics.infidelity(
        network.model, remove, image, spread, target=2, n_perturb_samples=6, normalize=True
    )
    share = (direct / losses.square().mean()).item()
    falls = measure_falls(network, image, exam)
    assert falls.losses == pytest.approx(losses.tolist(), abs=1e-5)
    assert falls.moved == pytest.approx(losses.abs().mean().item(), abs=1e-5)
    # Small differences of logits in float32.
    assert infidelity(heat, falls) == pytest.approx(share, abs=1e-3)
    assert 0 < share < 1


def test_squares_lie_inside_and_differ_in_size():
    """One beyond the edge would remove less than its map foretells."""
    squares = draw_squares(64, 96, 200, seed=4)
    assert {square.side for square in squares} == set(range(8, 22))
    assert all(
        0 <= square.top <= 64 - square.side and 0 <= square.left <= 96 - square.side
        for square in squares
    )


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("saliency", {}),
        ("integrated_gradients", {"n_steps": 3, "baseline": "black"}),
        ("grad_cam", {"stage": 3}),
    ],
)
def test_sensitivity_is_the_greatest_change_of_a_map_as_a_share_of_it(
    network: Network, images: Tensor, method: str, options: dict[str, Any]
):
    """The definition in a plain loop over the same draws, with the options that the map was made
    with.
    """
    attribution = attribute(network, images[:1], 2, method, **options)
    generator = torch.Generator().manual_seed(0)
    changes = []
    for _ in range(SAMPLES):
        noise = RADIUS * (2 * torch.rand(1, 3, 64, 64, generator=generator) - 1)
        again = attribute(network, images[:1] + noise, 2, method, **options).map
        changes.append(((again - attribution.map).norm() / attribution.map.norm()).item())
    assert measure_sensitivity(network, images[:1], attribution) == pytest.approx(
        max(changes), rel=1e-5
    )


def test_a_map_that_cannot_move_has_no_sensitivity(linear: Network, photo: Tensor):
    """The gradient of a linear model is its weights, whatever the image."""
    assert measure_sensitivity(
        linear, photo, attribute(linear, photo, 1, "saliency")
    ) == pytest.approx(0, abs=1e-6)


def test_sensitivity_is_captums(network: Network, images: Tensor):
    """Captum's own function around Captum's own method, given the same draws."""
    generator = torch.Generator().manual_seed(0)

    def move(inputs: Tensor) -> Tensor:
        return inputs + RADIUS * (2 * torch.rand(inputs.shape, generator=generator) - 1)

    def explain(inputs: tuple[Tensor] | Tensor) -> tuple[Tensor]:
        image = (inputs if isinstance(inputs, Tensor) else inputs[0]).clone().requires_grad_()
        with torch.enable_grad():
            return (
                captum.attr.InputXGradient(network.model)
                .attribute(image, target=2)
                .sum(1)
                .detach(),
            )

    direct = captum.metrics.sensitivity_max(
        explain, (images[:1],), move, n_perturb_samples=SAMPLES, max_examples_per_batch=1
    )
    attribution = attribute(network, images[:1], 2, "input_x_gradient")
    assert measure_sensitivity(network, images[:1], attribution) == pytest.approx(
        direct.item(), rel=1e-4
    )


def test_random_maps_score_as_chance_does(linear: Network, photo: Tensor):
    """In random order a linear model loses its lead evenly: the mean area is halfway between both
    ends.
    """
    exam = Exam(Target(1, against=0), steps=SIDE, repeats=40)
    lead = exam.target.read(linear.model(photo)).item()
    areas = [
        trace_curves(linear, photo, values, exam)[0].area
        for values in make_controls(12, 12, repeats=40)["pixels"]
    ]
    error = np.std(areas, ddof=1) / np.sqrt(len(areas))
    assert abs(np.mean(areas) - lead / 2) < 4 * error


def test_controls_know_nothing_but_are_always_the_same():
    """Random maps by seed, each draw another one; a blob that is highest in the middle and even on
    all sides.
    """
    controls = make_controls(30, 40, repeats=3, seed=7)
    assert {key: len(maps) for key, maps in controls.items()} == {
        "pixels": 3,
        "patches": 3,
        "blob": 1,
    }
    assert controls.keys() == CONTROLS.keys()
    again = make_controls(30, 40, repeats=3, seed=7)
    for key, maps in controls.items():
        assert all(
            torch.equal(values, reference)
            for values, reference in zip(maps, again[key], strict=True)
        )
    assert not torch.equal(controls["pixels"][0], controls["pixels"][1])
    blob = controls["blob"][0]
    assert torch.allclose(blob, blob.flip(0))
    assert torch.allclose(blob, blob.flip(1))
    assert blob.argmax() in (14 * 40 + 19, 14 * 40 + 20, 15 * 40 + 19, 15 * 40 + 20)


def test_all_passes_are_told_in_one_row(linear: Network, photo: Tensor):
    """A bar over the whole must grow and end at its end."""
    reports: list[tuple[int, int]] = []
    exam = Exam(Target(1), steps=20, squares=20, repeats=2)
    make_yardstick(linear, photo, exam, report=lambda *numbers: reports.append(numbers))
    whole = 20 + 1 + 5 * 2 * 21
    assert count_passes(exam) == whole
    assert {total for _, total in reports} == {whole}
    assert [count for count, _ in reports] == sorted(count for count, _ in reports)
    assert reports[-1][0] == whole


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            torch.zeros(SIDE, SIDE),
            r"^This map is 0 everywhere, so that its pixels have no order\. Choose another",
        ),
        (
            torch.full((SIDE, SIDE), float("nan")),
            r"^This map holds values that are NaN or infinite.* Choose another method",
        ),
        (
            torch.rand(SIDE, 5),
            r"^The map has \(12, 5\) values, the image \(12, 12\) pixels\. Score a map of",
        ),
    ],
)
def test_a_map_without_an_order_is_refused(
    linear: Network, photo: Tensor, values: Tensor, message: str
):
    """A curve of it would be that of the order in which its ties happened to be broken."""
    with pytest.raises(AttributionError, match=message):
        trace_curves(linear, photo, values, LEAD)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"squares": 1}, {"repeats": 1}])
def test_an_exam_that_scores_nothing_is_refused(wrong: dict[str, Any]):
    """One draw has no spread, and a curve of no steps no area."""
    with pytest.raises(AttributionError, match=r"are too few to score\. Choose [12] at least\.$"):
        Exam(Target(0), **wrong)


def scored(deletion: float, insertion: float, share: float = 0.5) -> MapScore:
    """Return a score whose curves are level."""
    first, second = (Curve((0.0, 1.0), (value, value)) for value in (deletion, insertion))
    return MapScore(first, second, share)


@pytest.fixture
def yardstick(linear: Network, photo: Tensor) -> Yardstick:
    falls = measure_falls(linear, photo, Exam(Target(1), squares=2))
    controls = {
        "pixels": (scored(0.2, 0.3), scored(0.1, 0.4)),
        "patches": (scored(0.5, 0.5), scored(0.4, 0.7)),
        "blob": (scored(0.6, 0.6),),
    }
    return Yardstick(falls, controls)


BEATS = "every control map, by more than their draws differ; by chance this happens to 1 map in 20."


@pytest.fixture
def four_draws(yardstick: Yardstick) -> Yardstick:
    """Return controls of four draws: gaps of pixels 0.1 to 0.25, of patches 0 to 0.3, of the blob
    0.2.
    """
    controls = {
        "pixels": tuple(scored(0.1, 0.1 + gap) for gap in (0.1, 0.15, 0.2, 0.25)),
        "patches": tuple(scored(0.1, 0.1 + gap) for gap in (0.0, 0.1, 0.2, 0.3)),
        "blob": (scored(0.4, 0.6),),
    }
    return Yardstick(yardstick.falls, controls)


def test_a_map_has_to_pass_the_bound_of_a_further_draw(four_draws: Yardstick):
    """By the printed table of t: 2.353 at three degrees of freedom, times sqrt(1 + 1/4) deviations
    over the mean.
    """
    for key, deviation, middle in (("pixels", 0.0645497, 0.175), ("patches", 0.1290994, 0.15)):
        expected = middle + 2.353 * deviation * 1.25**0.5
        assert find_limit(four_draws.controls[key]) == pytest.approx(expected, abs=1e-4)
    assert find_limit(four_draws.controls["blob"]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (scored(0.1, 0.6), f"**Map** beats {BEATS}"),
        (scored(0.1, 0.5), "**Map** is not clearly better than random patches."),
        (scored(0.1, 0.4), "**Map** is not clearly better than random pixels and random patches."),
        (
            scored(0.6, 0.6),
            "**Map** is not clearly better than random pixels, random patches and the centred "
            "blob.",
        ),
    ],
)
def test_a_map_is_better_only_beyond_what_draws_differ_by(
    four_draws: Yardstick, score: MapScore, words: str
):
    """Bounds by hand: pixels 0.345, patches 0.490, and the blob's own 0.2; better than the best
    draw is not enough.
    """
    assert describe_scores({"Map": score}, four_draws) == [words]


def test_maps_of_one_verdict_share_a_sentence(four_draws: Yardstick):
    """Of twenty maps nobody reads twenty sentences; the widest gap stands first, also within a
    sentence.
    """
    scores = {
        "A": scored(0.6, 0.5),
        "B": scored(0.1, 0.7),
        "C": scored(0.3, 0.1),
        "D": scored(0.1, 0.8),
    }
    assert describe_scores(scores, four_draws) == [
        f"**D** and **B** beat {BEATS}",
        "**A** and **C** are not clearly better than random pixels, random patches and the centred "
        "blob.",
    ]


def test_the_table_has_maps_and_controls_with_their_spread(yardstick: Yardstick):
    """By hand: mean and sample deviation of two draws, 0.15 and 0.0707."""
    table = tabulate_scores({"Map": scored(0.05, 0.8, 0.25)}, yardstick).set_index("map")
    assert table.index.tolist() == ["Map", "Random pixels", "Random patches", "Centred blob"]
    assert table["draws"].tolist() == [0, 2, 2, 1]
    numbers = ["gap", "deletion", "insertion", "infidelity"]
    assert table.loc["Map", numbers].tolist() == pytest.approx([0.75, 0.05, 0.8, 0.25])
    # The gaps of both draws are 0.1 and 0.3.
    assert table.loc["Random pixels", ["gap", "gap_std"]].tolist() == pytest.approx(
        [0.2, 0.2 / 2**0.5]
    )
    assert table.loc["Random pixels", "deletion"] == pytest.approx(0.15)
    assert table.loc["Random pixels", "deletion_std"] == pytest.approx(0.1 / 2**0.5)
    curves = tabulate_curves({"Map": scored(0.05, 0.8)}, yardstick)
    pixels = curves.loc[(curves["map"] == "Random pixels") & (curves["curve"] == "insertion")]
    for row in pixels.to_dict("records"):
        assert [row[name] for name in ("value", "low", "high")] == pytest.approx([0.35, 0.3, 0.4])
        assert row["control"]
    assert len(pixels) == 2


def test_scoring_leaves_the_model_as_it_was(
    network: Network, images: Tensor, logits: Callable[[], Tensor]
):
    """One model serves every session."""
    before = logits()
    exam = Exam(Target(0), steps=2, squares=2, repeats=2)
    yardstick = make_yardstick(network, images[:1], exam)
    score_map(network, images[:1], torch.rand(64, 64), yardstick.falls)
    assert torch.equal(logits(), before)
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in network.model.modules()
    )


@pytest.fixture
def logits(network: Network, images: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.no_grad():
            return network.model(images)

    return run
