"""Runs of `train --all`: read from their file, and compared with an interval that is wide
enough.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from se_viz.errors import DataError
from se_viz.experiments import (
    GATES_FILE,
    RUNS_FILE,
    TIMES_FILE,
    TrainedRun,
    compare_variants,
    pack_flags,
    read_gates,
    read_runs,
    read_times,
    tabulate_runs,
    unpack_flags,
)

DICE = np.random.default_rng(0)


def run_of(variant: str, seed: int, right: np.ndarray) -> TrainedRun:
    """Return a run that is right about some images."""
    return TrainedRun(
        name=f"vgg_{variant}_{seed}",
        family="vgg",
        title="VGG",
        variant=variant,  # pyright: ignore[reportArgumentType]
        seed=seed,
        parameters=1000,
        flops=2000,
        right=right,
        curve=(0.5, float(right.mean())),
        steps=20,
        seconds=3.0,
    )


@pytest.mark.parametrize("count", [1, 7, 8, 9, 3925])
def test_flags_survive_as_text(count: int):
    """Also those that fill no whole byte; another count is no such text."""
    flags = DICE.random(count) < 0.5
    assert np.array_equal(unpack_flags(pack_flags(flags), count), flags)
    with pytest.raises(ValueError, match="number of flags"):
        unpack_flags(pack_flags(flags), count + 8)


def test_the_interval_is_the_formula_by_loops():
    """Variances of the means of seeds and of images, added; Satterthwaite's degrees of freedom."""
    one, other = (DICE.random((2, 3, 40)) < [[[0.7]], [[0.6]]]).astype(bool)
    runs = [
        run_of(variant, seed, flags[seed])
        for variant, flags in (("se", one), ("plain", other))
        for seed in range(3)
    ]
    difference = compare_variants(runs, "vgg", "se", "plain")
    assert difference
    seeds = [
        sum(int(a) - int(b) for a, b in zip(one[seed], other[seed], strict=True)) / 40
        for seed in range(3)
    ]
    images = [
        sum(int(one[seed][image]) - int(other[seed][image]) for seed in range(3)) / 3
        for image in range(40)
    ]
    parts = [np.var(seeds, ddof=1) / 3, np.var(images, ddof=1) / 40]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 39)
    reach = stats.t(freedom).ppf(0.975) * np.sqrt(sum(parts))
    assert difference.mean == pytest.approx(np.mean(seeds))
    assert difference.low == pytest.approx(np.mean(seeds) - reach)
    assert difference.high == pytest.approx(np.mean(seeds) + reach)
    assert difference.seeds == 3


def test_one_seed_is_students_paired_test():
    """With one pair of runs the images alone tell."""
    one, other = DICE.random(60) < 0.8, DICE.random(60) < 0.5
    difference = compare_variants(
        [run_of("se", 1, one), run_of("wide", 1, other)], "vgg", "se", "wide"
    )
    interval = stats.ttest_rel(one.astype(float), other.astype(float)).confidence_interval(0.95)
    assert difference
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))
    assert difference.sign == 1


def test_only_seeds_that_both_have_are_compared():
    """A run without its twin counts for nothing, and other families do not either."""
    flags = DICE.random((4, 30)) < 0.5
    runs = [run_of("se", 0, flags[0]), run_of("se", 1, flags[1]), run_of("plain", 1, flags[2])]
    difference = compare_variants(runs, "vgg", "se", "plain")
    assert difference
    assert difference.seeds == 1
    assert difference.mean == pytest.approx(flags[1].mean() - flags[2].mean())
    assert compare_variants(runs, "vgg", "se", "wide") is None
    assert compare_variants(runs, "resnet", "se", "plain") is None


def test_equal_networks_do_not_differ():
    flags = DICE.random(30) < 0.5
    runs = [run_of(variant, seed, flags) for variant in ("se", "plain") for seed in (0, 1)]
    difference = compare_variants(runs, "vgg", "se", "plain")
    assert difference
    assert (difference.mean, difference.low, difference.high, difference.sign) == (0, 0, 0, 0)


@pytest.mark.slow
def test_networks_that_differ_by_chance_alone_are_seldom_told_apart():
    """Seeds that make networks better or worse, and images that are hard for all: of 400 draws
    without any difference, fewer than 5 % and some (binomial) are called one.
    """
    called = 0
    for _ in range(400):
        hard = DICE.normal(0, 1.5, 300)
        runs = [
            run_of(variant, seed, hard + DICE.normal(0, 0.2) + DICE.logistic(size=300) > -1)
            for variant in ("se", "plain")
            for seed in range(3)
        ]
        difference = compare_variants(runs, "vgg", "se", "plain")
        assert difference
        called += bool(difference.sign)
    assert called <= stats.binom(400, 0.05).ppf(0.999)


def write(folder: Path, **changes: object) -> None:
    """Write a line for one run."""
    flags = DICE.random(12) < 0.5
    row = {
        "name": "vgg_se_0",
        "family": "vgg",
        "title": "VGG",
        "variant": "se",
        "seed": 0,
        "parameters": 10,
        "flops": 20,
        "steps": 6,
        "seconds": 1.5,
        "images": 12,
        "right": pack_flags(flags),
        "curve": [{"loss": 1.0, "top1": 0.25, "seconds": 1.0}],
    }
    (folder / RUNS_FILE).write_text(json.dumps({**row, **changes}) + "\n")


def test_what_is_written_is_read(tmp_path: Path):
    """A line a run; times and gates beside them, and none where there is no file."""
    assert read_runs(tmp_path) == ()
    assert read_times(tmp_path) == {}
    assert read_gates(tmp_path, "vgg_se_0").empty
    write(tmp_path)
    (run,) = read_runs(tmp_path)
    assert (run.title, run.curve, len(run.right)) == ("VGG", (0.25,), 12)
    (tmp_path / TIMES_FILE).write_text(json.dumps({"milliseconds": {"vgg_se": 2.5}}))
    table = tabulate_runs([run], read_times(tmp_path))
    assert table.loc[0, "milliseconds"] == 2.5
    assert table.loc[0, "top1"] == run.right.mean()
    rows = pd.DataFrame({"run": ["vgg_se_0", "vgg_se_1"], "mean": [0.5, 0.6]})
    rows.to_parquet(tmp_path / GATES_FILE)
    assert [*read_gates(tmp_path, "vgg_se_1")["mean"]] == [0.6]


@pytest.mark.parametrize(
    "changes", [{"right": "!"}, {"right": ""}, {"images": 99}, {"curve": None}, {"title": ...}]
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, changes: dict):
    """And no traceback: a page reads it."""
    write(tmp_path, **{name: value for name, value in changes.items() if value is not ...})
    if ... in changes.values():
        (tmp_path / RUNS_FILE).write_text("{}\n")
    with pytest.raises(DataError, match=r"runs\.jsonl is damaged\. Restore it\."):
        read_runs(tmp_path)
    (tmp_path / TIMES_FILE).write_text("[]")
    with pytest.raises(DataError, match=r"times\.json is damaged"):
        read_times(tmp_path)
    (tmp_path / GATES_FILE).write_text("no")
    with pytest.raises(DataError, match=r"gates\.parquet is damaged"):
        read_gates(tmp_path, "vgg_se_0")
