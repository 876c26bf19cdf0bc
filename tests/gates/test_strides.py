"""Stages are those of the image that the network sees, wherever it stands among the arguments and
whatever its size.
"""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, find_gates

IMAGE = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@dataclass
class Batch:
    """A batch as some trainers pass it."""

    mask: Tensor
    image: Tensor


class Wrap(nn.Module):
    """A network of strides 2 and 4 that is given what a function takes from the arguments."""

    def __init__(self, take: Callable[..., Tensor] = lambda image: image):
        super().__init__()
        steps = [
            nn.Conv2d(3, 8, 3, 2, 1),
            SqueezeExcitation(8, 4),
            nn.MaxPool2d(2),
            SqueezeExcitation(8, 4),
        ]
        self.take = take
        self.net = nn.Sequential(*steps)

    def forward(self, *values: Any, **options: Any) -> Tensor:
        """Return a map of 8 channels."""
        return self.net(self.take(*values, **options))


def stages(model: nn.Module, *values: Any, **options: Any) -> list[int]:
    """Return the stages of two captures: the second one knows where the image goes in."""
    passes = []
    for _ in range(2):
        with torch.no_grad(), capture_gates(model.eval()) as records:
            model(*values, **options)
        passes.append([record.stage for record in records])
    assert passes[0] == passes[1]
    return passes[0]


MASK = torch.rand(1, 1, 4, 6)
WAYS: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]] = {
    "table first": (lambda table, image: image, (torch.rand(1, 5), IMAGE), {}),
    "mask first": (lambda mask, image: image, (MASK, IMAGE), {}),
    "by name": (lambda table, image: image, (), {"table": torch.rand(1, 5), "image": IMAGE}),
    "dictionary": (lambda batch: batch["image"], ({"mask": MASK, "image": IMAGE},), {}),
    "nested": (lambda batch: batch["views"][1][0], ({"views": [MASK, (IMAGE, 7)]},), {}),
    "user dictionary": (lambda batch: batch["image"], (UserDict(image=IMAGE),), {}),
    "dataclass": (lambda batch: batch.image, (Batch(MASK, IMAGE),), {}),
    "list": (torch.stack, ([IMAGE[0], IMAGE[0]],), {}),
    "video": (lambda video: video.flatten(0, 1), (IMAGE[None],), {}),
    "channels last": (lambda image: image.movedim(-1, 1), (IMAGE.movedim(1, -1),), {}),
    "resized": (lambda image: F.interpolate(image, (32, 32)), (torch.rand(1, 3, 333, 200),), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_strides_are_those_of_the_network(way: str):
    """One convolution of stride 2 and one pooling: stages 1 and 2 by their definition, for every
    way in.
    """
    take, values, options = WAYS[way]
    assert stages(Wrap(take), *values, **options) == [1, 2]


def test_a_detectors_stages_do_not_depend_on_the_photo():
    """It scales photos inside.

    MobileNetV3-Large has SE at strides 8, 16 and 32 (arXiv 1905.02244, Table 1).
    """
    torch.manual_seed(0)
    model = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    for side in (64, 500):
        assert stages(model, [torch.rand(3, side, side)]) == [3, 3, 3, 4, 4, 5, 5, 5]


def test_the_height_counts():
    """round(log2(H / H_U)): text recognisers halve height and width at different layers."""
    assert stages(nn.Sequential(nn.Conv2d(3, 8, 3, (4, 1), 1), SqueezeExcitation(8, 4)), IMAGE) == [
        2
    ]


def test_space_moved_into_channels_is_a_stride():
    """Space to depth makes one pixel of four by four without losing any."""
    model = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 8, 1), SqueezeExcitation(8, 4))
    assert stages(model, IMAGE) == [2]


def test_maps_that_grow_have_lower_stages_down_to_below_zero():
    """A decoder goes back up; past the image's own size a stride is below 1."""
    up = nn.Upsample(scale_factor=2)
    se = SqueezeExcitation(8, 4)
    steps = [nn.Conv2d(3, 8, 3, 2, 1), SqueezeExcitation(8, 4), up, se, up, SqueezeExcitation(8, 4)]
    assert stages(nn.Sequential(*steps), IMAGE) == [1, 0, -1]


