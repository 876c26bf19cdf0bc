"""What runs on a shared model while a test looks on: the sizes of its passes, and people who come
in between.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from se_viz.experiments.analysis import Analysis, analyse
from se_viz.networks import Network

PATIENCE = 300.0
"""Seconds after which a test that hangs fails."""


class Passes(TorchFunctionMode):
    """How many images each pass of this thread held; no hook, which would keep things from being
    kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # The first layer alone sees three colours.
        if func is torch.conv2d and args[0].shape[1] == 3:
            self.sizes.append(len(args[0]))
        return func(*args, **(kwargs or {}))


FEWER: dict[str, dict[str, Any]] = {
    "lime": {"n_samples": 40},
    "kernel_shap": {"n_samples": 40},
    "shapley": {"n_samples": 2},
}
"""Options of methods that draw hundreds of times by default, for what does not depend on it."""


@contextmanager
def batches(model: nn.Module, most: int = 999) -> Iterator[list[int]]:
    """Note the images of each pass; one with more than ``most`` fails as on a GPU whose memory is
    full.
    """
    sizes: list[int] = []

    def note(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with model.register_forward_pre_hook(note):
        yield sizes


@contextmanager
def everywhere() -> Iterator[list[int]]:
    """Note the images of each pass of a whole ResNet, in all threads: a page runs in one of its
    own.
    """
    sizes: list[int] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if hasattr(module, "layer4"):
            sizes.append(len(inputs[0]))

    with register_module_forward_pre_hook(note):
        yield sizes


@dataclass(frozen=True, slots=True)
class Uploads:
    """Somebody who uploads a photo whenever a long run has its turn, and stands in line before
    that goes on.
    """

    network: Network
    photo: Image.Image
    alone: Analysis
    """What the photo gets while nobody else is there."""
    pool: ThreadPoolExecutor
    running: list[Future[Analysis]] = field(default_factory=list)
    hooks: list[int] = field(default_factory=list)
    """How many were on the model each time."""

    def watch(self, before: int) -> None:
        """Be told how many are before the long run."""
        if before == 0:
            modules = self.network.model.modules()
            self.hooks.append(
                sum(
                    len(module._forward_hooks) + len(module._forward_pre_hooks)
                    for module in modules
                )
            )
            stands = threading.Event()
            self.running.append(
                self.pool.submit(analyse, self.network, self.photo, watch=lambda _: stands.set())
            )
            assert stands.wait(PATIENCE)

    def expect_alike(self) -> None:
        """Check that each got, to the bit, what the photo gets alone."""
        for analysis in (running.result(PATIENCE) for running in self.running):
            assert torch.equal(analysis.logits, self.alone.logits)
            for record, expected in zip(analysis.records, self.alone.records, strict=True):
                assert torch.equal(record.gate, expected.gate)
                assert torch.equal(record.squeeze, expected.squeeze)


@contextmanager
def uploading(network: Network) -> Iterator[Uploads]:
    """Let somebody upload photos until the end of the block; each has a pass of its own."""
    photo = Image.effect_noise((64, 64), 90).convert("RGB")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(16) as pool:
        # A pass of several adds in another order, and here every bit is compared.
        patch.setenv("SE_VIZ_TOGETHER", "1")
        yield Uploads(network, photo, analyse(network, photo), pool)
