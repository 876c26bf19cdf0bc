"""Many people on one model: each gets, to the bit, what they would get alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.pixels.run import attribute
from se_viz.experiments.analysis import Analysis, analyse
from se_viz.gates import GateRecord, capture_gates, edit_gates
from se_viz.networks import Network, NetworkCard

pytestmark = pytest.mark.slow

T = TypeVar("T")
PEOPLE = 16
PHOTOS = 6
PATIENCE = 300.0


@pytest.fixture(scope="module")
def album() -> list[list[Image.Image]]:
    """Some photos of each person; no two are alike."""
    pixels = np.random.default_rng(7).integers(0, 256, (PEOPLE, PHOTOS, 32, 32, 3), dtype=np.uint8)
    return [[Image.fromarray(photo) for photo in person] for person in pixels]


def unit(channels: int, features: int) -> nn.Sequential:
    se = SqueezeExcitation(features, features // 4, scale_activation=nn.Sigmoid)
    return nn.Sequential(nn.Conv2d(channels, features, 3, stride=2, padding=1), nn.ReLU(), se)


@pytest.fixture
def common_network(card: NetworkCard) -> Network:
    """The one network of all: three SE blocks for 32 pixels, as hundreds of passes have to be
    quick.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(card.classes))
        )
        model = nn.Sequential(unit(3, 16), unit(16, 32), unit(32, 64), head)
    return Network(
        model.eval().requires_grad_(False), replace(card, input_size=32), torch.device("cpu")
    )


def together(*visits: Callable[[], T]) -> list[T]:
    """Run functions in a thread each, all from the same moment on; return what they return."""
    start = threading.Barrier(len(visits))

    def visit(function: Callable[[], T]) -> T:
        start.wait(PATIENCE)
        return function()

    with ThreadPoolExecutor(len(visits)) as pool:
        return [
            future.result(PATIENCE)
            for future in [pool.submit(visit, function) for function in visits]
        ]


@torch.inference_mode()
def capture(network: Network, photo: Image.Image) -> list[GateRecord]:
    with capture_gates(network.model) as records:
        network.model(network.preprocess(photo))
    return records


def assert_equal(result: Analysis | torch.Tensor | list[GateRecord], expected: Any) -> None:
    if isinstance(result, torch.Tensor):
        assert torch.equal(result, expected)
    elif isinstance(result, Analysis):
        assert_equal(result.probabilities, expected.probabilities)
        assert_equal([*result.records], [*expected.records])
    else:
        assert [record.block for record in result] == [record.block for record in expected]
        for record, expected_record in zip(result, expected, strict=True):
            assert torch.equal(record.squeeze, expected_record.squeeze)
            assert torch.equal(record.gate, expected_record.gate)


def test_captures_of_many_threads_never_mix(common_network, album):
    """Hooks belong to the model and people are threads: a shared list would be wrong without any
    error.
    """
    expected = [[capture(common_network, photo) for photo in photos] for photos in album]
    captures = together(
        *(
            lambda photos=photos: [capture(common_network, photo) for photo in photos]
            for photos in album
        )
    )
    for together_records, alone in zip(captures, expected, strict=True):
        for records, alone_records in zip(together_records, alone, strict=True):
            assert_equal(records, alone_records)
    different = {
        record.gate.numpy().tobytes()
        for person in expected
        for records in person
        for record in records[-1:]
    }
    assert len(different) == PEOPLE * PHOTOS, "a mix-up of equal gates would not be seen"


def test_nobody_sees_what_others_do_meanwhile(common_network, album, monkeypatch):
    """Analyses are right to the bit while others edit gates and explain, one with hooks on the
    model.
    """
    # Apart: a pass of several adds in another order, and here every bit is compared.
    monkeypatch.setenv("SE_VIZ_TOGETHER", "1")

    def read(photos: list[Image.Image]) -> list[Analysis]:
        return [analyse(common_network, photo) for photo in photos]

    def explain(method: str) -> list[torch.Tensor]:
        return [
            attribute(common_network, common_network.preprocess(photo), 1, method).map
            for photo in album[0][:4]
        ]

    def edit(block: str) -> list[Analysis]:
        with edit_gates(common_network.model, {block: torch.zeros_like}):
            return read(album[1])

    visits = [
        *(partial(read, photos) for photos in album),
        *(partial(explain, method) for method in ("integrated_gradients", "saliency", "grad_cam")),
        *(partial(edit, block) for block in ("0.2", "2.2")),
    ]
    alone = [visit() for visit in visits]
    for results, expected_results in zip(together(*visits), alone, strict=True):
        for result, expected in zip(results, expected_results, strict=True):
            assert_equal(result, expected)
    assert not torch.equal(alone[-1][0].probabilities, alone[1][0].probabilities), (
        "the edit has to do something"
    )
