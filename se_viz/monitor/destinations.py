"""Where the rows of a monitor go: files, loggers of training runs, functions."""

import csv
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from se_viz.errors import DataError, OptionError
from se_viz.files import check_target, told, write_file
from se_viz.gates.tables import write_table
from se_viz.monitor.statistics import GateStatistics

ENDINGS = (".csv", ".jsonl", ".parquet")
"""File name endings that rows are written to."""
_COLUMNS = [field.name for field in fields(GateStatistics)]
_WHOLE = 5_000
"""Rows up to which a Parquet file is written anew for every pass; from then on it grows by a tenth
from one writing to the next."""


@runtime_checkable
class Destination(Protocol):
    """What takes the rows of one pass after the other."""

    def check(self) -> None:
        """Refuse before the training what cannot be written."""

    def write(self, rows: Sequence[GateStatistics]) -> None:
        """Take the rows of one pass."""

    def close(self) -> None:
        """Write what waits."""


def open_destination(to: Any) -> Destination:
    """Return what writes to a path, a logger or a function; nothing is opened yet.

    Raises:
        OptionError: it is none of these.
    """
    if isinstance(to, (str, os.PathLike)):
        path = Path(to)
        if path.suffix.lower() == ".parquet":
            return _Parquet(path)
        return _Lines(path)
    if callable(getattr(to, "add_scalar", None)):
        return _Calls(lambda rows: _add_scalars(to, rows))
    if callable(to):
        return _Calls(to)
    if callable(getattr(to, "log", None)) and not isinstance(to, logging.Logger):
        return _Calls(lambda rows: _log(to, rows))
    raise OptionError(
        f"Rows cannot be written to a {type(to).__name__}. Give a path that ends in "
        f"{', '.join(ENDINGS)}, a SummaryWriter, a run of Weights & Biases, or a function."
    )


class _Calls:
    """A function that is given the rows."""

    def __init__(self, call: Callable[[tuple[GateStatistics, ...]], object]) -> None:
        self._call = call

    def check(self) -> None:
        """Accept: it shows when it is called."""

    def write(self, rows: Sequence[GateStatistics]) -> None:
        self._call(tuple(rows))

    def close(self) -> None:
        """Leave it open: it is its owner's."""


def _add_scalars(writer: Any, rows: Iterable[GateStatistics]) -> None:
    # By statistic first: TensorBoard puts what has the same beginning side by side.
    for row in rows:
        for name, value in row.as_numbers().items():
            writer.add_scalar(f"gate_{name}/{row.block}", value, row.step)


def _log(run: Any, rows: Sequence[GateStatistics]) -> None:
    numbers: dict[str, float] = {
        f"gates/{row.block}/{name}": value
        for row in rows
        for name, value in row.as_numbers().items()
    }
    # With the next row of the training loop: a step of its own would push that one's aside.
    run.log({**numbers, "gates/step": rows[0].step}, commit=False)


class _Lines:
    """A file that rows are appended to, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False
        self._csv = path.suffix.lower() == ".csv"

    def check(self) -> None:
        check_target(self._path, ENDINGS)
        self._older_lines()

    def write(self, rows: Sequence[GateStatistics]) -> None:
        content = "".join(self._line(row.as_row()) for row in rows).encode()
        with told(self._path):
            if not self._begun:
                before = [line for step, line in self._older_lines() if step < rows[0].step]
                head = [_csv_line(_COLUMNS)] if self._csv else []
                write_file(self._path, "".join([*head, *before]).encode())
            self._begun = True
            _append(self._path, content)

    def close(self) -> None:
        """Leave it: every pass was written as it came."""

    def _line(self, row: dict[str, Any]) -> str:
        return _csv_line(row.values()) if self._csv else f"{json.dumps(row)}\n"

    def _older_lines(self) -> list[tuple[int, str]]:
        """Return the whole lines of an older file with their steps; a kill may have cut the last.

        Raises:
            DataError: it holds something else.
        """
        if not self._path.exists():
            return []
        try:
            lines = self._path.read_bytes().decode().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            if self._csv and whole:
                head, *whole = whole
                if head != _csv_line(_COLUMNS):
                    raise ValueError(head)
            return [(self._step(line), line) for line in whole]
        except (ValueError, LookupError, TypeError) as error:
            raise _foreign(self._path) from error

    def _step(self, line: str) -> int:
        return int(line.split(",")[0] if self._csv else json.loads(line)["step"])


def _append(path: Path, content: bytes) -> None:
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(content)
    except OSError:
        # A full disk may take half a line, which the next one would go on with.
        with suppress(OSError):
            os.truncate(path, size)
        raise


def _csv_line(values: Iterable[Any]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


class _Parquet:
    """A file that is written whole, beside an older one, and renamed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        self._older: pd.DataFrame | None = None
        self._written = 0

    def check(self) -> None:
        check_target(self._path, ENDINGS)
        self._older = self._read_older()

    def write(self, rows: Sequence[GateStatistics]) -> None:
        if not self._rows and self._older is not None:
            self._older = self._older.loc[self._older["step"] < rows[0].step, :]
        self._rows.extend(row.as_row() for row in rows)
        count = self._count()
        if count <= _WHOLE or count >= 1.1 * self._written:
            self._write()

    def close(self) -> None:
        if self._rows and self._written < self._count():
            self._write()

    def _count(self) -> int:
        return len(self._rows) + (0 if self._older is None else len(self._older))

    def _write(self) -> None:
        table = _as_table(self._rows)
        if self._older is not None and len(self._older):
            table = pd.concat([self._older, table], ignore_index=True)
        write_table(table, self._path)
        self._written = len(table)

    def _read_older(self) -> pd.DataFrame | None:
        if not self._path.exists():
            return None
        try:
            older = pd.read_parquet(self._path)
        except Exception as error:
            # Whatever its reader raises on what is no Parquet file.
            raise _foreign(self._path) from error
        if [*older.columns] != _COLUMNS:
            raise _foreign(self._path)
        return _typed(older)


def _as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return _typed(pd.DataFrame(rows, columns=_COLUMNS))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns have one kind each, also where every value is missing."""
    shares = ("mean", "std", "over_images", "near_low", "near_middle", "near_high")
    return table.astype({**dict.fromkeys(shares, "float64"), "dead": "Int64"})


def _foreign(path: Path) -> DataError:
    return DataError(f"{path} holds something else than rows of gates. Name another file.")
