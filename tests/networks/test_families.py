from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from se_viz.errors import NetworkError
from se_viz.networks import families, load_network, own
from se_viz.networks.architectures import build
from se_viz.networks.families import FAMILIES, Family, build_untrained
from se_viz.train.recipe import Recipe


class Toy(nn.Sequential):
    """One convolution, one SE block, one classifier."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            nn.Conv2d(3, channels, 3),
            SqueezeExcitation(channels, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, num_classes),
        )


def build_toy(architecture: str, *, num_classes: int, channels: int = 8) -> nn.Module:
    return Toy(channels, num_classes)


def test_a_family_of_networks_is_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Cards, a user's own weights and the list of architectures must need nothing beside the
    row.
    """
    row = Family("Toy", ("se_toy",), build_toy, options=("channels",))
    monkeypatch.setattr(families, "FAMILIES", (*FAMILIES, row))
    card = replace(load_network("se_resnet50_half_imagenette").card, architecture="se_toy")
    wide = build(replace(card, arguments={"channels": 12}), num_classes=5)
    assert {name: tuple(value.shape) for name, value in wide.named_parameters()}["4.weight"] == (
        5,
        12,
    )
    path = tmp_path / "toy.pt"
    torch.save(build_toy("se_toy", num_classes=7).state_dict(), path)
    assert len(own.read_own(path, "se_toy", device="cpu").classes) == 7


def test_an_unknown_architecture_is_refused():
    """The message lists what can be built."""
    message = r"no architecture 'vgg16'\. Choose one of: se_resnet18, se_resnet34, "
    with pytest.raises(NetworkError, match=message):
        build_untrained("vgg16")


def test_an_architecture_belongs_to_one_family():
    """A card names the architecture alone: two families with one name would be a matter of their
    order.
    """
    names = [name for family in FAMILIES for name in family.architectures]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.title)
def test_a_recipe_has_every_option_of_a_family(family: Family):
    """Training reads the options of an architecture off its recipe, by name."""
    assert set(family.options) <= {field.name for field in fields(Recipe)}
