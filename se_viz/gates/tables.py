"""Records to tables: one row a gate, one row a block; and tables to files."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from se_viz.errors import DataError
from se_viz.files import SUFFIXES, check_name, replace_file, told
from se_viz.gates.records import GateRecord, GateSite

NEAR_ZERO = 0.1
NEAR_HALF = (0.45, 0.55)
NEAR_ONE = 0.9
"""A gate is near 0 below the first, near 0.5 within the second, near 1 above the third."""

_GROUP = 500_000
"""Rows that a Parquet file has in one group, and that wait in memory for it."""


def label_blocks(uses: Sequence[GateRecord | GateSite]) -> dict[str, str]:
    """Label each use of a block, by its name, as the paper does: SE_stage_position (arXiv
    1709.01507, Fig. 5).
    """
    counts: Counter[int] = Counter()
    labels: dict[str, str] = {}
    for use in uses:
        if use.name not in labels:
            counts[use.stage] += 1
            labels[use.name] = f"SE_{use.stage}_{counts[use.stage]}"
    return labels


def tabulate_gates(records: Sequence[GateRecord], *, images: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row for each image, block and channel: squeeze and gate, in forward order.

    ``images`` names the batch axis; without it images are numbered from 0.

    Raises:
        DataError: there are no records.
    """
    return pd.DataFrame(gather_gates(records, images=images))


def gather_gates(
    records: Sequence[GateRecord], *, images: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Return the columns of `tabulate_gates` alone: a picture needs no table, which takes longer
    than to draw it.

    Raises:
        DataError: there are no records.
    """
    if not records:
        raise DataError(
            "There are no records yet. Run the model inside `with capture_gates(model) as records`."
        )
    labels = label_blocks(records)
    shapes = [record.gate.shape for record in records]

    def spread(values: list[Any]) -> np.ndarray:
        return np.repeat(np.array(values), [record.gate.numel() for record in records])

    return {
        "image": np.concatenate(
            [np.repeat(images or range(batch), channels) for batch, channels in shapes]
        ),
        "block": spread([labels[record.name] for record in records]),
        "path": spread([record.name for record in records]),
        "stage": spread([record.stage for record in records]),
        "channel": np.concatenate(
            [np.tile(np.arange(channels), batch) for batch, channels in shapes]
        ),
        "squeeze": torch.cat([record.squeeze.flatten() for record in records]).numpy(),
        "gate": torch.cat([record.gate.flatten() for record in records]).numpy(),
    }


def summarise_blocks(records: Sequence[GateRecord]) -> pd.DataFrame:
    """Return one row a block: mean and standard deviation of its gates, and the shares near 0, 0.5
    and 1.
    """
    labels = label_blocks(records)
    return pd.DataFrame([_summary(record, labels[record.name]) for record in records])


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, Parquet, JSON (records) or NPZ (one array a column), by the ending of
    the name.

    It is written beside an older file and renamed.

    Raises:
        DataError: the ending is another one, the folder does not exist, or the file cannot be
            written.
    """
    with open_table(path) as file:
        file.add(table)


@contextmanager
def open_table(path: Path) -> Iterator["TableWriter"]:
    """Write a table piece by piece; it takes the place of an older file when the block ends well.

    An NPZ file is made in memory, since its arrays are written whole.

    Raises:
        DataError: as of `write_table`.
    """
    check_name(path, SUFFIXES)
    with told(path), replace_file(path) as file:
        writer = _WRITERS[path.suffix.lower()](file)
        try:
            yield writer
            writer.close()
        except BaseException:
            if isinstance(writer, _Parquet):
                writer.drop()
            raise


def table_bytes(table: pd.DataFrame, suffix: str) -> bytes:
    """Return the content of a table file for one of ``SUFFIXES``."""
    file = BytesIO()
    writer = _WRITERS[suffix](file)
    writer.add(table)
    writer.close()
    return file.getvalue()


class _Csv:
    def __init__(self, file: BufferedIOBase) -> None:
        self.file = file
        self.rows = 0
        self.begun = False

    def add(self, table: pd.DataFrame) -> None:
        self.file.write(table.to_csv(index=False, header=not self.begun).encode())
        self.begun = True
        self.rows += len(table)

    def close(self) -> None:
        """Leave the file as it is: every row is whole."""


class _Json:
    def __init__(self, file: BufferedIOBase) -> None:
        self.file = file
        self.rows = 0

    def add(self, table: pd.DataFrame) -> None:
        # Not `to_json`: it keeps 15 decimals, which is too few for a gate that is nearly shut.
        text = json.dumps(table.astype(object).where(table.notna(), None).to_dict(orient="records"))
        # Without the brackets of its own list: the whole file is one list.
        if len(table):
            self.file.write((", " if self.rows else "[").encode() + text[1:-1].encode())
        self.rows += len(table)

    def close(self) -> None:
        self.file.write(b"]" if self.rows else b"[]")


class _Parquet:
    def __init__(self, file: BufferedIOBase) -> None:
        self.file = file
        self.rows = 0
        self.pending: list[pd.DataFrame] = []
        self.writer: Any = None

    def add(self, table: pd.DataFrame) -> None:
        self.pending.append(table)
        self.rows += len(table)
        # Groups of many rows: each has a head of its own.
        if sum(map(len, self.pending)) >= _GROUP:
            self._write()

    def close(self) -> None:
        if self.pending:
            self._write()
        if self.writer:
            self.writer.close()

    def drop(self) -> None:
        """Write no more: pyarrow would write the end of the file when it is collected, and the
        file is closed.
        """
        if self.writer:
            self.writer.is_open = False

    def _write(self) -> None:
        from pyarrow import Table
        from pyarrow.parquet import ParquetWriter

        rows = Table.from_pandas(pd.concat(self.pending, ignore_index=True), preserve_index=False)
        self.pending = []
        self.writer = self.writer or ParquetWriter(self.file, rows.schema)
        self.writer.write_table(rows)


class _Npz:
    def __init__(self, file: BufferedIOBase) -> None:
        self.file = file
        self.rows = 0
        self.pending: list[pd.DataFrame] = []

    def add(self, table: pd.DataFrame) -> None:
        self.pending.append(table)
        self.rows += len(table)

    def close(self) -> None:
        table = pd.concat(self.pending, ignore_index=True) if self.pending else pd.DataFrame()
        # Text columns as fixed-width strings: object arrays would need pickle to be read.
        columns: dict[str, Any] = {str(name): np.asarray(table[name].tolist()) for name in table}
        np.savez_compressed(self.file, **columns)


TableWriter: TypeAlias = _Csv | _Json | _Parquet | _Npz
"""Takes a table piece by piece by ``add``; ``rows`` counts them."""
_WRITERS = {".csv": _Csv, ".parquet": _Parquet, ".json": _Json, ".npz": _Npz}


def _summary(record: GateRecord, label: str) -> dict[str, object]:
    gate = record.gate.double()
    # Shares of the gate function's own range, whatever constant stands beside the block.
    share = gate / record.gain
    low, high = NEAR_HALF
    return {
        "block": label,
        "path": record.name,
        "stage": record.stage,
        "channels": gate.shape[1],
        "mean": gate.mean().item(),
        "std": gate.std(unbiased=False).item(),
        "near_0": (share < NEAR_ZERO).double().mean().item(),
        "near_half": ((share > low) & (share < high)).double().mean().item(),
        "near_1": (share > NEAR_ONE).double().mean().item(),
    }
