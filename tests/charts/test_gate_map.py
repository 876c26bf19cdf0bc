"""The numbers that the browser paints the gate map from."""

import base64
from typing import Any

import numpy as np
import pandas as pd
import pytest

from se_viz.charts.gate_map import MISSING, lay_out_gates, pack
from se_viz.charts.palettes import LIGHT
from se_viz.charts.scales import Span

BLOCKS = (("SE_2_1", "one.se", 2, 64), ("SE_2_2", "two.se", 2, 64), ("SE_3_1", "three.se", 3, 128))
"""Label, path, stage and channels of the blocks of the table."""


@pytest.fixture
def table() -> pd.DataFrame:
    """Return a gate table of three blocks with random gates and a squeeze of either sign."""
    random = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "block": label,
                "path": path,
                "stage": stage,
                "channel": np.arange(count),
                "squeeze": random.normal(0, 3, count).astype(np.float32),
                "gate": random.uniform(0, 1, count).astype(np.float32),
            }
        )
        for label, path, stage, count in BLOCKS
    ]
    return pd.concat(parts, ignore_index=True)


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Return the values that 16-bit steps stand for, and NaN for what is none."""
    codes = np.frombuffer(base64.b64decode(packed["codes"]), dtype="<u2")
    return np.where(codes == MISSING, np.nan, packed["low"] + packed["step"] * codes)


@pytest.mark.parametrize("column", ["gate", "squeeze"])
def test_values_come_by_channel_within_half_a_step(table: pd.DataFrame, column: str):
    """What a tooltip tells differs from the captured number by at most 1/131,068 of the range."""
    data = lay_out_gates(table, LIGHT, value=column)
    values = table[column].to_numpy(dtype=np.float64)
    assert np.abs(unpack(data["values"]) - values).max() <= np.ptp(values) / 131_068 * (1 + 1e-9)
    assert [row["channels"] for row in data["rows"]] == [count for *_, count in BLOCKS]


def test_what_is_no_number_stays_none():
    """A broken gate must not pass for a closed one, and must not stretch the steps of the
    others.
    """
    values = np.array([0.25, np.nan, 0.75, np.inf, -np.inf])
    assert unpack(pack(values)) == pytest.approx(
        np.array([0.25, np.nan, 0.75, np.nan, np.nan]), nan_ok=True
    )


@pytest.mark.parametrize("values", [[0.5, 0.5], [np.nan, np.nan]])
def test_values_without_a_range_can_be_sent(values: list[float]):
    """All gates alike, or none that is a number: nothing is divided by zero."""
    assert unpack(pack(np.array(values))) == pytest.approx(np.array(values), nan_ok=True)


def test_only_another_column_is_sent_to_sort_by(table: pd.DataFrame):
    """Values that sort themselves, and the index, need no keys: a third of what is sent would be
    said twice.
    """
    assert lay_out_gates(table, LIGHT, order="gate")["keys"] is None
    by_index = lay_out_gates(table, LIGHT, order="channel")
    assert (by_index["keys"], by_index["sorted"]) == (None, False)
    keys = lay_out_gates(table, LIGHT, order="squeeze")["keys"]
    assert unpack(keys) == pytest.approx(table["squeeze"].to_numpy(), abs=1e-3)


@pytest.mark.parametrize("value", ["gate", "squeeze"])
def test_rows_tell_mean_and_spread(table: pd.DataFrame, value: str):
    """Mean and population standard deviation, by NumPy in double precision."""
    for row, (label, path, *_) in zip(
        lay_out_gates(table, LIGHT, value=value)["rows"], BLOCKS, strict=True
    ):
        values = table.loc[table["path"] == path, value].to_numpy(dtype=np.float64)
        assert (row["block"], row["path"]) == (label, path)
        assert row["mean"] == pytest.approx(values.mean(), abs=1e-6)
        assert row["spread"] == pytest.approx(
            np.sqrt(((values - values.mean()) ** 2).mean()), rel=1e-5
        )


def test_every_stage_has_a_line_of_its_own_above_its_rows(table: pd.DataFrame):
    """No heading lies on a row, and none is missing."""
    data = lay_out_gates(table, LIGHT)
    places = [row["place"] for row in data["rows"]]
    headings = [stage["place"] for stage in data["stages"]]
    assert sorted(places + headings) == list(range(1, 6))
    assert [stage["words"][1] for stage in data["stages"]] == [
        "2 blocks of 64 channels",
        "1 block of 128 channels",
    ]


def test_gates_keep_one_scale_and_squeezes_are_symmetric(table: pd.DataFrame):
    """0 to 1 with a rule at 0.5, the sigmoid of 0; signed values of all blocks share a range about
    0.
    """
    gates = lay_out_gates(table, LIGHT)
    assert (gates["span"], gates["texts"], gates["means"]["rule"]) == (
        [0.0, 1.0],
        ["0", "0.5", "1"],
        0.5,
    )
    squeezes = lay_out_gates(table, LIGHT, value="squeeze")
    low, high = squeezes["span"]
    assert (low, squeezes["means"]["rule"]) == (-high, 0.0)
    own = lay_out_gates(table, LIGHT, gates=Span(-1.0, 1.0))
    assert (own["span"], own["means"]["ticks"]) == ([-1.0, 1.0], [-1.0, 0.0, 1.0])


def test_the_axis_of_means_holds_every_spread_and_has_round_ticks(table: pd.DataFrame):
    """Two to four ticks, each a multiple of 1, 2 or 5 times a power of ten, within the axis."""
    for factor in (0.003, 1.0, 700.0):
        scaled = table.assign(squeeze=table["squeeze"] * factor)
        data = lay_out_gates(scaled, LIGHT, value="squeeze")
        low, high = data["means"]["ends"]
        ticks = data["means"]["ticks"]
        assert all(low <= row["mean"] - row["spread"] for row in data["rows"])
        assert all(row["mean"] + row["spread"] <= high for row in data["rows"])
        assert 2 <= len(ticks) <= 4
        assert all(low <= tick <= high for tick in ticks)
        step = ticks[1] - ticks[0]
        assert float(f"{step:.0e}") == pytest.approx(step)
        assert f"{step:.0e}"[0] in "125"


def test_squeezes_of_zero_are_said_to_be_zero(table: pd.DataFrame):
    """They have no range of their own, and ticks of a made-up one would be wrong."""
    data = lay_out_gates(table.assign(squeeze=0.0), LIGHT, value="squeeze")
    assert data["texts"] == ["0 everywhere"]
