"""Each map equals its definition, computed another way, and the model is left as it was."""

import pickle
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.places import choose_end, stage_ends
from se_viz.errors import AttributionError, TooLittleMemoryError
from se_viz.gates import GateSite, find_gates
from se_viz.gates.taps import Spot
from se_viz.networks import Network

pytestmark = pytest.mark.slow

TARGET = 2
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@pytest.fixture
def logit(network: Network) -> Callable[[Tensor], Tensor]:
    """The explained logit of each image in a batch."""
    return lambda inputs: network.model(inputs)[:, TARGET]


def gradient(logit: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    image = image.clone().requires_grad_()
    return torch.autograd.grad(logit(image).sum(), image)[0]


def assert_same(values: Tensor, expected: Tensor, *, within: float = 1e-5) -> None:
    """Compare maps on the scale of their greatest value: logits of a random network are small."""
    torch.testing.assert_close(values, expected, rtol=0, atol=within * expected.abs().max().item())


def test_an_attribution_keeps_its_options_and_can_be_cached(network, image):
    """The app's cache pickles what it keeps, and records with other options are other keys."""
    attribution = attribute(
        network, image, TARGET, "occlusion", sliding_window_shapes=(3, 32, 32), strides=(3, 32, 32)
    )
    again = pickle.loads(pickle.dumps(attribution))
    assert again.options == (("sliding_window_shapes", (3, 32, 32)), ("strides", (3, 32, 32)))
    assert hash(again.options) == hash(attribution.options)
    assert torch.equal(again.map, attribution.map)


@pytest.mark.parametrize("key", ["integrated_gradients", "input_x_gradient"])
def test_signed_methods_are_captums_summed_over_colours(network, image, key):
    """What the page shows has to be what a reader gets who calls Captum with the settings of the
    catalogue.
    """
    row = METHODS[key]
    direct = getattr(captum.attr, row.algorithm)(network.model)
    expected = direct.attribute(image.clone().requires_grad_(), target=TARGET, **row.options)
    assert_same(attribute(network, image, TARGET, key).map, expected[0].sum(0).detach())


def test_grad_cam_is_captums(network, image):
    """Captum's own map, brought to the size of the input by Captum's own interpolation."""
    direct = captum.attr.LayerGradCam(network.model, network.model.get_submodule("layer3"))
    coarse = direct.attribute(image.clone().requires_grad_(), target=TARGET, relu_attributions=True)
    assert isinstance(coarse, Tensor)
    expected = captum.attr.LayerAttribution.interpolate(coarse, (64, 64), "bilinear")
    attribution = attribute(network, image, TARGET, "grad_cam", stage=4)
    assert_same(attribution.map, expected[0, 0].detach())


def test_occlusion_is_captums_for_one_colour(network, image):
    """A square covers all three colours, so Captum repeats one value three times: the map is that
    value.
    """
    direct = captum.attr.Occlusion(network.model)
    expected = direct.attribute(image, target=TARGET, **METHODS["occlusion"].options)
    # Small differences of logits in float32, added in the order of another memory layout.
    assert_same(
        attribute(network, image, TARGET, "occlusion").map, expected[0, 1].detach(), within=1e-3
    )


def test_saliency_is_the_greatest_magnitude_of_the_gradient(network, image, logit):
    """Simonyan et al., arXiv 1312.6034, section 3.1: w of a pixel is the maximum over colours of
    |gradient|.
    """
    attribution = attribute(network, image, TARGET, "saliency")
    assert_same(attribution.map, gradient(logit, image)[0].abs().amax(0))
    assert not attribution.signed
    assert attribution.map.min() >= 0


def test_input_x_gradient_is_the_product_summed_over_colours(network, image, logit):
    """First-order change of the logit on the way from the mean colour, which is 0 after
    normalisation.
    """
    expected = (gradient(logit, image) * image)[0].sum(0)
    assert_same(attribute(network, image, TARGET, "input_x_gradient").map, expected)


def test_integrated_gradients_is_the_average_gradient_times_the_way(network, image, logit):
    """Sundararajan et al., arXiv 1703.01365, eq. 1, by a plain mid-point sum of 64 steps."""
    steps = [(index + 0.5) / 64 for index in range(64)]
    average = torch.stack([gradient(logit, image * share) for share in steps]).mean(0)
    attribution = attribute(network, image, TARGET, "integrated_gradients", n_steps=64)
    expected = (average * image)[0].sum(0)
    # Two quadrature rules of a function with kinks.
    assert_same(attribution.map, expected, within=0.02)


@pytest.mark.parametrize("baseline", [0.0, -1.0])
def test_integrated_gradients_explains_the_change_of_the_logit(network, image, logit, baseline):
    """Completeness (arXiv 1703.01365, proposition 1): the map sums to F(x) - F(x'), up to the
    reported error.
    """
    attribution = attribute(network, image, TARGET, "integrated_gradients", baselines=baseline)
    change = (logit(image) - logit(torch.full_like(image, baseline))).item()
    # Another memory layout adds in another order.
    assert attribution.explained == pytest.approx(change, abs=1e-6)
    assert attribution.completeness_error == pytest.approx(
        abs(attribution.map.sum().item() - change), abs=1e-6
    )
    # 32 steps through a network with kinks.
    assert attribution.completeness_error < 0.1 * abs(change)


@pytest.mark.parametrize("key", [key for key in METHODS if not METHODS[key].complete])
def test_methods_that_promise_no_completeness_report_none(shallow, image, key):
    """A number there would be read as an error of a method that never promised a sum."""
    attribution = attribute(shallow, image, TARGET, key)
    assert (attribution.completeness_error, attribution.explained) == (None, None)


@pytest.mark.parametrize(
    ("stage", "layer"), [(2, "layer1"), (3, "layer2"), (4, "layer3"), (5, "layer4")]
)
def test_grad_cam_weighs_the_channels_of_a_stage_by_their_mean_gradient(
    network, image, stage, layer
):
    """Selvaraju et al., arXiv 1610.02391, eqs.

    1 and 2, then bilinear enlargement; own hook, own gradient.
    """
    outputs = []
    module = network.model.get_submodule(layer)
    with module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output)):
        value = network.model(image.clone().requires_grad_())[0, TARGET]
    weights = torch.autograd.grad(value, outputs[0])[0].mean((2, 3), keepdim=True)
    coarse = F.relu((weights * outputs[0]).sum(1, keepdim=True))
    expected = F.interpolate(coarse, (64, 64), mode="bilinear")[0, 0].detach()
    attribution = attribute(network, image, TARGET, "grad_cam", stage=stage)
    assert attribution.stage == stage
    assert_same(attribution.map, expected)


