import gc
import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from se_viz.errors import DataError
from se_viz.gates import GateRecord, capture_gates, tables
from se_viz.gates.tables import (
    SUFFIXES,
    label_blocks,
    summarise_blocks,
    table_bytes,
    tabulate_gates,
    write_table,
)

# Values that are hard to write: the smallest step above 1/3, both ends of a gate, and gates that
# are nearly shut.
HARD = (
    float(np.nextafter(np.float32(1 / 3), np.float32(1))),
    0.0,
    1.0,
    1.2345678e-10,
    1.2345678e-20,
)


def record(block: str, stage: int, gate: list[list[float]]) -> GateRecord:
    """Make a record whose squeeze is ten times its gate."""
    values = torch.tensor(gate)
    return GateRecord(block=block, stage=stage, squeeze=10 * values, gate=values)


@pytest.fixture
def records() -> list[GateRecord]:
    return [record("a", 2, [[0.5, 0.25], [0.0, 1.0]]), record("b", 3, [[0.125], [0.75]])]


def read(content: bytes, suffix: str) -> pd.DataFrame:
    """Read a table file as its users would."""
    file = BytesIO(content)
    if suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return pd.DataFrame(dict(arrays))
    if suffix == ".json":
        return pd.DataFrame(json.load(file))
    return pd.read_parquet(file) if suffix == ".parquet" else pd.read_csv(file)


def test_blocks_are_named_as_in_the_paper(se_net: nn.Module, images: Tensor):
    """The paper's Figure 5 calls them SE_2_3, SE_3_4, SE_4_6, SE_5_3: stage, then position in the
    stage.
    """
    with capture_gates(se_net) as records:
        se_net(images)
    expected = [
        f"SE_{stage}_{unit}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for unit in range(1, count + 1)
    ]
    assert list(label_blocks(records).values()) == expected


def test_a_block_keeps_its_name_in_a_second_pass():
    """Two passes through one capture give two records of a block, which is still one block."""
    first = record("a", 2, [[0.5]])
    second = record("b", 2, [[0.5]])
    assert label_blocks([first, second, first, second]) == {"a": "SE_2_1", "b": "SE_2_2"}


def test_one_row_for_each_image_block_and_channel(records: list[GateRecord]):
    """Written out by hand: forward order, then images, then channels."""
    table = tabulate_gates(records)
    assert list(table.columns) == ["image", "block", "path", "stage", "channel", "squeeze", "gate"]
    assert table.to_numpy().tolist() == [
        [0, "SE_2_1", "a", 2, 0, 5.0, 0.5],
        [0, "SE_2_1", "a", 2, 1, 2.5, 0.25],
        [1, "SE_2_1", "a", 2, 0, 0.0, 0.0],
        [1, "SE_2_1", "a", 2, 1, 10.0, 1.0],
        [0, "SE_3_1", "b", 3, 0, 1.25, 0.125],
        [1, "SE_3_1", "b", 3, 0, 7.5, 0.75],
    ]


def test_images_can_have_names(records: list[GateRecord]):
    """The names stand for the batch axis: the first name for the first image in every block."""
    table = tabulate_gates(records, images=["cat.jpg", "dog.jpg"])
    assert table["image"].tolist() == ["cat.jpg"] * 2 + ["dog.jpg"] * 2 + ["cat.jpg", "dog.jpg"]


def test_the_table_has_every_gate_of_the_network(se_net: nn.Module, images: Tensor):
    """Counted from the architecture: two images times 3*64 + 4*128 + 6*256 + 3*512 channels."""
    with capture_gates(se_net) as records:
        se_net(images)
    assert len(tabulate_gates(records)) == 2 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512)


def test_the_summary_of_a_block_is_that_of_its_gates():
    """By hand for 0, 0.25, 0.5, 1: mean 7/16, variance 21/16 - 49/64 over 4; a quarter of them
    near each mark.
    """
    row = summarise_blocks([record("a", 2, [[0.0, 0.25], [0.5, 1.0]])]).iloc[0]
    variance = (0 + 1 / 16 + 1 / 4 + 1) / 4 - (7 / 16) ** 2
    assert (row["block"], row["path"], row["stage"], row["channels"]) == ("SE_2_1", "a", 2, 2)
    assert row["mean"] == 7 / 16
    assert row["std"] == pytest.approx(math.sqrt(variance))
    assert (row["near_0"], row["near_half"], row["near_1"]) == (0.25, 0.25, 0.25)


def test_near_means_within_the_marks():
    """Near 0 is below 0.1, near 0.5 between 0.45 and 0.55, near 1 above 0.9; the values stand on
    either side.
    """
    gates = [0.09, 0.11, 0.44, 0.46, 0.54, 0.56, 0.89, 0.91, 0.92, 0.93]
    row = summarise_blocks([record("a", 2, [gates])]).iloc[0]
    assert [row["near_0"], row["near_half"], row["near_1"]] == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_written_table_holds_the_same_bits(tmp_path: Path, suffix: str):
    """Whoever reads the file gets the float32 that the block computed, also of a gate that is
    nearly shut.
    """
    table = tabulate_gates([record("layer1.0.bn3.1", 2, [list(HARD)])], images=["cat, grey.jpg"])
    path = tmp_path / f"gates{suffix}"
    write_table(table, path)
    back = read(path.read_bytes(), suffix)
    assert list(back.columns) == list(table.columns)
    for column in ("image", "block", "path", "stage", "channel"):
        assert back[column].tolist() == table[column].tolist()
    for column in ("squeeze", "gate"):
        assert back[column].astype("float32").tolist() == table[column].tolist()


def test_a_download_is_the_file(tmp_path: Path, records: list[GateRecord]):
    """The page offers the bytes that the command line writes."""
    table = tabulate_gates(records)
    write_table(table, tmp_path / "gates.csv")
    assert (tmp_path / "gates.csv").read_bytes() == table_bytes(table, ".csv")


def test_another_ending_is_refused(tmp_path: Path, records: list[GateRecord]):
    """The ending chooses the format, so an unknown one is refused before anything is written."""
    with pytest.raises(
        DataError,
        match=r"gates\.xlsx ends in none of \.csv, \.parquet, \.json, \.npz\. Name the file",
    ):
        write_table(tabulate_gates(records), tmp_path / "gates.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path: Path, records: list[GateRecord]):
    """A misspelt folder is said, not made."""
    with pytest.raises(DataError, match=r"There is no folder .*nowhere\. Create it"):
        write_table(tabulate_gates(records), tmp_path / "nowhere" / "gates.csv")


def test_a_parquet_file_that_is_given_up_ends_quietly(records, tmp_path, monkeypatch):
    """pyarrow's writer would write its end into a closed file, and say so on the screen."""
    monkeypatch.setattr(tables, "_GROUP", 1)

    def stop() -> None:
        with tables.open_table(tmp_path / "gates.parquet") as file:
            file.add(tabulate_gates(records))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    gc.collect()
    assert not list(tmp_path.iterdir())
