"""The zoo's table: every torchvision and timm network with ImageNet weights and an SE block, and
what it costs.

python -m benchmarks.catalogue [--out FILE.csv]

Nothing is downloaded, and nothing is measured in time: values come from the installed libraries and
from shapes.
"""

import argparse
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import timm
from timm.data.config import resolve_data_config
from torchvision import models

from se_viz.errors import NetworkError
from se_viz.gates.places import scan_model
from se_viz.networks.architectures import shapes
from se_viz.networks.card import NetworkCard
from se_viz.networks.catalogue import DATA, TABLE, write_rows
from se_viz.networks.cost import Cost, measure_cost

Row = dict[str, Any]


def main(words: list[str] | None = None) -> None:
    """Write the table and say how many rows each library has."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue")
    parser.add_argument("--out", type=Path, default=TABLE)
    out = parser.parse_args(words).out
    rows = [
        *all_rows(models.list_models(models), torchvision_rows),
        *all_rows(timm.list_models(), timm_rows),
    ]
    write_rows(rows, out)
    print(
        f"{len(rows)} networks, {len({row['architecture'] for row in rows})} architectures -> {out}"
    )


def all_rows(names: list[str], rows_of) -> Iterator[Row]:
    """Yield the rows of every architecture, by name; say which cannot be counted."""
    for name in names:
        try:
            yield from rows_of(name)
        except (NetworkError, RuntimeError, NotImplementedError) as error:
            print(f"left out: {name}: {error}")


def torchvision_rows(architecture: str) -> Iterator[Row]:
    """Yield a row for each weights of an architecture of torchvision, the default first.

    None without SE.
    """
    weights = models.get_model_weights(architecture)
    default = getattr(weights, "DEFAULT", None)
    for entry in sorted(weights, key=lambda entry: entry != default):
        view = entry.transforms()
        meta = entry.meta
        (side,) = view.crop_size
        (resize,) = view.resize_size
        cost = cost_of("torchvision", architecture, "", size=side, classes=len(meta["categories"]))
        if cost is None:
            return
        yield {
            **_common("torchvision", architecture, entry.name, cost),
            "top1": round(meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5),
            "download_bytes": round(meta["_file_size"] * 2**20),
            "input_size": side,
            "resize": resize,
            "crop": "centre",
            "interpolation": view.interpolation.value,
            "mean": _text(view.mean),
            "std": _text(view.std),
            "classes": len(meta["categories"]),
            "source": entry.url,
            "licence": "",
        }


def timm_rows(architecture: str) -> Iterator[Row]:
    """Yield a row for each pretrained tag of an architecture of timm.

    None without SE or without ImageNet.
    """
    for name in sorted(timm.list_models(f"{architecture}.*", pretrained=True)):
        entry = timm.get_pretrained_cfg(name)
        assert entry is not None
        view = resolve_data_config(pretrained_cfg=entry.to_dict())
        colours, height, side = view["input_size"]
        if str(entry.num_classes) not in DATA or colours != 3 or height != side:
            continue
        weights = name.partition(".")[2]
        cost = cost_of("timm", architecture, weights, size=side, classes=entry.num_classes)
        if cost is None:
            return
        yield {
            **_common("timm", architecture, weights, cost),
            "top1": "",
            "download_bytes": 4 * cost.parameters,
            "input_size": side,
            "resize": math.floor(side / view["crop_pct"]),
            "crop": {"center": "centre"}.get(view["crop_mode"], view["crop_mode"]),
            "interpolation": view["interpolation"],
            "mean": _text(view["mean"]),
            "std": _text(view["std"]),
            "classes": entry.num_classes,
            "source": entry.hf_hub_id or entry.url,
            "licence": entry.license or "",
        }


@cache
def cost_of(
    library: str, architecture: str, weights: str, *, size: int, classes: int
) -> Cost | None:
    """Count what a network costs at its input size, or return None if it has no SE block."""
    model = shapes(_asked(library, architecture, weights), num_classes=classes)
    return measure_cost(model, size) if scan_model(model).blocks else None


def _asked(library: str, architecture: str, weights: str) -> NetworkCard:
    grey = (0.5, 0.5, 0.5)
    unknown = dict.fromkeys(("title", "evaluated_with", "trained_with", "data", "date"), "")
    return NetworkCard(
        name=architecture,
        library=library,
        architecture=architecture,
        weights=weights,
        arguments={},
        classes=(),
        input_size=0,
        mean=grey,
        std=grey,
        parameters=0,
        top1=None,
        sha256="",
        licence="",
        **unknown,
    )


def _common(library: str, architecture: str, weights: str, cost: Cost) -> Row:
    return {
        "library": library,
        "architecture": architecture,
        "weights": weights,
        "parameters": cost.parameters,
        "gflops": round(cost.gflops, 6),
        "blocks": cost.blocks,
        "se_parameters": cost.se_parameters,
        "se_gflops": round(cost.se_gflops, 6),
    }


def _text(values: Any) -> str:
    return " ".join(f"{value:g}" for value in values)


if __name__ == "__main__":
    main()
