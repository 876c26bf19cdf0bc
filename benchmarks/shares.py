"""DeepLift and Integrated Gradients: what their maps miss of the logit's rise that they should add
up to.

python -m benchmarks.shares [--network se_resnet50_half_imagenette] [--baseline mean]

For each sample and its most probable class: Captum's DeepLift, given a copy with a module for each
use of a ReLU, without which it refuses the network; se_viz's; and Integrated Gradients with 32
steps. Misses are shares of the rise.
"""

import argparse
import warnings

import captum.attr
import torch
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, spread
from se_viz.attribution.passes.copies import Unseen, copy_unrolled
from se_viz.attribution.pixels.run import attribute, attribute_unproven
from se_viz.attribution.question.baselines import make_baseline
from se_viz.attribution.question.targets import Target, TargetModel
from se_viz.devices.allocator import keep_freed_memory
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, load_network

HEAD = ("sample", "rise, logits", "Captum's DeepLift", "DeepLift here", "Integrated Gradients")
"""What the columns of the table hold."""


def main(words: list[str] | None = None) -> None:
    """Explain every sample, and print the table and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shares", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--network", default="se_resnet50_half_imagenette", help="name of a network on the disk"
    )
    parser.add_argument(
        "--baseline", default="mean", help="black, mean, blur or noise (default: mean)"
    )
    arguments = parser.parse_args(words)
    machine = describe_machine()
    keep_freed_memory()
    network = load_network(arguments.network)
    rows = []
    seconds = []
    for sample in list_samples():
        row, times = _explain(
            network, network.preprocess(open_image(sample.path)), arguments.baseline
        )
        rows.append((sample.path.stem, *row))
        seconds.append(times)
    lift, steps = (spread(times).show(2, " s") for times in zip(*seconds, strict=True))
    print(
        as_table(HEAD, rows),
        f"DeepLift here {lift}; Integrated Gradients {steps}.",
        machine.show(),
        sep="\n\n",
    )


def _explain(
    network: Network, inputs: Tensor, baseline: str
) -> tuple[tuple[str, ...], tuple[float, float]]:
    with torch.inference_mode():
        target = int(network.model(inputs).argmax())
    deep_lift = attribute_unproven(network, inputs, target, "deep_lift", baseline=baseline)
    steps = attribute(network, inputs, target, "integrated_gradients", baseline=baseline)
    rise = deep_lift.explained or 0.0
    plain = abs(_captums(network, inputs, target, baseline) - rise)
    misses = (plain, deep_lift.completeness_error or 0.0, steps.completeness_error or 0.0)
    return (f"{rise:.2f}", *(f"{miss / abs(rise):.1e}" for miss in misses)), (
        deep_lift.seconds,
        steps.seconds,
    )


def _captums(network: Network, inputs: Tensor, target: int, baseline: str) -> float:
    twin = copy_unrolled(network.model, inputs)
    start = make_baseline(network, inputs, baseline)
    for parent in [*twin.modules()]:
        for name, child in [*parent.named_children()]:
            # Captum's own rules are measured, so that it has to find these modules.
            if isinstance(child, Unseen):
                setattr(parent, name, child.module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        method = captum.attr.DeepLift(TargetModel(twin, Target(target)))
        return method.attribute(inputs.clone().requires_grad_(), start, target=0).sum().item()


if __name__ == "__main__":
    main()
