"""Coverage: every torchvision and timm network with channel attention, each gate checked against
its own oracle.

python -m benchmarks.coverage [--only PATTERN] [--rows FILE] [--out FILE]

A network has random weights and the smallest image it takes. The oracle knows no class and no
table: a hook on *every* module looks for those whose output is their input times one value a
channel that depends on the image.
"""

import argparse
import fnmatch
import gc
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.coverage_oracle import Pair, randomise, see_gating, settle
from benchmarks.coverage_table import write_report
from se_viz.gates import GateRecord, capture_gates, inspect_gates, spellings

SIZES = (64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
"""Sides of the image that are tried, smallest first. At 64, stride 32 still leaves 2 x 2 places to
compare."""
WORDS = re.compile(
    "(?i:squeeze|excit|gather|cbam)|^Quantizable|^SE[A-Z]|EffectiveSE|EseModule|Eca[A-Z]|Ceca[A-Z]|GlobalContext|ChannelAtt"
    "|LightChannel|SelectiveKernel|SplitAttn|CoordAttn|LocalAttn|StripAttn|NonLocal|FocalMod"
)
"""Names of classes that may weigh channels. A network with none is left out, but for the smallest
of each family."""


@dataclass(slots=True)
class Row:
    """What was found in one network."""

    package: str
    name: str
    family: str = ""
    parameters: int = 0
    size: int = 0
    """Side of the image; 0 for a network that was left out."""
    gating: int = 0
    """Uses of blocks, and of other modules that multiply each channel by one value that depends on
    the image."""
    found: int = 0
    """Blocks that `inspect_gates` lists."""
    exact: int = 0
    """Captured gates that, times the block's input, are the block's output bit for bit."""
    followed: int = 0
    """Of the blocks that are found, how many have the same gates with the table switched off."""
    missing: list[str] = field(default_factory=list)
    """Gating modules that are neither found nor named as another kind."""
    refused: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """What kinds of attention are named as no SE gate."""
    forms: list[str] = field(default_factory=list)
    error: str = ""


def main(words: list[str] | None = None) -> None:
    """Check every network that the pattern leaves, and write the report."""
    arguments = _arguments(words)
    warnings.simplefilter("ignore")
    rows = _read(arguments.rows)
    names = [
        (library, name) for library, name in list_names() if fnmatch.fnmatch(name, arguments.only)
    ]
    complete = {(row.package, row.name) for row in rows if row.size or not row.error}
    for library, name in names:
        if (library, name) not in complete:
            rows.append(_store(arguments.rows, check(library, name)))
    for row in smallest_of_each(rows):
        rows.append(_store(arguments.rows, check(row.package, row.name, always=True)))
    print(write_report([asdict(row) for row in latest(rows)], arguments.out, listed=len(names)))


def latest(rows: list[Row]) -> list[Row]:
    """Return one row a network, the last: it may have been left out first, and looked into as its
    family's smallest.
    """
    return list({(row.package, row.name): row for row in rows}.values())


def list_names() -> Iterator[tuple[str, str]]:
    """Yield library and name of every model that the two libraries list."""
    yield from (("torchvision", name) for name in torchvision.models.list_models())
    yield from (("timm", name) for name in timm.list_models())


def smallest_of_each(rows: list[Row]) -> list[Row]:
    """Return the smallest network of each family of which none was looked into."""
    families = {(row.package, row.family) for row in rows if row.size or row.error}
    smallest: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: row.parameters):
        if (row.package, row.family) not in families:
            smallest.setdefault((row.package, row.family), row)
    return list(smallest.values())


def check(library: str, name: str, *, always: bool = False) -> Row:
    """Build one network, look for gates without and with se_viz, and compare."""
    row = Row(library, name)
    try:
        sketch = _sketch(library, name)
        row.family = type(sketch).__module__.split(".")[-1]
        row.parameters = sum(value.numel() for value in sketch.parameters())
        if not always and not any(
            WORDS.search(type(module).__name__) for module in sketch.modules()
        ):
            return row
        del sketch
        _compare(row, randomise(build(library, name)).eval())
    except Exception as error:
        row.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    finally:
        gc.collect()
    return row


