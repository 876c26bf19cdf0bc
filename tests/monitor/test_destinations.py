"""Where the rows of a monitor go, and what a run that was killed or goes on finds there."""

import ast
import inspect
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from se_viz import GateStatistics
from se_viz.errors import DataError, OptionError
from se_viz.monitor import destinations
from se_viz.monitor.destinations import open_destination

ROW = GateStatistics(
    step=0,
    block="SE_2_1",
    path="layer1.0.se",
    stage=2,
    images=4,
    channels=16,
    mean=0.5,
    std=0.1,
    over_images=0.05,
    near_low=0.0,
    near_middle=0.25,
    near_high=1 / 3,
    dead=None,
    health="near the middle, dead channels",
)
ENDINGS = [".csv", ".jsonl", ".parquet"]


def rows_at(step: int) -> list[GateStatistics]:
    return [
        replace(ROW, step=step, mean=0.5 + step / 1000),
        replace(ROW, step=step, block="SE_3_1", path="layer2.0.se", dead=step % 3),
    ]


def write(path: Path, steps: Sequence[int], *, close: bool = True) -> None:
    destination = open_destination(path)
    destination.check()
    for step in steps:
        destination.write(rows_at(step))
    if close:
        destination.close()


def read(path: Path) -> list[dict[str, Any]]:
    """Return rows as plain values, read by pandas or line by line."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return table.astype(object).where(table.notna(), None).to_dict(orient="records")


def expected(*steps: int) -> list[dict[str, Any]]:
    return [asdict(row) for step in steps for row in rows_at(step)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_holds_every_row_as_it_was(ending: str, tmp_path: Path):
    """The numbers are what a paper's figure is drawn of: all their digits count."""
    path = tmp_path / f"gates{ending}"
    write(path, [0, 100])
    assert read(path) == expected(0, 100)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_written_is_there_when_the_process_is_killed(ending: str, tmp_path: Path):
    """Training is often killed; nothing of it is closed then."""
    path = tmp_path / f"gates{ending}"
    write(path, [0, 100, 200], close=False)
    assert read(path) == expected(0, 100, 200)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_that_goes_on_replaces_what_it_does_again(ending: str, tmp_path: Path):
    """It goes on from its last save, before the last rows; each step has its rows once."""
    path = tmp_path / f"gates{ending}"
    write(path, [0, 100, 200], close=False)
    write(path, [200, 300])
    assert read(path) == expected(0, 100, 200, 300)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_that_writes_nothing_leaves_the_file(ending: str, tmp_path: Path):
    """A mistake in the loop's first line must not cost the rows of a night."""
    path = tmp_path / f"gates{ending}"
    write(path, [0, 100])
    write(path, [])
    assert read(path) == expected(0, 100)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_line_that_was_cut_goes(ending: str, tmp_path: Path):
    """A machine that stops may leave half a line, which the next one would be glued to."""
    path = tmp_path / f"gates{ending}"
    write(path, [0, 100])
    path.write_bytes(path.read_bytes()[:-9])
    write(path, [200])
    assert read(path) == [*expected(0, 100)[:-1], *expected(200)]


def test_a_large_parquet_is_written_now_and_then(tmp_path: Path, monkeypatch):
    """Each writing takes as long as the file is large: all of them together stay a small
    multiple of one.
    """
    monkeypatch.setattr(destinations, "_WHOLE", 20)
    path = tmp_path / "gates.parquet"
    destination = open_destination(path)
    destination.check()
    changes = 0
    lengths = [0]
    for step in range(100):
        destination.write(rows_at(step))
        lengths.append(len(pd.read_parquet(path)))
        changes += lengths[-1] != lengths[-2]
        # Never more than a tenth is not there yet.
        assert lengths[-1] >= 2 * (step + 1) / 1.1 - 2
    assert changes < 45
    destination.close()
    assert read(path) == expected(*range(100))


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_file_is_not_written_over(ending: str, tmp_path: Path):
    """Its name may be a slip."""
    path = tmp_path / f"gates{ending}"
    path.write_text("name,weight\nant,3\n")
    with pytest.raises(DataError, match="something else than rows of gates"):
        open_destination(path).check()


def test_paths_that_cannot_be_written_are_told_before_training(tmp_path: Path):
    """The first row may come after hours of preparation."""
    with pytest.raises(DataError, match=r"ends in none of \.csv, \.jsonl, \.parquet"):
        open_destination(tmp_path / "gates.xlsx").check()
    with pytest.raises(DataError, match="There is no folder"):
        open_destination(str(tmp_path / "no" / "gates.csv")).check()


def test_numbers_that_are_none_are_missing(tmp_path: Path):
    """Gates of a run that has diverged are no numbers, which JSON has no word for."""
    path = tmp_path / "gates.jsonl"
    destination = open_destination(path)
    destination.check()
    destination.write([replace(ROW, mean=float("nan"))])
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["mean"] is None


class Writer:
    """What of TensorBoard's writer is called, with its parameters."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float, int | None]] = []

    def add_scalar(
        self,
        tag: str,
        scalar_value: float,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Keep a point of a curve."""
        self.calls.append((tag, scalar_value, global_step))


def test_tensorboard_is_given_a_curve_a_statistic_and_block():
    """Its own writer needs TensorBoard, which is not installed with se_viz."""
    writer = Writer()
    open_destination(writer).write(rows_at(100))
    assert ("gate_mean/SE_2_1", 0.6, 100) in writer.calls
    assert ("gate_dead/SE_3_1", 1, 100) in writer.calls
    # Six of the first block, which has no count of dead channels, and seven of the other.
    assert len(writer.calls) == len({tag for tag, _, _ in writer.calls}) == 13


def test_the_writer_here_has_the_parameters_of_pytorchs_own():
    """Read from its source, since it cannot be imported without TensorBoard."""
    source = Path(torch.__file__).parent / "utils/tensorboard/writer.py"
    (method,) = (
        node
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "add_scalar"
    )
    names = [argument.arg for argument in method.args.args]
    assert names == ["self", *inspect.signature(Writer().add_scalar).parameters]


class Run:
    """What of a run of Weights & Biases is called, with its parameters."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{}]

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None
    ) -> None:
        """Gather values of a row until it is committed."""
        self.rows[-1].update(data)
        if commit or (commit is None and step is None):
            self.rows.append({})


def test_weights_and_biases_has_gates_in_the_row_of_the_loop():
    """A row of its own would count as a step there, and shift the loop's."""
    run = Run()
    open_destination(run).write(rows_at(100))
    run.log({"loss": 0.3})
    row, rest = run.rows
    assert rest == {}
    assert row["loss"] == 0.3
    assert row["gates/step"] == 100
    assert row["gates/SE_2_1/near_high"] == pytest.approx(1 / 3)


def test_a_function_is_given_the_rows_of_a_pass():
    """Whatever else somebody does with them."""
    passes: list[tuple[GateStatistics, ...]] = []
    open_destination(passes.append).write(rows_at(0))
    assert passes == [tuple(rows_at(0))]


def test_a_logger_of_pythons_is_no_place_for_numbers():
    """It has a method of the same name, which takes a level first."""
    with pytest.raises(OptionError, match="cannot be written to a Logger"):
        open_destination(logging.getLogger("gates"))


def test_columns_are_the_fields():
    """Readers of a file know the columns by the documentation of the fields."""
    assert [field.name for field in fields(GateStatistics)] == destinations._COLUMNS
