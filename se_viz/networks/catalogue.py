"""The zoo as data: torchvision's and timm's networks with SE blocks and ImageNet weights, read
from a table.

Why: docs/decisions/040-the-zoo-is-data.md
"""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from se_viz.networks.card import NetworkCard
from se_viz.networks.labels import imagenet_classes

TABLE = Path(__file__).with_name("catalogue.csv")
"""One row a network; written by `python -m benchmarks.catalogue`."""

COLUMNS: tuple[str, ...] = (
    "library",
    "architecture",
    "weights",
    "parameters",
    "gflops",
    "blocks",
    "se_parameters",
    "se_gflops",
    "top1",
    "download_bytes",
    "input_size",
    "resize",
    "crop",
    "interpolation",
    "mean",
    "std",
    "classes",
    "source",
    "licence",
)
"""What the table says of each network."""

_WHOLE = ("parameters", "blocks", "se_parameters", "download_bytes", "input_size", "resize")
DATA = {
    "1000": "ImageNet-1k",
    "11221": "ImageNet-21k (11,221 classes)",
    "11821": "ImageNet-12k",
    "21841": "ImageNet-22k",
    "21843": "ImageNet-21k",
}
"""What a network was trained on, by its number of classes; others are not listed."""


def list_catalogue() -> tuple[NetworkCard, ...]:
    """Return the cards of the zoo, torchvision's first.

    Nothing is imported or downloaded for it.
    """
    return _cards(TABLE)


def read_rows(table: Path = TABLE) -> list[dict[str, str]]:
    """Read the table as it stands in the file."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(rows: Iterable[Mapping[str, object]], table: Path = TABLE) -> None:
    """Write a table of the same columns."""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@cache
def _cards(table: Path) -> tuple[NetworkCard, ...]:
    # The first weights of an architecture in torchvision are its default, and need no further name.
    architectures: set[str] = set()
    return tuple(_card(row, architectures) for row in read_rows(table))


def _card(row: dict[str, str], architectures: set[str]) -> NetworkCard:
    library = row["library"]
    architecture = row["architecture"]
    weights = row["weights"]
    plain = library == "torchvision" and architecture not in architectures
    architectures.add(architecture)
    return NetworkCard(
        name=f"{library}/{architecture}" if plain else f"{library}/{architecture}.{weights}",
        title=f"{architecture} · {weights} ({library})",
        library=library,
        architecture=architecture,
        weights=weights,
        arguments={},
        classes=imagenet_classes(1000) if row["classes"] == "1000" else (),
        top1=float(row["top1"]) if row["top1"] else None,
        source=row["source"],
        data=DATA[row["classes"]],
        evaluated_with=f"the table of {library}",
        trained_with=f"stated by {library}",
        date="",
        sha256="",
        licence=row["licence"],
        crop=row["crop"],
        interpolation=row["interpolation"],
        **_numbers(row),
    )


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    return {
        **{name: int(row[name]) for name in _WHOLE},
        **{name: float(row[name]) for name in ("gflops", "se_gflops")},
        **{name: _colours(row[name]) for name in ("mean", "std")},
        "num_classes": int(row["classes"]),
    }


def _colours(text: str) -> tuple[float, float, float]:
    red, green, blue = map(float, text.split())
    return red, green, blue
