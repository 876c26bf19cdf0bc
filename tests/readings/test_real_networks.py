"""Segmenters and detectors of torchvision and of segmentation-models-pytorch are explained."""

from collections.abc import Callable
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch import nn
from torchvision.models import detection, segmentation

from se_viz import Network, attribute, find_gates
from se_viz.attribution.pixels import judge_method
from se_viz.errors import AttributionError
from se_viz.experiments import Replacement, analyse, estimate_effects, gates_of, run_counterfactuals
from se_viz.readings import Reading, model_inside
from tests.support.answers import load_code
from tests.support.photos import noise

pytestmark = pytest.mark.slow

UNTRAINED: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": 4}
SEGMENTERS: dict[str, Callable[[], nn.Module]] = {
    "lraspp": lambda: segmentation.lraspp_mobilenet_v3_large(**UNTRAINED),
    "deeplab": lambda: segmentation.deeplabv3_mobilenet_v3_large(**UNTRAINED),
    "unet": lambda: smp.Unet(
        "efficientnet-b0", encoder_weights=None, decoder_attention_type="scse", classes=4
    ),
}
DETECTORS: dict[str, Callable[[], nn.Module]] = {
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(**UNTRAINED),
    "faster-rcnn": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(**UNTRAINED),
}
OPTIONS = {"strides": (3, 32, 32), "sliding_window_shapes": (3, 32, 32)}
METHODS = ("saliency", "grad_cam", "occlusion")
BLOCKS = {"lraspp": 8, "deeplab": 8, "unet": 16, "ssdlite": 8, "faster-rcnn": 8}


@pytest.fixture(scope="module", params=BLOCKS)
def network(request: pytest.FixtureRequest) -> Network:
    """One of them, untrained, with norms and weights that let images differ."""
    torch.manual_seed(0)
    name: str = request.param
    model = load_code().randomise({**SEGMENTERS, **DETECTORS}[name](), 0.6)
    answer = "segments" if name in SEGMENTERS else "boxes"
    network = Network.from_model(model, answer=answer, input_size=64)
    assert len(network.inspection.sites) == BLOCKS[name]
    return network


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A photo."""
    return noise()


def test_blocks_are_those_of_the_model(network: Network):
    """Whoever reads the model's code finds them there."""
    assert find_gates(model_inside(network.model), size=64) == network.inspection.sites


def test_it_is_explained(network: Network, photo: Image.Image):
    """Over a region that is found in the image, by gradients, a stage, and squares."""
    inputs = network.preprocess(photo, whole=True)
    assert network.reader is not None
    places = network.reader.find(model_inside(network.model), inputs)
    assert places
    there = network.at(Reading(places[0].region))
    for method in METHODS:
        options: dict[str, Any] = OPTIONS if method == "occlusion" else {}
        attribution = attribute(there, inputs, places[0].index, method, **options)
        assert attribution.map.shape == (64, 64)
        assert method == "grad_cam" or attribution.map.abs().max() > 0


def test_effects_are_slopes_of_what_is_read(network: Network, photo: Image.Image):
    """The estimate at the last block is what a small change of its gates does to the number."""
    site = network.inspection.sites[-1]
    effects = estimate_effects(network, photo, site.name, 1, whole=True)
    assert effects.shape == (site.channels,)
    assert effects.isfinite().all()


def test_gates_are_replaced(network: Network, photo: Image.Image):
    """Many rows in a pass, each compared with the unchanged image; the same as one alone."""
    gates = gates_of(analyse(network, photo, whole=True))
    question = Replacement("shuffle", "block", repeats=3)
    rows = run_counterfactuals(network, photo, question, gates, whole=True)
    assert len(rows) == 3 * len(network.inspection.sites)
    assert max(abs(row.change) for row in rows) > 0
    same = run_counterfactuals(network, photo, Replacement("mean", "network"), gates, whole=True)
    assert abs(same[0].change) < 1e-3


def test_a_method_with_rules_runs_or_says_why(network: Network, photo: Image.Image):
    """Never a traceback."""
    inputs = network.preprocess(photo, whole=True)
    for method in ("deep_lift", "guided_backprop"):
        if not judge_method(network, method).runs:
            with pytest.raises(AttributionError, match=r"\.$"):
                attribute(network, inputs, 1, method)
        else:
            assert attribute(network, inputs, 1, method).map.isfinite().all()