def test_grad_cam_takes_the_last_stage_by_default(network, image):
    """Gradients through fewer layers, and the strongest meaning: what the paper uses."""
    attribution = attribute(network, image, TARGET, "grad_cam")
    assert attribution.stage == 5
    assert_same(attribution.map, attribute(network, image, TARGET, "grad_cam", stage=5).map)


def test_occlusion_is_the_fall_of_the_logit_averaged_over_the_squares_on_a_pixel(
    network, image, logit
):
    """Squares of 32 every 16 pixels: corner pixels lie under one, the centre under four.

    By plain passes.
    """
    fall = torch.zeros(64, 64)
    count = torch.zeros(64, 64)
    for row in (0, 16, 32):
        for column in (0, 16, 32):
            covered = image.clone()
            covered[..., row : row + 32, column : column + 32] = 0
            fall[row : row + 32, column : column + 32] += (logit(image) - logit(covered)).item()
            count[row : row + 32, column : column + 32] += 1
    assert (count[0, 0], count[32, 32]) == (1, 4)
    attribution = attribute(network, image, TARGET, "occlusion")
    # Small differences of logits in float32.
    assert_same(attribution.map, fall / count, within=1e-3)


def test_stages_of_a_resnet_end_where_its_layers_end(se_net):
    """torchvision's ResNet keeps one stage in each of layer1 to layer4."""
    assert stage_ends(find_gates(se_net, size=64)) == {
        2: "layer1",
        3: "layer2",
        4: "layer3",
        5: "layer4",
    }


def test_a_stage_may_end_inside_a_shared_container():
    """In a flat network of `features`, the end is the last unit of the stage, not the container of
    all.
    """
    paths = {"features.1.se": 2, "features.2.se": 3, "features.10.se": 3, "features.11.block.se": 4}
    sites = [GateSite(path, stage, 8, "Sigmoid") for path, stage in paths.items()]
    assert stage_ends(sites) == {2: "features.1", 3: "features.10", 4: "features.11"}


class Listed(nn.Module):
    """Units in a list, which has no code of its own and is never called."""

    def __init__(self, units: nn.Sequential) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.units = nn.ModuleList(units)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return 4 logits."""
        features = self.stem(images)
        for unit in self.units:
            features = unit(features)
        return self.head(features.mean((2, 3)))


def test_a_stage_whose_units_lie_in_a_list_ends_with_its_last_unit():
    """Grad-CAM looks at a module that runs: the map is the one by hand from the last unit."""
    units = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(8, 8, 1), SqueezeExcitation(8, 2)) for _ in range(2))
    )
    model = Listed(units)
    network = Network.from_model(model, input_size=16)
    assert choose_end(network, None) == (0, Spot("units.1"))
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    features = units(model.stem(images)).detach().requires_grad_()
    logit = model.head(features.mean((2, 3)))[0, 1]
    weights = torch.autograd.grad(logit, features)[0].mean((2, 3), keepdim=True)
    expected = (weights * features).sum(1).relu()[0].detach()
    actual = attribute(network, images, 1, "grad_cam").map
    assert torch.allclose(actual, expected, atol=1e-6)


class Folded(nn.Module):
    """One SE block that a pass goes through at two resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExcitation(8, 2)
        self.down = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(self.down(self.se(self.stem(images)))).mean((2, 3))