def test_each_tower_has_its_own_image():
    """Two encoders of two sizes, and one encoder used for two sizes (Siamese trackers)."""

    class Towers(nn.Module):
        def __init__(self, first: nn.Module, second: nn.Module):
            super().__init__()
            self.first = first
            self.second = second

        def forward(self, large: Tensor, small: Tensor) -> None:
            self.first(large)
            self.second(small)

    large = torch.rand(1, 3, 64, 64)
    small = torch.rand(1, 3, 16, 16)
    net = Wrap()
    assert stages(Towers(Wrap(), Wrap()), large, small) == [1, 2] * 2
    assert stages(Towers(net, net), large, small) == [1, 2] * 2


def test_a_replaced_first_layer_is_found_anew():
    """Where the image goes in is remembered for a model, but not beyond a change of that layer."""
    model = Wrap()
    assert stages(model, IMAGE) == [1, 2]
    model.net[0] = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.Conv2d(8, 8, 1))
    assert stages(model, IMAGE) == [2, 3]


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.Conv1d, (2, 3, 32)), (nn.Conv3d, (2, 3, 8, 16, 16))]
)
def test_sound_and_volumes_are_captured(kind: Any, shape: tuple[int, ...]):
    """The paper's block with another number of axes: gate is output over input, squeeze the mean,
    stride 2.
    """

    class SELayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            return x * self.fc(x.flatten(2).mean(2)).reshape(*x.shape[:2], *[1] * (x.dim() - 2))

    torch.manual_seed(0)
    model = nn.Sequential(kind(3, 8, 3, 2, 1), SELayer()).eval()
    inputs = torch.rand(shape)
    with torch.no_grad(), capture_gates(model, keep_features=["1"]) as records:
        after = model(inputs)
        before = model[0](inputs)
    assert (records[0].stage, records[0].axes) == (1, len(shape) - 2)
    torch.testing.assert_close(
        (after / before).flatten(2), records[0].gate[:, :, None].expand_as(after.flatten(2))
    )
    torch.testing.assert_close(records[0].squeeze, before.flatten(2).mean(2))
    assert records[0].features is not None
    assert torch.equal(records[0].features, before)
    assert [site.averaged for site in find_gates(model, size=shape[1:])] == [True]


def test_odd_sizes_do_not_change_stages():
    """With padding 33 rows become 17, 9, 5 and 3; without, 16, 8, 4 and 2: at a stride of 16
    both.
    """

    def build(step: Callable[[int], nn.Module]) -> nn.Module:
        return nn.Sequential(
            *(nn.Sequential(step(3 if not at else 8), SqueezeExcitation(8, 4)) for at in range(4))
        )

    padded = build(lambda channels: nn.Conv2d(channels, 8, 3, 2, 1))
    pooled = build(lambda channels: nn.Sequential(nn.Conv2d(channels, 8, 1), nn.MaxPool2d(2)))
    for side in (33, 47, 65, 97, 100, 129, 223):
        assert stages(padded, torch.rand(1, 3, side, side)) == [1, 2, 3, 4]
        assert stages(pooled, torch.rand(1, 3, side, side)) == [1, 2, 3, 4]


class Looking(nn.Module):
    """A network that looks at a mask or a thumbnail first, and then at the image."""

    def __init__(self, channels: int):
        super().__init__()
        self.look = nn.Conv2d(channels, 1, 3, 1, 1)
        self.net = Wrap()

    def forward(self, small: Tensor, image: Tensor) -> Tensor:
        """Return a map of 8 channels."""
        return self.net(image * F.interpolate(self.look(small).sigmoid(), image.shape[-2:]))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_smaller_map_that_is_looked_at_first_is_not_the_image(channels: int):
    """The image is not what was given, but its product with something: it is known by its colours
    and its size.
    """
    assert stages(Looking(channels), torch.rand(1, channels, 8, 12), IMAGE) == [1, 2]


def test_what_comes_before_the_first_convolution_counts():
    """A pooling has a stride of its own; patches that a linear layer takes in have that of their
    side.
    """

    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Linear(48, 8)
            self.se = SqueezeExcitation(8, 4)
            self.rest = nn.Sequential(nn.Conv2d(8, 8, 2, 2), SqueezeExcitation(8, 4))

        def forward(self, image: Tensor) -> Tensor:
            cut = F.pixel_unshuffle(image, 4).movedim(1, -1)
            return self.rest(self.se(self.patches(cut).movedim(-1, 1)))

    assert stages(
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 8, 3, 2, 1), SqueezeExcitation(8, 4)), IMAGE
    ) == [2]
    assert stages(Patches(), IMAGE) == [2, 3]
