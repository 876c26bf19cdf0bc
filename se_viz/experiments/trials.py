"""Small networks trained in pairs, with and without SE blocks: what `train --all` measured, and how
far two networks of a pair differ.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from se_viz.errors import DataError

Variant = Literal["plain", "se", "wide"]
VARIANTS: tuple[Variant, ...] = ("plain", "se", "wide")
"""Without blocks, with blocks, and without blocks but as many parameters as with them."""
RUNS_FILE = "runs.jsonl"
GATES_FILE = "gates.parquet"
TIMES_FILE = "times.json"
"""What a folder of finished runs holds: a line a run, gates over the steps, times of one image."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """One network, trained once."""

    name: str
    """Family, variant and seed, such as ``vgg_se_0``."""
    family: str
    """What the pair is called in names, such as ``vgg``."""
    title: str
    """What it is called in sentences, such as ``VGG``."""
    variant: Variant
    """Plain, with SE blocks, or wide."""
    seed: int
    """Seed of its first weights and its augmentation."""
    parameters: int
    """Trained values."""
    flops: int
    """Operations for one image, a product and a sum being two."""
    right: NDArray[np.bool_]
    """For each validation image whether its most probable class is right."""
    curve: tuple[float, ...]
    """Top-1 accuracy after each epoch, 0 to 1."""
    steps: int
    """Batches of all epochs."""
    seconds: float
    """Time of all its epochs, on the machine that trained it."""

    @property
    def top1(self) -> float:
        """Return its accuracy, 0 to 1."""
        return float(self.right.mean())


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often one network is right than another, with its 95 % interval."""

    mean: float
    """Mean difference of accuracy over seeds and images, -1 to 1."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end."""
    seeds: int
    """Pairs of runs; with one, the interval counts the images alone."""

    @property
    def sign(self) -> int:
        """Return 1 or -1 where the interval leaves 0 out, else 0."""
        return (self.low > 0) - (self.high < 0)


def read_runs(folder: Path) -> tuple[TrainedRun, ...]:
    """Return the finished runs of a folder, in the order that they ended; none without a file.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / RUNS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read: {error}. Restore it.") from error
    try:
        return tuple(_read(json.loads(line)) for line in lines)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path.name} is damaged. Restore it.") from error


def _read(row: Mapping[str, Any]) -> TrainedRun:
    return TrainedRun(
        **{name: row[name] for name in ("name", "family", "title", "variant", "seed")},
        **{name: row[name] for name in ("parameters", "flops", "steps", "seconds")},
        right=unpack_flags(row["right"], row["images"]),
        curve=tuple(point["top1"] for point in row["curve"]),
    )


def pack_flags(flags: NDArray[np.bool_]) -> str:
    """Return flags as text: eight to a byte, in base64."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


def unpack_flags(text: str, count: int) -> NDArray[np.bool_]:
    """Return the flags of `pack_flags`.

    Raises:
        ValueError: there are fewer, or it is no such text.
    """
    bits = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if not 8 * len(bits) >= count > 8 * (len(bits) - 1):
        raise ValueError("another number of flags")
    return np.unpackbits(bits, count=count).astype(bool)


def read_times(folder: Path) -> dict[str, float]:
    """Return milliseconds of one image by family and variant, such as ``vgg_se``; none without a
    file.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / TIMES_FILE
    try:
        times = json.loads(path.read_text(encoding="utf-8"))["milliseconds"]
        return {str(name): float(value) for name, value in times.items()}
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path.name} is damaged. Restore it.") from error


def read_gates(folder: Path, run: str) -> pd.DataFrame:
    """Return the gates of a run over its steps, in the columns of `GateStatistics`; no row without
    a file.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / GATES_FILE
    if not path.is_file():
        return pd.DataFrame({"run": []})
    try:
        return pd.read_parquet(path, filters=[("run", "==", run)])
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} is damaged. Restore it.") from error


def compare_variants(
    runs: Iterable[TrainedRun], family: str, one: Variant, other: Variant
) -> Difference | None:
    """Return how much more often ``one`` is right than ``other``, over the seeds that both have;
    None where they have none.

    Runs of one seed and answers to one image are paired. Seeds and images are both samples, so that
    the variance of the mean is that of the seeds' means plus that of the images' means, each
    divided by its number: the noise of single answers counts twice, which makes the interval wide
    rather than narrow. Its quantile is Student's, with Satterthwaite's degrees of freedom.
    """
    known: dict[str, dict[int, NDArray[np.bool_]]] = {one: {}, other: {}}
    for run in runs:
        if run.family == family and run.variant in known:
            known[run.variant][run.seed] = run.right
    seeds = sorted(known[one].keys() & known[other].keys())
    if not seeds:
        return None
    first, second = (
        np.stack([known[variant][seed] for seed in seeds]).astype(float) for variant in (one, other)
    )
    return _estimate(first - second)


def _estimate(differences: NDArray[np.float64]) -> Difference:
    """Return mean and interval of a table of (seeds, images)."""
    mean = float(differences.mean())
    parts = [
        (values.var(ddof=1) / len(values), len(values) - 1)
        for values in (differences.mean(axis=1), differences.mean(axis=0))
        if len(values) > 1
    ]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Difference(mean, mean, mean, len(differences))
    degrees = variance**2 / sum(part**2 / count for part, count in parts)
    reach = float(stdtrit(degrees, 0.975)) * sqrt(variance)
    return Difference(mean, mean - reach, mean + reach, len(differences))


def tabulate_runs(runs: Sequence[TrainedRun], times: Mapping[str, float]) -> pd.DataFrame:
    """Return one row a run: what it costs, and its accuracy."""
    return pd.DataFrame(
        {
            "family": [run.family for run in runs],
            "variant": [run.variant for run in runs],
            "seed": [run.seed for run in runs],
            "parameters": [run.parameters for run in runs],
            "flops": [run.flops for run in runs],
            "milliseconds": [times.get(f"{run.family}_{run.variant}") for run in runs],
            "top1": [run.top1 for run in runs],
        }
    )
