"""Each method's map is what Captum gives when it is called directly, with the same settings and
the same seed.
"""

import copy
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.catalogue.method import KINDS
from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.pixels.shap import PairedKernelShap
from se_viz.attribution.pixels.superpixels import find_superpixels
from se_viz.attribution.question.baselines import make_baseline, scatter
from se_viz.errors import AttributionError
from se_viz.networks import Network
from tests.support.passes import FEWER
from tests.support.written_out import teach_squares, write_out_products, write_out_relus

pytestmark = pytest.mark.slow

TARGET = 2
OTHER = 4
LINEAR = [
    "integrated_gradients",
    "input_x_gradient",
    "gradient_shap",
    "deep_lift",
    "deep_lift_shap",
    "occlusion",
    "feature_ablation",
    "feature_permutation",
    "shapley",
    "kernel_shap",
]
RANDOM = [key for key, row in METHODS.items() if "seed" in row.options]


@pytest.fixture
def network(shallow: Network) -> Network:
    """What Captum makes of a residual unit, whose ReLU runs three times, does not depend on how
    many there are.
    """
    return shallow


@pytest.fixture
def patches(network: Network, image: Tensor) -> Tensor:
    return find_superpixels(network, image, 40)


def assert_same(values: Tensor, expected: Tensor, *, within: float = 1e-5) -> None:
    """Compare maps on the scale of their greatest value: logits of a random network are small."""
    expected = expected.detach()
    assert expected.abs().max() > 0
    torch.testing.assert_close(values, expected, rtol=0, atol=within * expected.abs().max().item())


def seeded(run: Callable[[], Any]) -> Tensor:
    """Run with the global generators at 0, which Captum's methods draw from."""
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        np.random.seed(0)
        try:
            return run()
        finally:
            np.random.set_state(before)


def quietly(run: Callable[[], Tensor]) -> Tensor:
    """Run a method of Captum that warns of the hooks it sets."""
    with pytest.warns(UserWarning, match="hooks"):
        return run()


def test_gradient_shap_is_captums(network, image):
    """Same pictures near the baseline, same places on the ways to them."""
    settings = {"n_samples": 24, "baselines": scatter(torch.zeros_like(image), 8)}
    direct = captum.attr.GradientShap(network.model)
    expected = seeded(lambda: direct.attribute(image, target=TARGET, **settings))
    attribution = attribute(network, image, TARGET, "gradient_shap")
    assert_same(attribution.map, expected[0].sum(0))


def test_gradient_shap_neither_asks_nor_moves_a_generator_that_all_share(network, image):
    """NumPy's own belongs to all threads: what others draw from it meanwhile must not depend on
    this call.
    """
    before: Any = np.random.get_state()
    first = attribute(network, image, TARGET, "gradient_shap")
    after: Any = np.random.get_state()
    np.random.random(5)
    second = attribute(network, image, TARGET, "gradient_shap")
    np.random.set_state(before)
    assert after[2] == before[2]
    assert np.array_equal(after[1], before[1])
    assert torch.equal(first.map, second.map)


