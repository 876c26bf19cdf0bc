"""Compares the gates of an ECAPA-TDNN (arXiv 2005.07143) with what its blocks put out.

A program of its own: speechbrain leaves modules behind that import others when they are looked at.
"""

import json

import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, SEBlock
from torch import Tensor, nn

from se_viz import capture_gates


def main() -> None:
    """Print for each kind of pass how many gates there are, and whether all are equal."""
    torch.manual_seed(0)
    model = ECAPA_TDNN(
        20, channels=[16, 16, 16, 16, 48], se_channels=8, attention_channels=8, lin_neurons=12
    ).eval()
    sounds = torch.randn(2, 50, 20)
    lengths = torch.tensor([1.0, 0.6])
    print(json.dumps({"whole": compare(model, sounds), "masked": compare(model, sounds, lengths)}))


def compare(model: nn.Module, *inputs: Tensor) -> list[bool]:
    """Return whether each gate equals the output of its block's sigmoid."""
    outputs: list[Tensor] = []
    blocks = [module for module in model.modules() if isinstance(module, SEBlock)]
    handles = [
        block.get_submodule("sigmoid").register_forward_hook(
            lambda _module, _inputs, output: outputs.append(output.detach().clone().flatten(1))
        )
        for block in blocks
    ]
    with torch.no_grad(), capture_gates(model) as records:
        model(*inputs)
    for handle in handles:
        handle.remove()
    pairs = zip(records, outputs, strict=True)
    return [torch.equal(record.gate, output) for record, output in pairs]


if __name__ == "__main__":
    main()
