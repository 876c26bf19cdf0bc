"""Each value at a feature map equals Captum's own and its definition, and the model is left as it
was.
"""

import copy
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, edit_gates
from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.layers.focus import enlarge
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.passes.slices import MOST_ON_CPU
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError, OvertakenError, TooLittleMemoryError
from se_viz.networks import Network
from tests.support.passes import Passes
from tests.support.reused import Twice
from tests.support.written_out import teach_squares, write_out_products

pytestmark = pytest.mark.slow

TARGET = Target(2)
MIDDLE = "layer3.0.bn3.1"
LAST = "layer4.0.bn3.1"
PLACES = (Layer("before", MIDDLE), Layer("after", MIDDLE), Layer("after", LAST), Layer("end", 4))
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
RUNS = [key for key in LAYER_METHODS if key != "deep_lift"]


class Cloned(nn.Module):
    """Copies what it is given: what comes next may write into it."""

    def forward(self, features: Tensor) -> Tensor:
        """Return a copy."""
        return features.clone()


@pytest.fixture
def network(shallow: Network) -> Network:
    """What a method makes of one block does not depend on how many there are."""
    return shallow


@pytest.fixture
def safe(network: Network) -> nn.Module:
    """Return a copy of the model whose blocks are followed by a copy of X~, which the shortcut may
    be added to.
    """
    model = copy.deepcopy(network.model)
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, SqueezeExcitation):
                setattr(parent, name, nn.Sequential(child, Cloned()))
    return model


def module_of(model: nn.Module, layer: Layer) -> nn.Module:
    return model.get_submodule("layer3" if layer.where == "end" else f"{layer.of}.0")


def settings_of(key: str, image: Tensor, channels: int) -> dict[str, Any]:
    """Return the catalogue's settings as a reader of Captum's manual would write them."""
    row = LAYER_METHODS[key]
    mask = (
        {"layer_mask": torch.arange(channels).reshape(1, -1, 1, 1)}
        if key == "feature_ablation"
        else {}
    )
    baseline = {"baselines": torch.zeros_like(image)} if row.baseline else {}
    target = {} if key == "activation" else {"target": TARGET.index}
    return {**row.options, **mask, **baseline, **target}


def assert_same(values: Tensor, expected: Tensor, *, within: float = 1e-5) -> None:
    """Compare values on the scale of the greatest: logits of a random network are small."""
    torch.testing.assert_close(values, expected, rtol=0, atol=within * expected.abs().max().item())


@pytest.mark.parametrize("layer", PLACES, ids=str)
@pytest.mark.parametrize("key", RUNS)
def test_values_are_captums(
    network: Network, image: Tensor, safe: nn.Module, key: str, layer: Layer
):
    """What is shown has to be what calling Captum on the block's own module gives, where nothing
    is overwritten.
    """
    attribution = attribute_layer(network, image, TARGET, key, layer=layer)
    direct: Any = getattr(captum.attr, LAYER_METHODS[key].algorithm)(safe, module_of(safe, layer))
    options = settings_of(key, image, len(attribution.values))
    expected = direct.attribute(
        image.clone().requires_grad_(), attribute_to_layer_input=layer.where == "before", **options
    )
    expected = expected[0] if isinstance(expected, tuple) else expected
    # Ablation takes small differences of logits.
    assert_same(
        attribution.values, expected[0].detach(), within=1e-3 if key == "feature_ablation" else 1e-5
    )
    assert attribution.values.abs().max() > 0
    assert attribution.signed or attribution.map.min() >= 0


def test_captum_alone_cannot_integrate_behind_the_gates(network: Network, image: Tensor):
    """The reason for a tap: in a ResNet the shortcut is added into what Captum put at the block's
    output.
    """
    direct = captum.attr.LayerIntegratedGradients(network.model, network.model.get_submodule(LAST))
    with pytest.raises(RuntimeError, match="in-place operation"):
        direct.attribute(image, target=TARGET.index, n_steps=2)
    assert attribute_layer(
        network, image, TARGET, "integrated_gradients", layer=PLACES[2]
    ).map.any()


