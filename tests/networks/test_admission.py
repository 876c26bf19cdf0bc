"""Models that callers give: what runs, and the sentence where one cannot."""

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import Network
from se_viz.errors import NetworkError
from se_viz.experiments.analysis import analyse
from se_viz.networks.admission import admit_model, read_classes, read_colours, read_side
from se_viz.networks.cost import measure_cost

PHOTO = Image.effect_noise((40, 30), 90).convert("RGB")


class Tiny(nn.Module):
    """One block and a classifier."""

    def __init__(self, *, colours: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(colours, 8, 4, 4)
        self.se = SqueezeExcitation(8, 2, scale_activation=nn.Sigmoid)
        self.fc = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Any:
        """Return logits."""
        return self.fc(self.se(self.conv(images)).mean((2, 3)))


def returning(change: Any) -> nn.Module:
    """Return a model that makes something else of its logits."""

    class Changed(Tiny):
        def forward(self, images: Tensor) -> Any:
            return change(super().forward(images))

    return Changed()


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_in_another_precision_gets_its_inputs_in_it(precision: torch.dtype):
    """PyTorch's layers refuse inputs of another precision; what the caller is given stays
    float32.
    """
    torch.manual_seed(0)
    model = Tiny()
    single = analyse(Network.from_model(model, input_size=16), PHOTO)
    network = Network.from_model(model.to(precision), input_size=16)
    assert network.preprocess(PHOTO).dtype == precision
    analysis = analyse(network, PHOTO)
    values = [
        analysis.probabilities,
        analysis.logits,
        *(value for record in analysis.records for value in (record.gate, record.squeeze)),
    ]
    assert {value.dtype for value in values} == {torch.float32}
    # bfloat16 has 8 bits.
    torch.testing.assert_close(analysis.logits, single.logits, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "size", [(16, 16), (3, 16, 24), 0, -1, 16.0, "16", True, None, [16], float("nan"), 10**9]
)
def test_an_input_size_that_is_no_side_is_refused(size: Any):
    """A pair would be taken for colours and side, and a billion pixels for memory that nobody
    has.
    """
    with pytest.raises(
        NetworkError,
        match=r"is no side of a square in pixels\. Give one whole number from 1 to 4096",
    ):
        read_side(size)


@pytest.mark.parametrize("size", [16, np.int64(16), torch.tensor(16)])
def test_whole_numbers_of_other_libraries_are_sides(size: Any):
    """They index lists, so they are whole numbers to Python too."""
    assert Network.from_model(Tiny(), input_size=size).card.input_size == 16


@pytest.mark.parametrize("colours", [1, 4])
def test_a_model_for_other_images_than_in_colour_is_refused(colours: int):
    """Photos have three colours here."""
    with pytest.raises(
        NetworkError, match="does not run on one image of three colours and 16 x 16 pixels"
    ):
        Network.from_model(Tiny(colours=colours), input_size=16)


@pytest.mark.parametrize("values", [(0.5,), (0.5,) * 4, 0.5, "rgb", (float("nan"), 1, 1), None])
def test_statistics_that_are_not_of_three_colours_are_refused(values: Any):
    """They are what could tell another number of colours."""
    with pytest.raises(
        NetworkError, match=r"mean is .*Give three numbers: for red, green and blue"
    ):
        read_colours("mean", values)


def test_a_spread_of_zero_is_refused():
    """Pixels are divided by it."""
    with pytest.raises(NetworkError, match="Give three numbers above 0"):
        Network.from_model(Tiny(), input_size=16, std=(0.2, 0.0, 0.2))


@pytest.mark.parametrize("classes", ["abc", b"abc", {"a", "b", "c"}, {"a": 0, "b": 1, "c": 2}, 3])
def test_names_without_an_order_are_refused(classes: Any):
    """Each belongs to one logit; a single text would name a class a letter."""
    with pytest.raises(
        NetworkError, match=r"no list of names. Give a list, in the order of the logits"
    ):
        read_classes(classes)


@pytest.mark.parametrize("classes", [[0, 1, 2], ["a", "", "c"], ["a", None, "c"]])
def test_names_that_are_no_texts_are_refused(classes: Any):
    """Pages join them and cut them to length."""
    with pytest.raises(NetworkError, match=r"is no text. Name every class"):
        read_classes(classes)


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_names_is_refused(count: int):
    """Every name after the first that is missing would be another class's."""
    with pytest.raises(NetworkError, match=rf"returns 3 values for {count} class names"):
        Network.from_model(Tiny(), input_size=16, classes=list("abcd")[:count])


def test_classes_may_share_a_name():
    """ImageNet has two cranes: classes are known by their number."""
    assert Network.from_model(Tiny(), input_size=16, classes=["crane", "crane", "dog"]).classes == (
        "crane",
        "crane",
        "dog",
    )


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda logits: (logits, logits), "tuple"),
        (lambda logits: {"logits": logits}, "dict"),
        (lambda logits: SimpleNamespace(logits=logits), "SimpleNamespace"),
        (lambda logits: None, "NoneType"),
        (lambda logits: logits[:, 0], r"\(1,\)"),
        (lambda logits: logits[..., None, None], r"\(1, 3, 1, 1\)"),
        (lambda logits: logits[:, :0], r"\(1, 0\)"),
    ],
)
def test_what_is_no_row_of_logits_is_named(change: Any, answer: str):
    """One number a class is what everything else reads."""
    with pytest.raises(
        NetworkError, match=rf"returns {answer} for one image.*wrap the model in a module"
    ):
        Network.from_model(returning(change), input_size=16)


