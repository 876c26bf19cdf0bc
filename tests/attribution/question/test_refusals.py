"""What a method cannot run with is said for what it is: options are blamed only where it runs
without them.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.gates.neurons import attribute_neuron
from se_viz.attribution.layers.run import attribute_layers
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError, TooLittleMemoryError
from se_viz.gates.neurons import Neuron
from se_viz.networks import Network


class Small(nn.Module):
    """One convolution, one block, and a head; what a test makes of the answer comes last."""

    def __init__(self, end: Callable[[Tensor], Tensor] = lambda logits: logits) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, 2)
        self.bend = nn.ReLU()
        self.se = SqueezeExcitation(8, 4)
        self.head = nn.Linear(8, 4)
        self.end = end

    def forward(self, images: Tensor) -> Tensor:
        """Return four logits."""
        return self.end(self.head(self.se(self.bend(self.start(images))).mean((2, 3))))


def network_of(change: Callable[[Small], Any] = lambda _: None, **options: Any) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Small(**options)
    network = Network.from_model(model, input_size=32)
    change(model)
    return network


@pytest.fixture
def small_image() -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def write_over(logits: Tensor) -> Tensor:
    values = logits.sigmoid()
    values.mul_(2)
    return values


def one_by_one(logits: Tensor) -> Tensor:
    if len(logits) != 1:
        raise ValueError("one image, please")
    return logits


METHODS = (
    "saliency",
    "integrated_gradients",
    "deep_lift",
    "guided_backprop",
    "smoothgrad",
    "grad_cam",
)


@pytest.mark.parametrize("key", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_methods_run_in_the_networks_precision(small_image: Tensor, dtype: torch.dtype, key: str):
    """An image of float32 is brought to it: the map is that of float32, as exact as the coarser of
    the two.
    """
    network = network_of(lambda model: model.to(dtype))
    plain = network_of()
    heat, expected = (attribute(subject, small_image, 1, key).map for subject in (network, plain))
    assert heat.dtype == torch.float32
    slack = 1e-4 if dtype == torch.float64 else 0.2
    torch.testing.assert_close(heat, expected, rtol=0, atol=slack * expected.abs().max().item())


CASES = {
    "no gradient": (
        network_of(end=lambda logits: logits.detach()),
        ("saliency", "integrated_gradients", "deep_lift", "guided_backprop", "smoothgrad"),
        r"cannot run on this network: no gradient comes back .* Choose a method that needs none, "
        r"such as occlusion",
    ),
    "in place": (
        network_of(end=write_over),
        ("saliency", "integrated_gradients", "guided_backprop"),
        r"cannot run on this network: its code writes over values .* Choose a method without "
        r"gradients",
    ),
    "one image": (
        network_of(end=one_by_one),
        ("integrated_gradients", "smoothgrad"),
        r"runs several images in one pass, and Small takes only one: one image, please\. Choose a "
        r"method of a single",
    ),
    "two precisions": (
        network_of(lambda model: model.head.double()),
        ("saliency", "deep_lift", "occlusion"),
        r"^Small itself cannot run on this image: its layers compute in different precisions\. "
        r"Bring them to one with",
    ),
    "no numbers": (
        network_of(lambda model: model.head.weight.data.fill_(float("nan"))),
        ("saliency", "deep_lift", "occlusion"),
        r"^Small answers this image with values that are NaN or infinite, .* Check its weights",
    ),
    "another head": (
        network_of(lambda model: setattr(model, "head", nn.Linear(8, 2))),
        ("saliency", "deep_lift", "occlusion"),
        r"^Small returns \(1, 2\) for one image, and has 4 class names: it was changed since .* "
        r"Network\.from_model",
    ),
    "moved out": (
        network_of(lambda model: model.to("meta")),
        ("saliency", "deep_lift"),
        r"^Small has no weights any more: it was moved to the device meta\. Load it again\.$",
    ),
}


@pytest.mark.parametrize(
    ("case", "key"), [(case, key) for case, (_, keys, _) in CASES.items() for key in keys]
)
def test_the_reason_is_said_and_no_option_blamed(small_image: Tensor, case: str, key: str):
    """None was given, so that there is none to change; the next step is one that helps."""
    network, _, message = CASES[case]
    with pytest.raises(AttributionError, match=message) as raised:
        attribute(network, small_image, 3, key)
    assert "options" not in str(raised.value)


@pytest.mark.parametrize("case", ["no gradient", "no numbers", "two precisions"])
def test_options_are_not_blamed_for_what_fails_without_them(small_image: Tensor, case: str):
    """A number of steps does not mend a network: the sentence is the one that no option at all
    gets.
    """
    network, _, message = CASES[case]
    with pytest.raises(AttributionError, match=message):
        attribute(network, small_image, 3, "integrated_gradients", n_steps=3)


def test_options_are_blamed_where_the_method_runs_without_them(small_image: Tensor):
    """A baseline of another size fits no image, and the method's own does."""
    message = (
        r"^Integrated Gradients cannot run with these options: The size of tensor .*\. Change "
        r"them\.$"
    )
    with pytest.raises(AttributionError, match=message):
        attribute(
            network_of(), small_image, 1, "integrated_gradients", baselines=torch.zeros(1, 3, 5, 5)
        )


def test_layers_and_gates_say_the_same(small_image: Tensor):
    """Three ways in, one reason."""
    network, _, message = CASES["no gradient"]
    with pytest.raises(AttributionError, match=message):
        attribute_layers(network, small_image, Target(1), layers=[Layer("after", "se")])
    broken, _, message = CASES["two precisions"]
    with pytest.raises(AttributionError, match=message):
        attribute_layers(broken, small_image, Target(1), layers=[Layer("after", "se")])
    empty, _, message = CASES["no numbers"]
    with pytest.raises(AttributionError, match=message):
        attribute_layers(empty, small_image, Target(1), layers=[Layer("after", "se")])
    silent = network_of(lambda model: model.start.weight.data.fill_(float("nan")))
    with pytest.raises(AttributionError, match=message):
        attribute_neuron(silent, small_image, Neuron("se", 0), "saliency")


def test_an_image_too_small_for_the_network_is_said_so():
    """The convolution's own sentence names the sizes, and the next step is the network's own
    preprocessing.
    """
    message = (
        r"^Small itself cannot run on this image: .*\. Give it an image of the size that it was "
        r"made for, with netw"
    )
    with pytest.raises(AttributionError, match=message):
        attribute(network_of(), torch.zeros(1, 3, 2, 2), 1, "saliency")


def test_short_memory_is_said_as_such(small_image: Tensor):
    """PyTorch's allocator on a CPU raises a plain RuntimeError; who runs there cannot go to a
    smaller device.
    """

    def refuse(_: Tensor) -> Tensor:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 "
            "bytes"
        )

    network = network_of(lambda model: model.__dict__.update(end=refuse))
    message = r"^cpu has too little memory left for Saliency\. .* a smaller network\.$"
    with pytest.raises(TooLittleMemoryError, match=message):
        attribute(network, small_image, 1, "saliency")