def slopes(network: Network, image: Tensor, block: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, X~, and the logit's gradient by X~, with a clone of X~ from a plain hook as the
    leaf.
    """
    maps: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        maps.extend((inputs[0].detach(), output.detach().clone().requires_grad_()))
        return maps[1].clone()

    with network.model.get_submodule(block).register_forward_hook(keep):
        logit = network.model(image)[0, TARGET.index]
    return maps[0], maps[1].detach(), torch.autograd.grad(logit, maps[1])[0]


def test_grad_cam_weighs_channels_by_their_mean_gradient(network: Network, image: Tensor):
    """Selvaraju et al., arXiv 1610.02391, eqs. 1 and 2, by hand at X~."""
    _, features, slope = slopes(network, image, MIDDLE)
    weights = slope.mean((2, 3), keepdim=True)
    attribution = attribute_layer(network, image, TARGET, layer=Layer("after", MIDDLE))
    assert_same(attribution.values, (weights * features)[0])
    assert_same(attribution.map, F.relu((weights * features).sum(1))[0])


def test_grad_cam_before_the_gates_goes_through_them(network: Network, image: Tensor):
    """Eqs. 1 and 2 at U by plain autograd from the block's input, its gates free to react."""
    leaves: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        leaves.append(inputs[0].detach().clone().requires_grad_())
        return (leaves[0].clone(),)

    with network.model.get_submodule(MIDDLE).register_forward_pre_hook(keep):
        logit = network.model(image)[0, TARGET.index]
    weights = torch.autograd.grad(logit, leaves[0])[0].mean((2, 3), keepdim=True)
    attribution = attribute_layer(network, image, TARGET, layer=Layer("before", MIDDLE))
    assert_same(attribution.values, (weights * leaves[0].detach())[0])


@pytest.mark.parametrize("block", [MIDDLE, LAST])
def test_gradient_x_activation_sums_to_gradient_x_gate(network: Network, image: Tensor, block: str):
    """dL/ds_c = sum of dL/dx~ u, so s_c dL/ds_c = sum of dL/dx~ x~ over the cells: two ways to one
    number.
    """
    leaves: list[Tensor] = []

    def mark(gates: Tensor) -> Tensor:
        leaves.append(gates.detach().clone().requires_grad_())
        return leaves[0].clone()

    with edit_gates(network.model, {block: mark}):
        logit = network.model(image)[0, TARGET.index]
    expected = (torch.autograd.grad(logit, leaves)[0] * leaves[0].detach())[0]
    attribution = attribute_layer(
        network, image, TARGET, "gradient_x_activation", layer=Layer("after", block)
    )
    assert_same(attribution.values.sum((1, 2)), expected)


def test_ablation_equals_an_edited_gate(network: Network, image: Tensor):
    """A channel of X~ is 0 if its gate is: the fall of the logit is the same by either way, for
    each cell of it.
    """
    attribution = attribute_layer(
        network, image, TARGET, "feature_ablation", layer=Layer("after", LAST)
    )
    with torch.no_grad():
        before = network.model(image)[0, TARGET.index]
        for channel in (0, 7, 127):
            shut = {LAST: lambda gates, c=channel: gates.index_fill(1, torch.tensor(c), 0)}
            with edit_gates(network.model, shut):
                fall = before - network.model(image)[0, TARGET.index]
            # Small differences of logits in float32.
            torch.testing.assert_close(
                attribution.values[channel], fall.expand(2, 2), rtol=1e-3, atol=2e-6
            )


def test_the_map_of_ablation_weighs_activations_with_the_falls(network: Network, image: Tensor):
    """Ablation-CAM: ReLU of the sum of w A, w being the fall of the logit (there divided by it,
    which only scales).
    """
    attribution = attribute_layer(
        network, image, TARGET, "feature_ablation", layer=Layer("after", LAST)
    )
    _, features, _ = slopes(network, image, LAST)
    assert_same(attribution.map, F.relu((attribution.values * features[0]).sum(0)))


@pytest.mark.parametrize("key", ["integrated_gradients", "conductance"])
def test_all_that_changes_flows_through_the_end_of_a_stage(
    network: Network, image: Tensor, key: str
):
    """Completeness (arXiv 1703.01365, 1805.12233): nothing goes around a stage's end, so its cells
    sum to the rise.
    """
    with torch.no_grad():
        rise = (network.model(image) - network.model(torch.zeros_like(image)))[
            0, TARGET.index
        ].item()
    attribution = attribute_layer(network, image, TARGET, key, layer=Layer("end", 4), n_steps=128)
    # 128 steps through a network with kinks.
    assert attribution.values.sum().item() == pytest.approx(rise, rel=0.05)


def test_a_difference_of_two_classes_is_the_difference_of_their_values(
    network: Network, image: Tensor
):
    """The gradient of a difference is the difference of gradients."""
    difference = attribute_layer(network, image, Target(2, 4), layer=PLACES[1])
    first, second = (
        attribute_layer(network, image, Target(index), layer=PLACES[1]) for index in (2, 4)
    )
    assert_same(difference.values, first.values - second.values)


def test_deep_lift_behind_the_last_gates_is_the_rescale_rule(network: Network, image: Tensor):
    """Behind X~ come shortcut, ReLU, mean and classifier; a ReLU's slope is a quotient of
    differences (1704.02685).
    """
    with capture_gates(network.model, keep_features=[LAST]) as records, torch.no_grad():
        sums: list[Tensor] = []
        shortcut = network.model.get_submodule("layer4.0.downsample")
        with shortcut.register_forward_hook(lambda *arguments: sums.append(arguments[2])):
            network.model(image)
            network.model(torch.zeros_like(image))
    after, before = [
        record.features * record.gate[..., None, None]
        for record in records
        if record.features is not None
    ]
    first = after + sums[0]
    second = before + sums[1]
    slope = (first.relu() - second.relu()) / (first - second)
    weight = (
        network.model.get_submodule("fc").get_parameter("weight")[TARGET.index].reshape(1, -1, 1, 1)
    )
    expected = (after - before) * slope * weight / after[0, 0].numel()
    attribution = attribute_layer(network, image, TARGET, "deep_lift", layer=Layer("after", LAST))
    # Where both sums are nearly the same, Captum takes the slope at one of them.
    assert_same(attribution.values, expected[0].detach(), within=1e-3)


def test_deep_lift_is_captums_where_every_relu_is_used_once(network: Network, image: Tensor):
    """At the last stage's end only mean and classifier follow, so even Captum on a model with
    reused ReLUs is right.
    """
    twin = copy.deepcopy(network.model)
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    direct: Any = captum.attr.LayerDeepLift(twin, twin.get_submodule("layer4"))
    expected = direct.attribute(
        image.clone().requires_grad_(), torch.zeros_like(image), target=TARGET.index
    )
    attribution = attribute_layer(network, image, TARGET, "deep_lift", layer=Layer("end", 5))
    assert_same(attribution.values, expected[0].detach())


@pytest.mark.parametrize(
    "layer", [Layer("before", MIDDLE), Layer("after", MIDDLE), Layer("end", 4)]
)
def test_deep_lift_before_gates_is_captums_where_products_are_written_as_squares(
    network: Network, image: Tensor, layer: Layer, monkeypatch: pytest.MonkeyPatch
):
    """x s = ((x + s)^2 - (x - s)^2) / 4, and a rule for a square makes Captum alone share a
    product out.
    """
    teach_squares(monkeypatch)
    network = Network.from_model(network.model.double(), input_size=network.card.input_size)
    image = image.double()
    twin = write_out_products(network.model)
    entry = layer.where == "before"
    module = twin.get_submodule("layer3" if layer.where == "end" else str(layer.of))
    direct: Any = captum.attr.LayerDeepLift(twin, module)
    start = torch.zeros_like(image)
    expected = direct.attribute(
        image.requires_grad_(), start, target=TARGET.index, attribute_to_layer_input=entry
    )
    attribution = attribute_layer(network, image, TARGET, "deep_lift", layer=layer)
    assert_same(attribution.values, expected[0].detach().float())


class Squared(nn.Module):
    """A network that goes on behind its gates with a function that DeepLift has no rule for."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExcitation(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return (self.se(self.stem(images)) ** 2).mean((2, 3))


def test_deep_lift_is_refused_where_its_shares_do_not_add_up():
    """The slope of a square at the image is not the slope of the chord: the sum misses, and that
    is found out.
    """
    torch.manual_seed(0)
    network = Network.from_model(Squared(), input_size=16)
    with pytest.raises(
        AttributionError,
        match=r"shares miss what the answer changes by .*Choose Integrated Gradients",
    ):
        attribute_layer(
            network, torch.randn(1, 3, 16, 16), Target(0), "deep_lift", layer=Layer("after", "se")
        )


class Steady(nn.Module):
    """A network whose answer hardly changes: in single precision, 1e5 and all above it are whole
    128ths.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.se = SqueezeExcitation(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(self.stem(images)).mean((2, 3)) + 1e5


def test_deep_lift_is_not_refused_for_what_the_answer_rounds_off():
    """All that comes after X~ is a mean, through which differences pass whole."""
    torch.manual_seed(0)
    network = Network.from_model(Steady(), input_size=16)
    image = torch.randn(1, 3, 16, 16)
    with capture_gates(network.model, keep_features=["se"]) as records, torch.no_grad():
        network.model(image)
        network.model(torch.zeros_like(image))
    after, before = (
        record.features * record.gate[..., None, None]
        for record in records
        if record.features is not None
    )
    attribution = attribute_layer(
        network, image, Target(0), "deep_lift", layer=Layer("after", "se")
    )
    assert_same(attribution.values[0], (after - before)[0, 0] / 16**2)


class Full(Steady):
    """A network that has no room for an image beside its baseline."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of one image."""
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().forward(images)


def test_deep_lift_says_that_memory_ran_out():
    """The network is not to blame, and another method may need as much."""
    network = Network.from_model(Full(), input_size=16)
    with pytest.raises(TooLittleMemoryError, match=r"^cpu has too little memory left for DeepLift"):
        attribute_layer(
            network, torch.randn(1, 3, 16, 16), Target(0), "deep_lift", layer=Layer("after", "se")
        )


@pytest.mark.parametrize("key", RUNS)
def test_each_use_of_a_block_is_explained_by_itself(key: str):
    """X~ of the first use is U of the second: the same tensor has the same values by either
    name.
    """
    torch.manual_seed(0)
    network = Network.from_model(Twice(), input_size=16)
    image = torch.randn(1, 3, 16, 16)
    first, second = (
        attribute_layer(network, image, Target(0), key, layer=layer)
        for layer in (Layer("after", "se"), Layer("before", "se#2"))
    )
    assert_same(first.values, second.values)
    last = attribute_layer(network, image, Target(0), key, layer=Layer("after", "se#2"))
    assert not torch.equal(last.values, second.values)


def state(model: nn.Module, image: Tensor) -> dict[str, Any]:
    """What others can notice of a model; the mode is per module, and the answer to the bit."""
    with torch.no_grad():
        answer = model(image).tolist()
    hooks = sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)
    return {
        "answer": answer,
        "hooks": hooks,
        "modes": [module.training for module in model.modules()],
        "gradients": [(value.requires_grad, value.grad is None) for value in model.parameters()],
        "names": [name for name, _ in model.named_modules()],
    }


@pytest.mark.parametrize("key", LAYER_METHODS)
def test_a_run_leaves_model_and_input_as_they_were(network: Network, image: Tensor, key: str):
    """One model serves every session: nothing may stay, whether a run succeeds or is given up in
    the middle.
    """
    before = state(network.model, image)
    copy = image.clone()
    attribute_layer(network, image, TARGET, key, layer=Layer("after", LAST))

    def stop(_: int) -> None:
        raise OvertakenError("Somebody else is wanted. Wait.")

    with pytest.raises(OvertakenError, match="Wait"):
        attribute_layer(network, image, TARGET, key, layer=Layer("after", LAST), watch=stop)
    assert state(network.model, image) == before
    assert torch.equal(image, copy)
    assert not image.requires_grad


def test_a_run_can_be_given_up_between_two_passes(network: Network, image: Tensor):
    """Somebody who has chosen something else must not wait for the end of 129 passes."""
    calls = []

    def watch(_: int) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise OvertakenError("Somebody else is wanted. Wait.")

    before = state(network.model, image)
    with pytest.raises(OvertakenError, match="Wait"):
        attribute_layer(
            network, image, TARGET, "feature_ablation", layer=Layer("after", LAST), watch=watch
        )
    assert state(network.model, image) == before


def test_progress_counts_images_up_to_the_total(network: Network, image: Tensor):
    """A bar needs parts that grow and a total that stands: 32 steps and the two ends, 8 at a
    time.
    """
    reports: list[tuple[int, int]] = []
    attribute_layer(
        network,
        image,
        TARGET,
        "integrated_gradients",
        layer=Layer("after", LAST),
        report=lambda *numbers: reports.append(numbers),
    )
    assert {total for _, total in reports} == {34}
    assert [count for count, _ in reports] == [1, 2, 10, 18, 26]


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_callers_gradient_mode_does_not_matter(
    network: Network, image: Tensor, mode: Callable[[], Any]
):
    """Pages and notebooks wrap whole scripts in inference mode."""
    expected = attribute_layer(network, image, TARGET, layer=PLACES[0])
    with mode():
        attribution = attribute_layer(network, image.clone(), TARGET, layer=PLACES[0])
    assert torch.equal(attribution.values, expected.values)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"method": "magic"}, r"No method 'magic' explains a layer\. Choose one of: grad_cam"),
        ({"target": Target(9)}, r"There is no class 9"),
        (
            {"layer": Layer("after", "nowhere")},
            r"no SE block 'nowhere' that can be explained\. +Choose among: layer1",
        ),
        (
            {"layer": Layer("end", 7)},
            r"There is no stage 7 with SE blocks\. Choose one of: 2, 3, 4, 5",
        ),
        (
            {"layer": Layer("beside", LAST)},
            r"no feature map 'beside'\. Choose one of: before, after, end",
        ),
        ({"method": "conductance", "baseline": "none"}, r"There is no baseline 'none'"),
        ({"method": "conductance", "n_steps": -1}, r"Conductance cannot run with n_steps=-1"),
        ({"colour": "red"}, r"Grad-CAM cannot run with these options: .*colour.*Change them"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    network: Network, image: Tensor, question: dict[str, Any], words: str
):
    """No traceback of Captum's reaches a page."""
    question = {"target": TARGET, "layer": PLACES[0], **question}
    with pytest.raises(AttributionError, match=words):
        attribute_layer(network, image, **question)


def test_a_map_is_enlarged_as_captum_enlarges(image: Tensor):
    """Captum's own interpolation, which Grad-CAM's authors use too."""
    coarse = torch.randn(1, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        enlarge(coarse[0, 0], (12, 9)),
        captum.attr.LayerAttribution.interpolate(coarse, (12, 9), "bilinear")[0, 0],
    )


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("integrated_gradients", {"n_steps": 80, "internal_batch_size": None}),
        ("conductance", {"n_steps": 80}),
    ],
)
def test_no_pass_on_a_cpu_holds_more_images_than_a_small_memory(network, image, key, options):
    """A CPU raises no error when memory runs out: the system ends the whole program, and
    everybody's page with it.
    """
    settings = {"internal_batch_size": 500, **options}
    with Passes() as passes:
        attribute_layer(network, image, TARGET, key, layer=Layer("after", LAST), **settings)
    assert max(passes.sizes) <= MOST_ON_CPU