def build(library: str, name: str) -> nn.Module:
    """Return a model with random weights; nothing is downloaded."""
    torch.manual_seed(0)
    if library == "timm":
        return timm.create_model(name, pretrained=False)
    backbone = {} if _plain(name) else {"weights_backbone": None}
    return torchvision.models.get_model(name, weights=None, **backbone)


def _compare(row: Row, model: nn.Module) -> None:
    row.size = _first_size(model)
    images = _images(row.size)
    inspection = inspect_gates(model, size=row.size)
    paths = {site.block for site in inspection.sites}
    with capture_gates(model, blocks=paths) if paths else nullcontext([]) as records:
        gating = see_gating(model, images, paths)
    row.gating = sum(map(len, gating.values()))
    row.found = len(inspection.sites)
    row.refused = inspection.refused
    row.others = sorted(set(inspection.others.values()))
    row.forms = sorted({site.form for site in inspection.sites})
    row.missing = [
        path
        for path in gating
        if path not in paths and not path.startswith(tuple(inspection.others))
    ]
    row.exact = sum(
        _is_exact(record.gate, gating.get(record.block, []), record.call) for record in records
    )
    if paths:
        row.followed = count_followed(model, images, records)


def count_followed(model: nn.Module, images: Tensor, records: Sequence[GateRecord]) -> int:
    """Return how many of these gates are found by what is done alone, with the same values."""
    table = spellings.SPELLINGS
    spellings.SPELLINGS = []
    try:
        found = inspect_gates(model, size=images.shape[-1])
        paths = {site.block for site in found.sites}
        capture = capture_gates(model, blocks=paths) if paths else nullcontext([])
        with torch.no_grad(), capture as followed:
            model(images)
    finally:
        spellings.SPELLINGS = table
    gates = {record.name: record.gate for record in followed}
    return sum(
        record.name in gates and torch.equal(gates[record.name], record.gate) for record in records
    )


def _is_exact(gate: Tensor, calls: list[Pair], call: int) -> bool:
    return call < len(calls) and torch.equal(
        gate[:, :, None, None] * calls[call][0], calls[call][1]
    )


def _first_size(model: nn.Module) -> int:
    config = getattr(model, "pretrained_cfg", None) or {}
    fixed = config.get("input_size", (3, 224, 224))[-1] if config.get("fixed_input_size") else None
    last: Exception | None = None
    # The smallest image that runs: nothing here depends on what is seen.
    for size in (fixed,) if fixed else SIZES:
        try:
            settle(model, _images(size))
            return size
        except Exception as error:
            last = error
    raise RuntimeError(f"takes no image of {SIZES[0]} to {SIZES[-1]} pixels: {last}")


def _images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def _sketch(library: str, name: str) -> nn.Module:
    try:
        with torch.device("meta"):
            return build(library, name)
    except (NotImplementedError, RuntimeError, ValueError):
        # Some constructors compute with values, which a meta tensor does not have.
        with _Unfilled():
            return build(library, name)


class _Unfilled(TorchFunctionMode):
    """Leaves new weights as they are: to fill billions of them takes minutes, and nobody reads
    them here.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_, nn.init.trunc_normal_):
            return args[0]
        return func(*args, **(kwargs or {}))


def _plain(name: str) -> bool:
    parts = (
        "deeplab",
        "fcn_",
        "lraspp",
        "fasterrcnn",
        "maskrcnn",
        "keypointrcnn",
        "retinanet",
        "fcos",
        "ssd",
    )
    # Detectors and segmenters stand on another network, whose weights would be downloaded.
    return not name.startswith(parts)


def _read(path: Path | None) -> list[Row]:
    lines = path.read_text().splitlines() if path and path.is_file() else []
    return [Row(**json.loads(line)) for line in lines]


def _store(path: Path | None, row: Row) -> Row:
    if path:
        with path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
    if row.size or row.error:
        print(
            f"{row.package} {row.name}: {row.gating} gating, {row.found} found, {row.exact} exact "
            f"{row.error}"
        )
    return row


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--only", default="*", metavar="PATTERN", help="names to check, e.g. 'efficientnet_*'"
    )
    parser.add_argument(
        "--rows", type=Path, help="file of finished rows (JSON lines): these are not run again"
    )
    parser.add_argument("--out", type=Path, help="file for the report (default: the screen alone)")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
