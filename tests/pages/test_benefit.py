"""The page *What SE buys*, run without a browser."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from se_viz.experiments import GATES_FILE, RUNS_FILE, TIMES_FILE, VARIANTS, pack_flags
from se_viz.networks import checkpoints
from se_viz.ui.benefit.measured import summarise
from se_viz.ui.benefit.paper import tabulate_paper
from tests import ROOT
from tests.experiments.test_trials import run_of

PAGE = ROOT / "pages" / "benefit.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the page reads, made for the test."""
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    (tmp_path / "trials").mkdir()
    return tmp_path / "trials"


def show() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=300).run()


def write(folder: Path) -> None:
    """Write two families with three seeds each, the second without its widened network."""
    dice = np.random.default_rng(0)
    lines = []
    for family, title in (("vgg", "VGG"), ("resnet", "ResNet")):
        for variant in VARIANTS if family == "vgg" else VARIANTS[:2]:
            for seed in range(3):
                right = dice.random(400) < (0.9 if (family, variant) == ("vgg", "se") else 0.6)
                lines.append(
                    {
                        "name": f"{family}_{variant}_{seed}",
                        "family": family,
                        "title": title,
                        "variant": variant,
                        "seed": seed,
                        "steps": 200,
                        "parameters": 10**6,
                        "flops": 10**8,
                        "seconds": 1.5,
                        "images": 400,
                        "right": pack_flags(right),
                        "curve": [{"top1": 0.3}, {"top1": float(right.mean())}],
                    }
                )
    (folder / RUNS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    gates = pd.DataFrame({"step": [0, 100] * 2, "block": ["SE_2_1"] * 2 + ["SE_5_1"] * 2})
    gates = gates.assign(stage=[2, 2, 5, 5], over_images=[0.0, 0.1, 0.0, 0.2], mean=0.5)
    gates = gates.assign(near_low=0.0, near_high=0.5, near_middle=0.1)
    pd.concat([gates.assign(run="vgg_se_0"), gates.assign(run="resnet_se_1")]).to_parquet(
        folder / GATES_FILE
    )


def test_the_bundled_runs_are_shown():
    """As they stand in the repository: a first sentence, both pictures, the paper's table, and
    gates over the epochs.
    """
    page = show()
    assert not page.exception
    assert not page.error
    assert page.markdown[0].value.startswith("**Our runs ")
    assert [heading.value for heading in page.subheader] == [
        "Accuracy against cost",
        "Twins compared",
        "What the paper reports",
        "Gates while training",
    ]
    assert len(page.get("plotly_chart")) == 3
    assert len(page.dataframe) == 1


def test_what_is_not_shown_stands_in_the_first_sentence(folder: Path):
    """VGG gains here, and ResNet does not; the caption counts the runs that are missing."""
    write(folder)
    page = show()
    words = page.markdown[0].value
    assert words.startswith("**Our runs show the paper's gain for VGG (+")
    assert " and do not show it for ResNet (" in words
    assert "3 seeds each. 15 of 36 runs have ended" in page.caption[0].value


def test_time_is_offered_where_it_was_measured(folder: Path):
    """And the picture is drawn of it."""
    write(folder)
    against = show().get("button_group")[0]
    assert [option.content for option in against.proto.options] == ["Parameters", "FLOPs"]
    times = {f"{family}_{variant}": 2.0 for family in ("vgg", "resnet") for variant in VARIANTS}
    (folder / TIMES_FILE).write_text(json.dumps({"milliseconds": times}))
    page = show()
    assert len(page.get("button_group")[0].proto.options) == 3
    page.session_state["benefit-cost"] = "milliseconds"
    assert not page.run().exception


def test_gates_of_a_run_without_them_are_a_sentence(folder: Path):
    """Older runs may have none."""
    write(folder)
    page = show()
    page.session_state["benefit-family"] = "resnet"
    page.run()
    assert not page.exception
    assert page.caption[-1].value == "The gates of this run were not written down."


def test_without_runs_there_are_words(folder: Path):
    """An installation may lack them; the paper's numbers stand all the same."""
    page = show()
    assert not page.exception
    assert page.markdown[0].value == "**No pair of networks has been trained yet.**"
    assert len(page.dataframe) == 1
    (folder / RUNS_FILE).write_text("{")
    page = show()
    assert not page.exception
    assert [error.value for error in page.error] == ["runs.jsonl is damaged. Restore it."]


FLAGS = {"better": 0.9, "same": 0.6, "worse": 0.3}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("better", r"^Our runs show the paper's gain for VGG \(\+"),
        ("same", r"^Our runs do not show the paper's gain for VGG \("),
        ("worse", r"^Our runs show a loss for VGG \(-"),
    ],
)
def test_the_first_sentence_says_what_was_found(kind: str, words: str):
    """Better, open, worse."""
    dice = np.random.default_rng(1)
    runs = [
        run_of(variant, seed, dice.random(500) < share)
        for variant, share in (("plain", 0.6), ("se", FLAGS[kind]))
        for seed in range(3)
    ]
    text = summarise(runs)
    assert re.search(words, text)


def test_the_papers_gains():
    """Table 2's errors: the difference that the text of the paper names, 1.51 points."""
    table = tabulate_paper().set_index("network")
    assert table.loc["ResNet-50", "gain"] == pytest.approx(1.51)
    assert np.all(table["gain"] > 0.5)
    assert np.all(table["top5"] > table["se_top5"])