def test_what_a_model_raises_is_said_in_a_sentence():
    """A stranger's code may raise anything."""

    def fail(logits: Tensor) -> Tensor:
        raise KeyError("mask")

    with pytest.raises(
        NetworkError,
        match=r"does not run on one image.*KeyError: 'mask'.*Give a model of \(1, 3, 16",
    ):
        Network.from_model(returning(fail), input_size=16)


def test_a_refused_model_stays_as_it_was():
    """It may be in the middle of its training."""
    model = Tiny(colours=1).train()
    with pytest.raises(NetworkError):
        Network.from_model(model, input_size=16)
    assert all(part.training for part in model.modules())
    assert all(value.requires_grad for value in model.parameters())


def _lazy() -> nn.Module:
    head = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.LazyLinear(3)}
    return nn.Sequential(
        OrderedDict(conv=nn.LazyConv2d(8, 4, 4), se=SqueezeExcitation(8, 2), **head)
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Tiny().to("meta"),
            "values on PyTorch's meta device, which holds none. Load its weights",
        ),
        (_lazy, "lazy layers whose shapes are not known yet. Run it once"),
        (lambda: Tiny().state_dict(), "A OrderedDict is no model. Give a `torch.nn.Module`"),
        (lambda: Tiny, "A type is no model"),
    ],
)
def test_what_cannot_run_is_refused_before_it_does(make: Any, words: str):
    """Each would end in another of PyTorch's errors, some of them only at the first photo."""
    with pytest.raises(NetworkError, match=words):
        admit_model(make())


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_model_is_refused():
    """TorchScript runs none of the modules that hooks hang on."""
    with pytest.raises(NetworkError, match=r"TorchScript.*Give the model it was made from"):
        admit_model(torch.jit.trace(Tiny().eval(), torch.zeros(1, 3, 16, 16)))


def test_of_a_model_spread_over_devices_the_one_inside_is_taken():
    """Hooks on copies, one a device, would be lost with them."""
    model = Tiny()
    network = Network.from_model(nn.DataParallel(model), input_size=16)
    assert network.model is model
    assert [record.block for record in analyse(network, PHOTO).records] == ["se"]


def test_a_model_without_parameters_runs_where_its_input_is():
    """Gates may be made of buffers, or of nothing that is learned."""
    block = SqueezeExcitation(3, 1)
    model = nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for part in (block.fc1, block.fc2):
        for name, value in list(part.named_parameters()):
            delattr(part, name)
            part.register_buffer(name, value.detach(), persistent=False)
    network = Network.from_model(model, input_size=16)
    assert (network.card.parameters, network.device.type, len(analyse(network, PHOTO).records)) == (
        0,
        "cpu",
        1,
    )


STEPS = {
    "softmax": lambda logits: logits.softmax(1),
    "sigmoid": lambda logits: torch.sigmoid(logits)[:, :, None].squeeze(2),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_model_that_returns_probabilities_is_refused(step: str):
    """A softmax of a softmax is another answer: at most 73 % for one of two classes, however sure
    the model is.
    """
    with pytest.raises(
        NetworkError, match=f"returns probabilities, .* is a {step}.* so that it returns logits"
    ):
        Network.from_model(returning(STEPS[step]), input_size=16)


def test_the_logarithm_of_a_softmax_is_taken_for_logits():
    """softmax(log softmax(x)) = softmax(x)."""
    torch.manual_seed(0)
    model = returning(lambda logits: logits.log_softmax(1))
    analysis = analyse(Network.from_model(model, input_size=16), PHOTO)
    torch.testing.assert_close(analysis.probabilities, analysis.logits.exp())


def test_whole_numbers_are_no_logits():
    """Classes that were chosen already leave nothing to explain."""
    with pytest.raises(NetworkError, match=r"torch\.int64, and logits are floating point"):
        Network.from_model(returning(lambda logits: logits.long()), input_size=16)


@pytest.mark.parametrize(
    "new", [lambda: nn.Identity(), lambda: SqueezeExcitation(8, 2, scale_activation=nn.Tanh)]
)
def test_a_block_that_is_replaced_afterwards_is_told(new: Any):
    """The range of its gates, and that they are what it multiplies by, were checked of the block
    that was there.
    """
    network = Network.from_model(Tiny(), input_size=16)
    setattr(network.model, "se", new())  # noqa: B010
    with pytest.raises(
        NetworkError, match=r"se of Tiny is no longer the SE block .* Network\.from_model"
    ):
        analyse(network, PHOTO)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_the_cost_of_a_model_with_computed_weights_is_that_of_the_plain_one():
    """The older weight norm adds one value an output, and leaves a tensor with a gradient beside
    its weights.
    """
    plain = Tiny()
    normed = Tiny()
    nn.utils.weight_norm(normed.fc)
    normed(torch.rand(1, 3, 16, 16))
    cost = measure_cost(normed, 16)
    expected = measure_cost(plain, 16)
    assert (cost.parameters, cost.gflops) == (expected.parameters + 3, expected.gflops)


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_model_is_refused_in_a_sentence():
    """Whole numbers have no gradients, and most pages explain by them."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    part = torch.ao.nn.quantized.Conv2d(3, 3, 1)
    with pytest.raises(
        NetworkError, match=r"quantised.*Give the model it was made from, in floating point"
    ):
        admit_model(nn.Sequential(model, part))
