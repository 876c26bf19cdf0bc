"""SE blocks that begin in a network that was trained without them: its answers stay what they
were, and every block listens to what differs between photos.

Why: docs/decisions/046-a-pretrained-network-learns-to-recalibrate.md
"""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.efficientnet import MBConv
from torchvision.ops import SqueezeExcitation

from se_viz.errors import CheckpointError
from se_viz.gates import capture_gates
from se_viz.networks.weights import read_tensors


def fill_plain(model: nn.Module, path: Path) -> None:
    """Fill all but the SE blocks with the weights of the plain network, in place.

    Its tensors have other names, and stand in the same order.

    Raises:
        CheckpointError: the file cannot be read, or its tensors are not those of the plain network.
    """
    try:
        tensors = read_tensors(path.read_bytes(), path.name)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}. Name the file of the plain network."
        ) from error
    blocks = tuple(f"{name}." for name, _ in blocks_of(model))
    places = {key: value for key, value in model.state_dict().items() if not key.startswith(blocks)}
    shapes = [tuple(value.shape) for value in places.values()]
    if shapes != [tuple(value.shape) for value in tensors.values()]:
        raise CheckpointError(
            f"{path.name} holds other tensors than the plain network has ({len(tensors)} instead "
            f"of {len(shapes)}, or of other shapes). Name the weights of EfficientNet-Lite0."
        )
    model.load_state_dict(dict(zip(places, tensors.values(), strict=True)), strict=False)


def blocks_of(model: nn.Module) -> list[tuple[str, SqueezeExcitation]]:
    """Return every SE block with its path."""
    return [
        (name, part) for name, part in model.named_modules() if isinstance(part, SqueezeExcitation)
    ]


def plain_twin(model: nn.Module) -> nn.Module:
    """Return a frozen copy without SE blocks: the teacher."""
    twin = deepcopy(model)
    for unit in twin.modules():
        if isinstance(unit, MBConv):
            unit.block = nn.Sequential(
                *(part for part in unit.block if not isinstance(part, SqueezeExcitation))
            )
    return twin.eval().requires_grad_(False)


@torch.no_grad()
def begin_unchanged(model: nn.Module) -> None:
    """Set every gate to 1/2 and double what comes behind it: the answers stay the same to the bit.

    Halves and doubles are exact in binary. The sigmoid of 0 is the middle of the gate's range, so
    that a gate can open and shut.
    """
    for unit in model.modules():
        if isinstance(unit, MBConv):
            *_, block, projection = unit.block
            assert isinstance(block, SqueezeExcitation)
            assert isinstance(projection, nn.Sequential)
            for value in block.fc2.parameters():
                value.zero_()
            for value in projection[0].parameters():
                value.mul_(2)


@torch.no_grad()
def spread_squeezes(model: nn.Module, inputs: Iterable[Tensor], *, seed: int) -> None:
    """Let the hidden units of every block begin with what differs most between images.

    The directions of greatest variance of the squeeze over ``inputs``, scaled to variance 1, in a
    random rotation: with random weights most of a hidden unit is the same for all images. Gates do
    not change where the second layer is still zero.
    """
    squeezes: dict[str, list[Tensor]] = {}
    for batch in inputs:
        with capture_gates(model) as records:
            model(batch)
        for record in records:
            squeezes.setdefault(record.block, []).append(record.squeeze)
    dice = torch.Generator().manual_seed(seed)
    for name, block in blocks_of(model):
        values = torch.cat(squeezes[name]).double()
        mean = values.mean(0)
        directions = _whitening(values - mean, block.fc1.out_channels)
        count = len(directions)
        rotation = torch.linalg.qr(torch.randn(count, count, dtype=torch.double, generator=dice))[0]
        weight = rotation @ directions
        assert block.fc1.bias is not None
        # Of fewer images than hidden units, the others stay random.
        block.fc1.weight[:count] = weight[..., None, None].float()
        block.fc1.bias[:count] = (-weight @ mean).float()


def _whitening(centred: Tensor, count: int) -> Tensor:
    """Return (count, channels): the first principal directions over their standard deviations."""
    _, spreads, directions = torch.linalg.svd(centred, full_matrices=False)
    deviations = spreads / max(len(centred) - 1, 1) ** 0.5
    # A direction in which next to nothing differs would be all noise.
    deviations = deviations.clamp(min=float(deviations[0]) / 30)
    return directions[:count] / deviations[:count, None]