def test_a_block_in_two_stages_ends_none_of_them():
    """Its output is that of either stage: Grad-CAM is refused with a way out, instead of a map of
    who knows what.
    """
    network = Network.from_model(Folded(), input_size=32)
    assert [site.stage for site in network.inspection.sites] == [0, 1]
    assert stage_ends(network.inspection.sites) == {}
    with pytest.raises(
        AttributionError, match=r"no module ends one\. Choose a method that explains the input"
    ):
        attribute(network, torch.ones(1, 3, 32, 32), 0, "grad_cam")
    assert attribute(network, torch.ones(1, 3, 32, 32), 0, "saliency").map.shape == (32, 32)


def state(model: nn.Module, image: Tensor) -> dict[str, Any]:
    """What others can notice of a model; the mode is per module, and the answer to the bit."""
    with torch.no_grad():
        answer = model(image).tolist()
    hooks = sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)
    modes = [module.training for module in model.modules()]
    gradients = [(value.requires_grad, value.grad is None) for value in model.parameters()]
    buffers = [value.tolist() for value in model.buffers()]
    return {
        "answer": answer,
        "hooks": hooks,
        "modes": modes,
        "gradients": gradients,
        "buffers": buffers,
    }


@pytest.mark.parametrize("key", METHODS)
def test_an_attribution_leaves_model_and_input_as_they_were(shallow, image, key):
    """One model serves every session: no hook, gradient or mode may stay, and no answer may
    change.
    """
    model = shallow.model.requires_grad_()
    model.fc.train()  # One module in another mode, without effect on the answer.
    before = state(model, image)
    attribute(shallow, image, TARGET, key)
    assert state(model, image) == before
    assert before["hooks"] == 0
    assert (image.requires_grad, image.grad) == (False, None)


@pytest.mark.parametrize("key", METHODS)
def test_a_failing_attribution_leaves_the_model_as_it_was(shallow, image, key):
    """Methods fail half-way when memory runs out; the next session must not find their hooks."""
    model = shallow.model
    before = state(model, image)

    def fail(*_: object) -> None:
        # The black image by which Grad-CAM finds the stages, and the copy's proof, run without
        # gradients.
        if torch.is_grad_enabled() or METHODS[key].kind in ("occlusion", "superpixel"):
            raise RuntimeError("out of memory")

    with (
        model.layer4.register_forward_hook(fail),
        pytest.raises(TooLittleMemoryError, match="too little memory left"),
    ):
        attribute(shallow, image, TARGET, key)
    assert state(model, image) == before


@pytest.mark.parametrize("key", METHODS)
def test_a_callers_gradient_mode_does_not_matter(shallow, image, key):
    """Pages and notebooks wrap whole scripts in inference mode; gradients are the method's own
    business.
    """
    expected = attribute(shallow, image, TARGET, key).map
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            heat = attribute(shallow, image.clone(), TARGET, key).map
        assert torch.equal(heat, expected), mode


@pytest.mark.parametrize(
    ("target", "key", "options", "message"),
    [
        (5, "saliency", {}, r"^There is no class 5: this network has 0 to 4\. Choose"),
        (-1, "saliency", {}, r"^There is no class -1: "),
        (
            0,
            "lrpp",
            {},
            r"^There is no method 'lrpp'\. Choose one of: integrated_gradients, saliency, "
            r".*kernel_shap\.$",
        ),
        (
            0,
            "grad_cam",
            {"stage": 6},
            r"^There is no stage 6 with SE blocks\. Choose one of: 2, 3, 4, 5\.$",
        ),
        (
            0,
            "saliency",
            {"stage": 3},
            r"^Saliency explains the input\. Leave stage 3 out, or use grad_cam, "
            r"guided_grad_cam\.$",
        ),
        (
            0,
            "saliency",
            {"steps": 9},
            r"^Saliency cannot run with these options: the method has none, and not 'steps'\. "
            r"Change them\.$",
        ),
        (
            0,
            "integrated_gradients",
            {"n_steps": 0},
            r"^Integrated Gradients cannot run with n_steps=0\. Choose 1 or more\.$",
        ),
        (
            0,
            "integrated_gradients",
            {"baselines": torch.zeros(1, 3, 5, 5)},
            r"cannot run with these options: .*size",
        ),
        (0, "occlusion", {"sliding_window_shapes": (3, 99, 99)}, r"cannot exceed input dimensions"),
    ],
)
def test_what_cannot_be_explained_is_said(network, image, target, key, options, message):
    """Each refusal names the value and ends in what to do."""
    with pytest.raises(AttributionError, match=message):
        attribute(network, image, target, key, **options)
