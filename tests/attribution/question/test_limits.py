"""What is no image, no class and no number of steps gets one sentence, before anything runs."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.question.limits import check_inputs, check_steps
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target, aim
from se_viz.errors import AttributionError
from se_viz.networks import Network

GOOD = torch.zeros(1, 3, 8, 8)
BROKEN = GOOD.clone()
BROKEN[0, 1, 2, 3] = float("nan")


@pytest.mark.parametrize(
    ("inputs", "description"),
    [
        (GOOD.numpy(), "a ndarray"),
        (GOOD[0], "a tensor of (3, 8, 8)"),
        (GOOD.repeat(2, 1, 1, 1), "a tensor of (2, 3, 8, 8)"),
        (GOOD[:0], "a tensor of (0, 3, 8, 8)"),
        (GOOD[:, :1], "a tensor of (1, 1, 8, 8)"),
        (GOOD[..., :0], "a tensor of (1, 3, 8, 0)"),
        (GOOD.byte(), "of torch.uint8"),
        (GOOD.double(), "of torch.float64"),
        (GOOD.half(), "of torch.float16"),
        (GOOD.to("meta"), "on meta"),
        (BROKEN, "one with values that are NaN or infinite"),
        (GOOD / 0, "one with values that are NaN or infinite"),
    ],
)
def test_what_is_no_image_for_the_network_is_said(network: Network, inputs: Any, description: str):
    """A batch of two would otherwise get the map of its first image, and the rest an error of
    PyTorch's.
    """
    with pytest.raises(AttributionError) as refusal:
        check_inputs(network, inputs)
    assert str(refusal.value) == (
        "One image is needed, (1, 3, height, width) of torch.float32 on cpu, and this is "
        f"{description}. Make it with network.preprocess(image)."
    )


def test_an_image_of_another_size_is_one(network: Network):
    """Most networks take any."""
    check_inputs(network, torch.zeros(1, 3, 40, 56))


@pytest.mark.parametrize("value", [1.0, True, "1", None, [1], torch.tensor(1.0)])
def test_a_class_that_is_no_whole_number_is_said(value: Any):
    """Indexing by it would mean something else, or fail later in PyTorch's words."""
    with pytest.raises(
        AttributionError,
        match=r"^A class is given by its number, and .* is none\. Give a whole number",
    ):
        aim(value)


@pytest.mark.parametrize("value", [1, np.int64(1), torch.tensor(1), Target(1)])
def test_whole_numbers_of_any_library_are_classes(value: Any):
    """An argmax is one of NumPy's or PyTorch's."""
    assert aim(value) == Target(1)
    assert type(aim(value).index) is int


@pytest.mark.parametrize(
    "key", [key for key, row in LAYER_METHODS.items() if "n_steps" in row.options]
)
@pytest.mark.parametrize(
    ("steps", "words"), [(0, "cannot run with n_steps=0"), (10**9, "can take 2,000 steps at most")]
)
def test_a_feature_map_is_not_asked_for_endless_steps_either(
    network: Network, images: Tensor, key: str, steps: int, words: str
):
    """The nodes of that many steps alone would take the machine's memory."""
    with pytest.raises(AttributionError, match=words):
        attribute_layer(network, images[:1], Target(1), key, layer=Layer("end", 4), n_steps=steps)


def test_seeds_and_switches_are_no_counts():
    """0 and False are values as good as others there."""
    check_steps("Saliency", {"seed": 0, "abs": False, "n_steps": 2_000})
