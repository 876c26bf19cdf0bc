"""Attribution: the ten most used methods as se_viz runs them, against plain calls of Captum with
its defaults.

python -m benchmarks.attribution [--repeats 5] [--network se_resnet50_half_imagenette] [--methods
saliency ...]

Both explain the same class of the same photo with the same settings (steps, samples, squares,
patches, seed). Captum's own batch sizes and whatever else it leaves open are as it has them, and it
is given its patches ready-made; se_viz makes its copies within each run. The greatest difference of
the two maps stands beside, in shares of the greatest value of Captum's.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import captum.attr
import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.measure import as_table, ratios, spread, time_pairs
from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.pixels.superpixels import find_superpixels
from se_viz.attribution.question.baselines import scatter
from se_viz.attribution.question.colours import collapse
from se_viz.attribution.question.places import stage_ends
from se_viz.devices.allocator import keep_freed_memory
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, load_network

HEAD = ("method", "Captum's defaults, s", "se_viz, s", "ratio", "maps differ by")
"""What the columns of the table hold; spreads are quartiles."""
MOST_USED = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "gradient_shap",
    "smoothgrad",
    "grad_cam",
    "guided_backprop",
    "occlusion",
    "feature_ablation",
    "kernel_shap",
)
_HERE = ("internal_batch_size", "perturbations_per_eval", "nt_samples_batch_size")
# Options that say how many images one pass holds: a plain call has Captum's own.
_OURS = ("draws", "noise", "over", "seed", "superpixels", *_HERE)


def main(words: list[str] | None = None) -> None:
    """Measure every method in interleaved pairs, and print the table, the sum and the machine."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attribution", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="pairs of runs a method, at least 2 (default: 5)"
    )
    parser.add_argument(
        "--network",
        default="se_resnet50_half_imagenette",
        help="name of a network that is on the disk",
    )
    parser.add_argument(
        "--methods", nargs="+", choices=MOST_USED, default=MOST_USED, help="default: all ten"
    )
    arguments = parser.parse_args(words)
    machine = describe_machine()
    # As the app does; both sides have it.
    keep_freed_memory()
    network = load_network(arguments.network)
    inputs = network.preprocess(open_image(list_samples()[0].path))
    with torch.inference_mode():
        target = int(network.model(inputs).argmax())
    rows = []
    sums = [0.0, 0.0]
    for key in arguments.methods:
        row, seconds = _measure(network, inputs, target, key, arguments.repeats)
        rows.append(row)
        sums = [total + value for total, value in zip(sums, seconds, strict=True)]
        print(row[0], flush=True)
    rows.append(("**in sum**", f"{sums[0]:.2f}", f"{sums[1]:.2f}", f"{sums[1] / sums[0]:.2f}", ""))
    print(as_table(HEAD, rows), machine.show(), sep="\n\n")


def _measure(
    network: Network, inputs: Tensor, target: int, key: str, repeats: int
) -> tuple[tuple[str, ...], tuple[float, float]]:
    plain = _plain(network, inputs, key)
    maps: dict[str, Tensor] = {}

    def captums() -> float:
        started = time.perf_counter()
        maps["plain"] = collapse(plain(target), METHODS[key].channels)
        return time.perf_counter() - started

    def ours() -> float:
        started = time.perf_counter()
        maps["ours"] = attribute(network, inputs, target, key).map
        return time.perf_counter() - started

    # The first pair pays for what is loaded and built once.
    time_pairs(captums, ours, 1)
    pairs = time_pairs(captums, ours, repeats)
    first, second = ([pair[which] for pair in pairs] for which in (0, 1))
    expected = maps["plain"].detach().cpu()
    differ = ((maps["ours"] - expected).abs().max() / expected.abs().max()).item()
    cells = (
        spread(first).show(3),
        spread(second).show(3),
        spread(ratios(pairs)).show(2),
        f"{differ:.0e}",
    )
    return (METHODS[key].title, *cells), (median(first), median(second))


def _plain(network: Network, inputs: Tensor, key: str) -> Callable[[int], Tensor]:
    """Return a call of Captum as its tutorials have it, with the settings of the catalogue."""
    row = METHODS[key]
    model = network.model
    settings = {name: value for name, value in row.options.items() if name not in _OURS}
    if row.kind == "superpixel":
        settings["feature_mask"] = find_superpixels(network, inputs, row.options["superpixels"])
    if row.kind == "smooth":
        settings["stdevs"] = row.options["noise"] * (inputs.max() - inputs.min()).item()
    if "draws" in row.options:
        settings["baselines"] = scatter(torch.zeros_like(inputs), row.options["draws"])
    algorithm: Any = getattr(captum.attr, row.algorithm)
    if row.layered:
        path = max(stage_ends(network.inspection.sites).items())[1]
        method = algorithm(model, model.get_submodule(path))
    elif row.kind == "smooth":
        method = algorithm(captum.attr.Saliency(model))
    else:
        method = algorithm(model)
    return lambda target: _call(
        method, inputs, target, settings, size=(inputs.shape[-2], inputs.shape[-1])
    )


def _call(
    method: Any, inputs: Tensor, target: int, settings: dict[str, Any], *, size: tuple[int, int]
) -> Tensor:
    # Both sides draw the same noise, so that their maps can be compared.
    torch.manual_seed(0)
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        values = method.attribute(inputs.clone().requires_grad_(), target=target, **settings)
    if values.shape[-2:] != size:
        return captum.attr.LayerAttribution.interpolate(values, size, "bilinear")
    return values


if __name__ == "__main__":
    main()
