"""Work over many images: passes hold several, and Ctrl-C keeps what is done."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from se_viz.__main__ import main
from se_viz.commands import images, progress, questions
from se_viz.commands.progress import Work, end, whole, work_on
from se_viz.images.reading import list_samples

pytestmark = pytest.mark.slow

SAMPLES = [str(sample.path) for sample in list_samples()]


@pytest.fixture
def run(network_folder: Path) -> Callable[..., int]:
    """Run a command on the small network."""
    options = ["--checkpoints", str(network_folder), "--device", "cpu"]
    return lambda *words: main([*map(str, words), *options])


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, at: int) -> None:
    """Press Ctrl-C while a function of a module runs for the n-th time."""
    function = getattr(module, name)
    calls = 0

    def press(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, press)


def test_several_images_a_pass_have_the_values_of_each_alone(run, tmp_path):
    """A batch only changes the order of additions: 1e-5 is a hundred roundings of a float32."""
    tables = {}
    for batch in (1, 4):
        out = tmp_path / f"{batch}.parquet"
        assert run("gates", *SAMPLES, "--batch", batch, "--out", out) == 0
        tables[batch] = pd.read_parquet(out)
    keys = ["image", "block", "path", "stage", "channel"]
    pd.testing.assert_frame_equal(tables[1][keys], tables[4][keys])
    for column in ("squeeze", "gate"):
        np.testing.assert_allclose(tables[4][column], tables[1][column], rtol=1e-5, atol=1e-5)


def test_a_broken_image_in_a_batch_costs_no_other(run, tmp_path, capsys):
    """It never reaches the pass; the others come in the order of their names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, path in enumerate(SAMPLES):
        shutil.copy(path, folder / f"{number}.jpg")
    (folder / "2.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "4.jpg").write_bytes(b"")
    out = tmp_path / "gates.csv"
    assert run("gates", folder, "--batch", 3, "--out", out) == 1
    names = [Path(name).name for name in pd.read_csv(out)["image"].unique()]
    assert names == ["0.jpg", "1.jpg", "3.jpg", "5.jpg"]
    first, second, last = capsys.readouterr().err.splitlines()
    assert "2.jpg: The image file is damaged" in first
    assert "4.jpg: The file is empty" in second
    assert last == "se_viz: 2 of 6 were left out; the reason of each is above."


def test_ctrl_c_keeps_the_gates_of_the_images_that_are_done(run, tmp_path, monkeypatch, capsys):
    """An hour of work is not thrown away; the exit code is that of a program that Ctrl-C ended."""
    out = tmp_path / "gates.csv"
    out.write_text("old")
    interrupt(monkeypatch, images, "analyse_together", at=3)
    assert run("gates", *SAMPLES, "--batch", 2, "--out", out) == 130
    assert pd.read_csv(out)["image"].unique().tolist() == SAMPLES[:4]
    err = capsys.readouterr().err
    assert err == "se_viz: Stopped after 4 of 6 images; gates.csv holds these.\n"
    assert not list(tmp_path.glob("*.part"))


def test_ctrl_c_before_the_first_image_leaves_an_older_table(run, tmp_path, monkeypatch, capsys):
    """There is nothing to put in its place."""
    out = tmp_path / "gates.csv"
    out.write_text("old")
    interrupt(monkeypatch, images, "analyse_together", at=1)
    assert run("gates", *SAMPLES, "--out", out) == 130
    assert out.read_text() == "old"
    assert capsys.readouterr().err.startswith("se_viz: Stopped.")


def test_ctrl_c_keeps_the_health_of_the_images_that_are_done(run, tmp_path, monkeypatch, capsys):
    """The numbers say of how many images they are."""
    out = tmp_path / "health.csv"
    interrupt(monkeypatch, images, "analyse_together", at=2)
    assert run("health", *SAMPLES, "--batch", 3, "--out", out) == 130
    assert set(pd.read_csv(out)["images"]) == {3}
    assert (
        capsys.readouterr().err
        == "se_viz: Stopped after 3 of 6 images; the numbers are of these.\n"
    )


def test_ctrl_c_keeps_the_counterfactuals_that_are_done(run, tmp_path, monkeypatch, capsys):
    """Each image's rows are whole."""
    out = tmp_path / "table.csv"
    interrupt(monkeypatch, questions, "survey_image", at=2)
    words = ["--kinds", "ones", "--scope", "network", "--out", out]
    assert run("counterfactuals", *SAMPLES[:3], *words) == 130
    assert pd.read_csv(out)["image"].unique().tolist() == SAMPLES[:1]
    assert "Stopped after 1 of 3 images; the numbers are of these." in capsys.readouterr().err


def test_ctrl_c_keeps_the_scores_that_are_done(run, tmp_path, monkeypatch, capsys):
    """Also the summary is of what is done."""
    from se_viz.attribution import scores as library

    out = tmp_path / "scores.csv"
    interrupt(monkeypatch, library, "survey_scores", at=2)
    assert run("score", *SAMPLES[:2], "--methods", "saliency", "--out", out) == 130
    assert pd.read_csv(out)["image"].unique().tolist() == SAMPLES[:1]
    assert "Stopped after 1 of 2 images; the scores are of these." in capsys.readouterr().err


def test_ctrl_c_waits_for_what_is_written():
    """Half a row in a table would be worse than none."""
    steps = []

    def write() -> None:
        with whole():
            steps.append("begun")
            signal.raise_signal(signal.SIGINT)
            steps.append("ended")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert steps == ["begun", "ended"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("done", "left_out", "missing", "code", "sentence"),
    [
        (3, 0, 0, 0, ""),
        (2, 1, 0, 1, ""),
        (3, 0, 1, 1, ""),
        (1, 2, 1, 1, "3 of 4 were left out; the reason of each is above."),
        (0, 3, 0, 2, ""),
    ],
)
def test_the_exit_status_tells_what_was_left_out(
    capsys: pytest.CaptureFixture[str],
    done: int,
    left_out: int,
    missing: int,
    code: int,
    sentence: str,
):
    """Scripts go by it: 0 all, 1 some, 2 none."""
    with work_on(range(3)) as work:
        for _ in range(done):
            work.finish()
        for number in range(left_out):
            work.leave_out(Path(f"{number}.jpg"), ValueError("broken"))
    capsys.readouterr()
    assert end(work, missing) == code
    assert capsys.readouterr().err == (f"se_viz: {sentence}\n" if sentence else "")


def test_where_no_bar_can_be_drawn_long_work_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A log of a batch system has no terminal; short work leaves nothing in it."""
    work = Work(4)
    work.finish(2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_QUIET", 0.0)
    work.finish()
    assert capsys.readouterr().err.startswith("se_viz: 3 of 4 images, about 0 s to go")


def test_json_of_stopped_work_is_a_whole_list(run, tmp_path, monkeypatch):
    """A list without its last bracket could not be read."""
    out = tmp_path / "gates.json"
    interrupt(monkeypatch, images, "analyse_together", at=2)
    assert run("gates", *SAMPLES, "--batch", 1, "--out", out) == 130
    assert {row["image"] for row in json.loads(out.read_text())} == {SAMPLES[0]}