@pytest.mark.parametrize("key", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_smoothed_saliency_is_captums(network, image, key):
    """Noise of 0.15 of the image's range, as the paper advises (arXiv 1706.03825, section 3)."""
    direct = captum.attr.NoiseTunnel(captum.attr.Saliency(network.model))
    noise = 0.15 * (image.max() - image.min()).item()
    settings = {"nt_type": key, "nt_samples": 16, "nt_samples_batch_size": 8, "stdevs": noise}
    expected = seeded(lambda: direct.attribute(image, target=TARGET, abs=False, **settings))
    # The variance is a small difference of squares.
    assert_same(attribute(network, image, TARGET, key).map, expected[0].abs().amax(0), within=1e-4)


PAPERS: dict[str, Callable[[Tensor], Tensor]] = {
    "smoothgrad": lambda slopes: slopes.mean(0).abs(),
    "smoothgrad_sq": lambda slopes: slopes.square().mean(0),
    "vargrad": lambda slopes: slopes.var(0, correction=0),
}
"""What each paper makes of the gradients of noisy copies (1706.03825, eq. 2; 1806.10758, section
3; 1810.03307)."""


@pytest.mark.parametrize("key", list(PAPERS))
def test_smoothed_gradients_are_the_papers(network, image, key):
    """Signed gradients of each copy by plain autograd: with sizes instead, what is noise would not
    cancel.
    """
    generator = torch.Generator().manual_seed(0)
    noise = 0.15 * (image.max() - image.min()).item()
    copies = [
        image + torch.normal(0.0, torch.full((8, *image.shape[1:]), noise), generator=generator)
        for _ in "ab"
    ]
    leaf = torch.cat(copies).requires_grad_()
    (slopes,) = torch.autograd.grad(network.model(leaf)[:, TARGET].sum(), leaf)
    heat = attribute(network, image, TARGET, key).map
    assert_same(heat, PAPERS[key](slopes).amax(0), within=1e-4)
    sizes = PAPERS[key](slopes.abs()).amax(0)
    # The squares of sizes are those of values: there alone both are one.
    assert torch.allclose(heat, sizes, rtol=0.1, atol=0) == (key == "smoothgrad_sq")


def test_signs_that_cancel_leave_smoothgrad_dark(image):
    """The slope of a sum of cosines changes its sign within the noise: its mean is about 0, and
    its square is not.
    """
    network = Network.from_model(Waves().eval(), input_size=64)
    plain, squares = (
        attribute(network, image, 0, key, nt_samples=64).map
        for key in ("smoothgrad", "smoothgrad_sq")
    )
    # 64 signs of size about 40 / sqrt(2): a mean of about 3.5, of three colours the greatest.
    assert plain.mean() < 0.3 * squares.sqrt().mean()


class Waves(nn.Module):
    """A block whose answer is a sum of cosines of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.se = SqueezeExcitation(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit, twice."""
        waves = (40 * images).cos().sum((1, 2, 3))[:, None] + 0 * self.se(images).mean((2, 3))[
            :, :1
        ]
        return waves.expand(-1, 2)


@pytest.mark.parametrize("inner", ["InputXGradient", "IntegratedGradients"])
def test_other_methods_can_be_smoothed(network, image, inner):
    """NoiseTunnel takes any method of one gradient or of a way; its map of magnitudes is drawn."""
    key, more = {
        "InputXGradient": ("input_x_gradient", {}),
        "IntegratedGradients": ("integrated_gradients", {"n_steps": 4}),
    }[inner]
    direct = captum.attr.NoiseTunnel(getattr(captum.attr, inner)(network.model))
    settings = {"nt_type": "smoothgrad", "nt_samples": 4, "stdevs": 0.5, **more}
    expected = seeded(lambda: direct.attribute(image, target=TARGET, **settings))
    attribution = attribute(
        network, image, TARGET, "smoothgrad", over=key, nt_samples=4, stdevs=0.5, **more
    )
    # Where a value is about 0, another rounding may put it on the other side of a ReLU.
    assert_same(attribution.map, expected[0].abs().amax(0), within=1e-3)


@pytest.mark.parametrize(
    ("key", "name"), [("guided_backprop", "GuidedBackprop"), ("deconvolution", "Deconvolution")]
)
def test_rules_for_relus_are_captums_on_a_network_without_reuse(network, image, key, name):
    """The same units written out by hand, a ReLU for each use, are what Captum can work on."""
    direct = getattr(captum.attr, name)(write_out_relus(network.model))
    expected = quietly(lambda: direct.attribute(image.clone().requires_grad_(), target=TARGET))
    assert_same(attribute(network, image, TARGET, key).map, expected[0].sum(0))


@pytest.mark.parametrize("stage", [None, 4])
def test_guided_grad_cam_is_captums_on_a_network_without_reuse(network, image, stage):
    """Guided Backprop times Grad-CAM at the end of the stage, the last one if none is named."""
    twin = write_out_relus(network.model)
    direct = captum.attr.GuidedGradCam(twin, twin.get_submodule("layer3" if stage else "layer4"))
    expected = quietly(lambda: direct.attribute(image.clone().requires_grad_(), target=TARGET))
    attribution = attribute(network, image, TARGET, "guided_grad_cam", stage=stage)
    assert_same(attribution.map, expected[0].sum(0))
    assert attribution.stage == (stage or 5)


@pytest.fixture
def smooth(network: Network) -> Network:
    """In double precision, in which squares are exact enough; it has no max-pool, for which
    Captum's rule is wrong.
    """
    return Network.from_model(network.model.double(), input_size=network.card.input_size)


@pytest.mark.parametrize("baseline", ["mean", "black", "blur"])
def test_deep_lift_is_captums_where_products_are_written_as_squares(
    smooth, image, baseline, monkeypatch
):
    """A rule for a square makes Captum alone share a product out; reused ReLUs it refuses."""
    teach_squares(monkeypatch)
    image = image.double()
    start = make_baseline(smooth, image, baseline)
    direct = captum.attr.DeepLift(write_out_products(smooth.model))
    expected = quietly(
        lambda: direct.attribute(image.clone().requires_grad_(), start, target=TARGET)
    )
    attribution = attribute(smooth, image, TARGET, "deep_lift", baseline=baseline)
    assert_same(attribution.map, expected[0].sum(0).float())
    with torch.no_grad():
        rise = (smooth.model(image) - smooth.model(start))[0, TARGET].item()
    assert attribution.explained == pytest.approx(rise)
    assert attribution.completeness_error == pytest.approx(0, abs=1e-9)


def test_deep_lift_shap_is_captums_where_products_are_written_as_squares(
    smooth, image, monkeypatch
):
    """The average of DeepLift over four pictures near the baseline."""
    teach_squares(monkeypatch)
    image = image.double()
    direct = captum.attr.DeepLiftShap(write_out_products(smooth.model))
    starts = scatter(torch.zeros_like(image), 4)
    expected = quietly(
        lambda: direct.attribute(image.clone().requires_grad_(), starts, target=TARGET)
    )
    assert_same(attribute(smooth, image, TARGET, "deep_lift_shap").map, expected[0].sum(0).float())


def test_captum_alone_refuses_a_relu_that_is_used_twice(network, image):
    """If a later Captum can do it, the copy is not needed any more."""
    direct = captum.attr.DeepLift(copy.deepcopy(network.model))
    with (
        pytest.raises(RuntimeError, match="used more than once"),
        pytest.warns(UserWarning, match="hooks"),
    ):
        direct.attribute(image.clone().requires_grad_(), target=TARGET)


@pytest.mark.parametrize("baseline", ["mean", "blur"])
@pytest.mark.parametrize(
    ("key", "name", "options"),
    [
        ("feature_ablation", "FeatureAblation", {}),
        ("shapley", "ShapleyValueSampling", {"n_samples": 8}),
    ],
)
def test_methods_on_patches_are_captums(network, image, patches, key, name, options, baseline):
    """Same patches, same random sets of them; Captum repeats one value for three colours."""
    settings = {
        "baselines": make_baseline(network, image, baseline),
        "feature_mask": patches,
        **options,
    }
    direct = getattr(captum.attr, name)(network.model)
    expected = seeded(
        lambda: direct.attribute(image, target=TARGET, perturbations_per_eval=8, **settings)
    )
    attribution = attribute(network, image, TARGET, key, baseline=baseline)
    # Small differences of logits in float32.
    assert_same(attribution.map, expected[0, 1], within=1e-3)


def test_kernel_shap_is_captums_on_pairs(network, image, patches):
    """Captum's own regression on the same sets, which only are drawn in pairs: it is given them
    from outside.
    """
    direct = captum.attr.KernelShap(network.model)
    direct.perturb_func = PairedKernelShap(network.model).kernel_shap_perturb_generator
    settings = {"feature_mask": patches, "n_samples": 400, "perturbations_per_eval": 8}
    expected = seeded(lambda: direct.attribute(image, target=TARGET, **settings))
    assert_same(attribute(network, image, TARGET, "kernel_shap").map, expected[0, 1], within=1e-3)


def draw_game(players: int) -> tuple[Tensor, Tensor]:
    """Return what each player earns alone, and each pair together (upper triangle)."""
    generator = torch.Generator().manual_seed(9)
    pairs = torch.randn(players, players, generator=generator).triu(1)
    return torch.randn(players, generator=generator), pairs


@pytest.mark.parametrize("seed", [0, 1])
def test_pairs_of_sets_give_shapley_values_of_pairwise_games_exactly(seed):
    """A player's Shapley value is its own worth and half of each pair's: pairs of sets leave no
    chance in it.

    Of independent sets the same number misses by more than the values' own size: that is what pairs
    are for.
    """
    alone, pairs = draw_game(12)
    values = alone + (pairs + pairs.T).sum(1) / 2

    def play(sets: Tensor) -> Tensor:
        members = sets.flatten(1)
        return (members @ alone + ((members @ pairs) * members).sum(1))[:, None]

    errors = {}
    for kind in (PairedKernelShap, captum.attr.KernelShap):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            estimate = kind(play).attribute(
                torch.ones(1, 12), target=0, n_samples=62, perturbations_per_eval=62
            )
        errors[kind] = (estimate[0] - values).norm() / values.norm()
    # Captum's regression is in float32, with a weight of a million.
    assert errors[PairedKernelShap] < 1e-2
    assert errors[captum.attr.KernelShap] > 10 * errors[PairedKernelShap]


def test_lime_is_captums(network, image, patches):
    """With Captum's kernel and its Lasso; the logits of a random network are small, and so has the
    penalty to be.
    """
    direct = captum.attr.Lime(network.model, SkLearnLasso(alpha=1e-6))
    settings = {"feature_mask": patches, "n_samples": 200, "perturbations_per_eval": 8}
    expected = seeded(lambda: direct.attribute(image, target=TARGET, **settings))
    # The Lasso stops when it is near enough.
    assert_same(
        attribute(network, image, TARGET, "lime", alpha=1e-6).map, expected[0, 1], within=1e-2
    )


def test_feature_permutation_is_the_fall_of_the_logit_for_patches_of_the_moved_photo(
    network, image, patches
):
    """By plain passes: each patch in turn is taken from the image moved around, and the falls are
    averaged.
    """
    generator = torch.Generator().manual_seed(0)
    expected = torch.zeros(64, 64)
    with torch.no_grad():
        logit = network.model(image)[0, TARGET]
        for _ in range(4):
            down, right = (int(torch.randint(1, 64, (), generator=generator)) for _ in range(2))
            donor = image.roll((down, right), (-2, -1))
            for patch in range(int(patches.max()) + 1):
                mixed = torch.where(patches == patch, donor, image)
                expected[patches[0, 0] == patch] += (logit - network.model(mixed)[0, TARGET]) / 4
    # Small differences of logits in float32.
    assert_same(attribute(network, image, TARGET, "feature_permutation").map, expected, within=1e-3)


@pytest.mark.parametrize("key", LINEAR)
def test_why_this_and_not_that_is_the_difference_of_two_maps(network, image, key):
    """These methods are linear in what they explain, and the lead over another class is a
    difference of logits.
    """
    for_target, for_rival = (attribute(network, image, target, key) for target in (TARGET, OTHER))
    attribution = attribute(network, image, TARGET, key, against=OTHER)
    assert (attribution.target, attribution.against) == (TARGET, OTHER)
    # Small differences of logits in float32.
    assert_same(attribution.map, for_target.map - for_rival.map, within=1e-3)
    if attribution.explained is not None:
        assert for_target.explained is not None
        assert for_rival.explained is not None
        assert attribution.explained == pytest.approx(
            for_target.explained - for_rival.explained, abs=1e-5
        )


def test_saliency_of_a_lead_is_the_gradient_of_the_difference(network, image):
    """The magnitude of a difference is not a difference of magnitudes, so this is derived on its
    own.
    """
    image = image.clone().requires_grad_()
    logits = network.model(image)[0]
    slope = torch.autograd.grad(logits[TARGET] - logits[OTHER], image)[0]
    assert_same(
        attribute(network, image, TARGET, "saliency", against=OTHER).map, slope[0].abs().amax(0)
    )


@pytest.mark.parametrize("key", ["shapley", "kernel_shap"])
def test_shapley_values_add_up_to_the_rise_of_the_logit(network, image, patches, key):
    """Efficiency (Shapley 1953): the patches' values, each counted once, sum to logit(image) -
    logit(baseline).
    """
    attribution = attribute(network, image, TARGET, key)
    with torch.no_grad():
        rise = (network.model(image) - network.model(torch.zeros_like(image)))[0, TARGET].item()
    first = [
        int((patches.flatten() == patch).nonzero()[0]) for patch in range(int(patches.max()) + 1)
    ]
    assert attribution.explained == pytest.approx(rise, abs=1e-6)
    assert attribution.map.flatten()[first].sum().item() == pytest.approx(rise, abs=1e-4)
    assert attribution.completeness_error == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("key", [key for key, row in METHODS.items() if row.baseline])
def test_the_baseline_is_what_the_image_is_compared_with(network, image, key):
    """A key and the picture it stands for give the same map; another key gives another one."""
    fewer = FEWER.get(key, {})
    black = attribute(network, image, TARGET, key, baseline="black", **fewer)
    assert black.baseline == "black"
    picture = make_baseline(network, image, "black")
    if draws := METHODS[key].options.get("draws"):
        picture = scatter(picture, draws)
    attribution = attribute(network, image, TARGET, key, baselines=picture, **fewer)
    assert attribution.baseline is None
    assert torch.equal(black.map, attribution.map)
    assert not torch.equal(black.map, attribute(network, image, TARGET, key, **fewer).map)


@pytest.mark.parametrize("key", [key for key, row in METHODS.items() if not row.baseline])
def test_methods_without_a_baseline_name_none(network, image, key):
    """A baseline in the record would be read as part of the question."""
    assert attribute(network, image, TARGET, key, baseline="black").baseline is None


def draw(_: int) -> None:
    """What others do while the turn is away."""
    torch.rand(3)


def numpy_state() -> list[int]:
    """The state of NumPy's global generator."""
    state: Any = np.random.get_state()
    return state[1].tolist()


@pytest.mark.parametrize("key", RANDOM)
def test_the_same_call_gives_the_same_map(network, image, key):
    """Whatever others draw meanwhile, and without a trace in their generators; another seed gives
    another map.
    """
    before = torch.get_rng_state(), numpy_state()
    # The logits of a random network are small, and so has Lime's penalty to be.
    options = {**FEWER.get(key, {}), **({"alpha": 1e-6} if key == "lime" else {})}
    first = attribute(network, image, TARGET, key, **options)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert numpy_state() == before[1]
    again = attribute(network, image, TARGET, key, watch=draw, **options)
    assert torch.equal(again.map, first.map)
    if key not in ("feature_ablation", "deep_lift_shap"):
        assert not torch.equal(
            attribute(network, image, TARGET, key, seed=1, **options).map, first.map
        )


@pytest.mark.parametrize("key", METHODS)
def test_progress_is_told_up_to_the_end(network, image, key):
    """A bar fills steadily and never beyond its end; what is on it is about what the catalogue
    promised.
    """
    reports: list[tuple[int, int]] = []
    attribute(network, image, TARGET, key, report=lambda *numbers: reports.append(numbers))
    passes, _ = METHODS[key].passes(shape=(3, 64, 64))
    assert {total for _, total in reports} <= {passes}
    assert [count for count, _ in reports] == sorted(count for count, _ in reports)
    if METHODS[key].kind in ("gradient", "path", "smooth", "occlusion"):
        assert reports[-1] == (passes, passes)


@pytest.mark.parametrize("key", METHODS)
def test_the_catalogue_counts_the_passes(network, image, key):
    """The estimate on the page is made of these; superpixels are fewer than asked for where the
    photo has fewer.
    """
    images = []
    with network.model.register_forward_pre_hook(lambda _, inputs: images.append(len(inputs[0]))):
        attribute(network, image, TARGET, key)
    forward, backward = METHODS[key].passes(shape=(3, 64, 64))
    row = METHODS[key]
    assert row.kind in KINDS
    assert (backward == 0) == (row.kind in ("occlusion", "superpixel"))
    if row.copied or "superpixels" in row.repeats:
        return
    assert abs(sum(images) - forward) <= 2


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        (
            "occlusion",
            {"strides": (3, 0, 0)},
            r"^Occlusion cannot run with strides=\(3, 0, 0\)\. Choose 1 or more\.$",
        ),
        (
            "integrated_gradients",
            {"n_steps": 10**6},
            r"can take 2,000 steps at most, not 1,000,000\. Lower n_st",
        ),
        (
            "gradient_shap",
            {"n_samples": 150_000},
            r"^GradientShap would hold 150,009 copies of the image at once, 7 GB, and the most is "
            r"4 GB\. Lower n_samp",
        ),
        (
            "lime",
            {"n_samples": 150_000, "perturbations_per_eval": 10**6},
            r"would hold 150,001 copies .* Lower perturbations_per_eval",
        ),
        (
            "integrated_gradients",
            {"n_steps": "4"},
            r"^Integrated Gradients cannot read its options\. Give whole numbers",
        ),
        (
            "occlusion",
            {"strides": 16},
            r"^Occlusion cannot read its options\. .* sizes and strides as \(3, rows, col",
        ),
        ("lime", {"n_samples": 10**6}, r"^Lime would run the network 1,000,001 times"),
        (
            "smoothgrad",
            {"over": "occlusion"},
            r"^SmoothGrad cannot smooth 'occlusion'\. Choose one of: saliency, ",
        ),
        (
            "saliency",
            {"baseline": "white"},
            r"^There is no baseline 'white'\. Choose one of: mean, black, blur, noise",
        ),
        (
            "saliency",
            {"against": 2},
            r"^Class 2 does not differ from itself\. Choose another class",
        ),
        ("saliency", {"against": 7}, r"^There is no class 7: this network has 0 to 4\. Choose"),
        (
            "input_x_gradient",
            {"seed": 1},
            r"^Input x Gradient cannot run with these options: .*seed",
        ),
        # Captum takes these two in silence.
        (
            "feature_ablation",
            {"superpixel": 4},
            r"^Feature Ablation cannot .* superpixels, seed, and not 'superpixel'\.",
        ),
        (
            "feature_permutation",
            {"donor": 1},
            r"^Feature Permutation cannot .* donors, and not 'donor'\. Change them",
        ),
    ],
)
def test_options_that_lead_nowhere_are_said_before_anything_runs(
    network, image, key, options, message
):
    """Too many steps would take the machine's memory, and a stride of 0 gives no numbers; each
    gets a sentence.
    """
    with pytest.raises(AttributionError, match=message):
        attribute(network, image, TARGET, key, **options)


def test_values_that_are_no_numbers_are_not_drawn(network, image):
    """A map of NaN is no map; here the baseline holds one."""
    start = torch.zeros_like(image)
    start[0, 0, 0, 0] = float("nan")
    message = (
        r"^Integrated Gradients cannot run with these options: its values for this image are NaN "
        r"or infinite\. Change"
    )
    with pytest.raises(AttributionError, match=message):
        attribute(network, image, TARGET, "integrated_gradients", baselines=start)


def test_a_piece_larger_than_the_whole_is_the_whole(network, image):
    """All windows of this image go into one pass, however many would be let into one."""
    expected = attribute(network, image, TARGET, "occlusion", perturbations_per_eval=9)
    attribution = attribute(network, image, TARGET, "occlusion", perturbations_per_eval=10**6)
    # Batches of other sizes add in another order, and the map is of small differences.
    assert_same(attribution.map, expected.map, within=1e-3)
