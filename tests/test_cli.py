"""The command line does what the library does, and says in one sentence what it cannot do."""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from se_viz import __version__
from se_viz.__main__ import main
from se_viz.commands import images
from se_viz.commands.inputs import find_class
from se_viz.errors import AttributionError, DataError
from se_viz.gates import GateRecord, capture_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, catalogue
from se_viz.networks.architectures import build
from se_viz.networks.zoo import find_card
from se_viz.train.options import add_options, recipe_of
from se_viz.train.recipe import Recipe
from tests import ROOT
from tests.support.loopback import run_hub

pytestmark = pytest.mark.slow

CAT, COFFEE = (str(sample.path) for sample in list_samples()[:2])


@pytest.fixture
def gates(network_folder: Path) -> Callable[..., int]:
    """Run the command on the small network; words come before its options."""
    return lambda *words: main(
        ["gates", *map(str, words), "--checkpoints", str(network_folder), "--device", "cpu"]
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that downloads go to."""
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def health(network_folder: Path) -> Callable[..., int]:
    """Run the command on the small network."""
    return lambda *words: main(
        ["health", *map(str, words), "--checkpoints", str(network_folder), "--device", "cpu"]
    )


def captured(network: Network, path: str) -> list[GateRecord]:
    """What the library captures: one pass of one image."""
    with torch.inference_mode(), capture_gates(network.model) as records:
        network.model(network.preprocess(open_image(path)))
    return records


def read(path: Path) -> pd.DataFrame:
    """Read a table with the usual tool for its kind."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return pd.DataFrame({name: arrays[name] for name in arrays})
    if path.suffix == ".json":
        return pd.DataFrame(json.loads(path.read_text()))
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json", ".npz"])
def test_written_gates_are_the_captured_ones_to_the_bit(gates, network, tmp_path, suffix):
    """A number in a paper must not depend on the kind of file; every float32 comes back as it
    was.
    """
    out = tmp_path / f"gates{suffix}"
    # One a pass: several may differ in the last digits.
    assert gates(CAT, COFFEE, "--batch", 1, "--out", out) == 0
    table = read(out)
    records = {path: captured(network, path) for path in (CAT, COFFEE)}
    assert list(table) == ["image", "block", "path", "stage", "channel", "squeeze", "gate"]
    assert len(table) == 2 * sum(record.gate.shape[1] for record in records[CAT])
    for path, captures in records.items():
        rows = table[table["image"] == path]
        for column in ("squeeze", "gate"):
            expected = torch.cat([getattr(record, column)[0] for record in captures]).numpy()
            np.testing.assert_array_equal(np.asarray(rows[column], np.float32), expected)
        assert rows["path"].tolist() == [
            record.block for record in captures for _ in record.gate[0]
        ]
        assert rows["channel"].tolist() == [
            index for record in captures for index in range(len(record.gate[0]))
        ]
    assert table["block"].unique().tolist()[:4] == ["SE_2_1", "SE_2_2", "SE_2_3", "SE_3_1"]


def test_without_a_file_each_block_is_summed_up_on_the_screen(gates, network, capsys):
    """The answer, and one line for each of the 16 blocks."""
    assert gates(CAT) == 0
    first, header, *blocks = capsys.readouterr().out.splitlines()
    with torch.inference_mode():
        best = network.model(network.preprocess(open_image(CAT))).argmax().item()
    assert first.startswith(f"{CAT}: {network.classes[int(best)]} ")
    assert header.split()[:5] == ["block", "path", "stage", "channels", "mean"]
    assert [line.split()[0] for line in blocks] == [
        f"SE_{stage}_{place}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for place in range(1, count + 1)
    ]


def test_a_broken_image_is_left_out_and_the_others_are_written(gates, tmp_path, capsys):
    """One bad file in a folder of a thousand must not cost the rest; the exit code still tells
    scripts.
    """
    broken = tmp_path / "broken.jpg"
    out = tmp_path / "gates.csv"
    broken.write_bytes(Path(CAT).read_bytes()[:1000])
    assert gates(CAT, broken, COFFEE, "--out", out) == 1
    assert read(out)["image"].unique().tolist() == [CAT, COFFEE]
    assert capsys.readouterr().err == (
        f"se_viz: {broken}: The image file is damaged or cut short. Export or download it again.\n"
    )


def test_a_folder_and_a_pattern_stand_for_their_images(gates, tmp_path, capsys):
    """Windows' shells leave the star to the program; a file that really has one in its name is
    that file.
    """
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("b.jpg", "deep/a.JPG", "notes.txt", "._b.jpg"):
        (tmp_path / "photos" / name).write_bytes(Path(CAT).read_bytes())
    (tmp_path / "c[1]*.jpg").write_bytes(Path(COFFEE).read_bytes())
    out = tmp_path / "gates.parquet"
    assert (
        gates(tmp_path / "photos", tmp_path / "c[1]*.jpg", tmp_path / "p*" / "?.jpg", "--out", out)
        == 0
    )
    assert [Path(name).name for name in read(out)["image"].unique()] == [
        "b.jpg",
        "a.JPG",
        "c[1]*.jpg",
    ]
    assert gates(CAT, tmp_path / "*.png") == 1
    assert f"se_viz: No file fits {tmp_path}/*.png." in capsys.readouterr().err


def test_what_cannot_be_an_image_is_told_and_the_rest_is_written(gates, tmp_path, capsys):
    """A pipe would wait for ever, a folder may be empty, a name may be no UTF-8: nothing of it
    costs the others.
    """
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty").mkdir()
    latin = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    latin.write_bytes(Path(CAT).read_bytes())
    out = tmp_path / "gates.csv"
    assert gates(tmp_path / "pipe.jpg", "/dev/zero", latin, tmp_path / "empty", "--out", out) == 1
    assert read(out)["image"].unique().tolist() == [f"{tmp_path}/caf\\xe9.jpg"]
    err = capsys.readouterr().err
    assert "pipe.jpg cannot be read: it is a pipe, which may never end." in err
    assert "/dev/zero cannot be read: it is a device" in err
    assert f"{tmp_path / 'empty'} holds no image" in err
    assert "3 of 4 were left out" in err


def test_a_table_is_the_older_or_the_new_one(gates, tmp_path, monkeypatch, capsys):
    """A signal in the middle of a long run, and a disk that is full at its end, leave last week's
    table.
    """
    out = tmp_path / "gates.csv"
    out.write_text("old")
    capture = images.analyse_together

    def end(network: Network, squares: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return capture(network, squares, **options)

    monkeypatch.setattr(images, "analyse_together", end)
    assert gates(CAT, "--out", out) == 143
    assert capsys.readouterr().err == (
        "se_viz: Stopped. Files that were to be written are as they were; start it again for the "
        "rest.\n"
    )
    monkeypatch.setattr(images, "analyse_together", capture)
    for suffix in (".csv", ".parquet", ".json", ".npz"):
        out = tmp_path / f"gates{suffix}"
        out.write_text("old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            assert gates(CAT, "--out", out) == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (
            f"{out} cannot be written: File too large. Make room or name another file."
            in capsys.readouterr().err
        )
        assert out.read_text() == "old"
    assert not list(tmp_path.glob("*.part"))


def test_a_file_made_in_memory_is_refused_before_it_is_too_large(network, tmp_path):
    """10,000 images of a small network have 37 million gates; streamed kinds of files have no
    bound.
    """
    out = tmp_path / "gates.npz"
    many = [Path(CAT)] * 10_000
    with pytest.raises(
        DataError,
        match=r"10000 images have .* gates, and an \.npz file.* Write a \.parquet or \.csv",
    ):
        images._check_rows(network, many, out)
    images._check_rows(network, many, out.with_suffix(".csv"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["gates", CAT, "--architecture", "timm/seresnet50"],
            "--architecture belongs to a file of your own weights",
        ),
        (["health", "--labels", "l.txt"], "--labels belongs to a file of your own weights"),
        (
            ["score", "--weights", "w.pt", "--network", "tiny"],
            "--network and --weights name two networks.",
        ),
        (
            ["gates", CAT, "--weights", "w.pt", "--checkpoints", "c"],
            "--checkpoints is where --network is looked for",
        ),
        (["methods", "--device", "cpu"], "--device has no effect here: without a network"),
        (["methods", "--checkpoints", "c"], "--checkpoints has no effect here: without a network"),
        (["counterfactuals", "--kinds", "mean", "--seed", "3"], "--seed applies to shuffles alone"),
        (
            ["counterfactuals", "--kinds", "ones", "--repeats", "3"],
            "--repeats applies to shuffles alone",
        ),
        (
            ["counterfactuals", "--kinds", "ones", "--lenders", "3"],
            "--lenders applies to the gates of other images",
        ),
        (["train", "--epochs", "1", "--sizes", "64", "96"], "--sizes names 2 sizes for 1 epochs"),
        (
            ["train", "--smoothing", "2"],
            "--smoothing 2 is out of its range. Give a number from 0 to 1.",
        ),
    ],
)
def test_an_option_that_would_count_for_nothing_is_refused(capsys, words, sentence):
    """The answer of another network than one meant looks like any other answer."""
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["gates", CAT, "--network", "a", "--network", "b"],
            "argument --network: it is given twice.",
        ),
        (["gates", CAT, "--network", ""], "argument --network: it is empty."),
        (["gates", ""], "it is empty. Give a path"),
        (["score", "--seed", "-1"], "-1 is no whole number from 0 to 4294967295"),
        (["train", "--name", "../bundled"], "'../bundled' is no name of letters, digits"),
        (["train", "--rate", "nan"], "nan is no number"),
        (["train", "--workers", "-1"], "-1 is no whole number from 0 on"),
    ],
)
def test_a_word_that_would_stand_for_another_is_refused(capsys, words, message):
    """An unset variable of a shell is an empty word: it must not mean the default, or the folder
    one is in.
    """
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "words", "index", "note"),
    [
        (("1", "10", "2"), "10", 1, ""),
        (("1", "10", "2"), "2", 2, ""),
        (
            ("1", "10", "2"),
            "1",
            0,
            "1 is taken for the class of that name, number 0. Class number 1 is '10'",
        ),
        (("1", "10", "2"), "0", 0, ""),
        (("crane", "Crane", "ant"), "Crane", 1, ""),
        (("ant", "bee", "cat"), "BEE", 1, ""),
        (("ant", "bee", "cat"), "2", 2, ""),
    ],
)
def test_a_class_is_found_by_its_name_first(network, capsys, classes, words, index, note):
    """Names that are numbers are sorted as text, so that class 10 is rarely number 10; what was
    taken is said.
    """
    object.__setattr__(network, "card", replace(network.card, classes=classes))
    assert find_class(network, words) == index
    assert capsys.readouterr().err.startswith(f"se_viz: {note}" if note else "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("crane", r"2 classes of .* are named 'crane': 0, 2\. Give one of these numbers\."),
        ("001", r"has no class '001'\. Try: 001\.Albatross\."),
        ("7", r"has no class '7'\. Try: "),
        ("albatros", r"has no class 'albatros'\. Try: 001\.Albatross\."),
    ],
)
def test_a_class_that_could_be_another_is_asked_back(network, words, sentence):
    """ImageNet has two cranes, and 001 is the beginning of a name rather than the number 1."""
    object.__setattr__(
        network, "card", replace(network.card, classes=("crane", "001.Albatross", "crane"))
    )
    with pytest.raises(AttributionError, match=sentence):
        find_class(network, words)


def test_without_any_usable_image_nothing_is_written(gates, tmp_path, capsys):
    """An empty table would look like a result."""
    out = tmp_path / "gates.csv"
    assert gates(tmp_path / "missing.png", "--out", out) == 2
    assert not out.exists()
    assert "There is no file" in capsys.readouterr().err


def test_an_image_named_twice_is_counted_once(gates, tmp_path):
    """Shell patterns overlap, and the rows of one image must not be mixed up with a second set."""
    out = tmp_path / "gates.parquet"
    assert gates(CAT, CAT, "--out", out) == 0
    assert not read(out).duplicated(["image", "path", "channel"]).any()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "gates.xlsx",
            "gates.xlsx ends in none of .csv, .parquet, .json, .npz. Name the file with one of "
            "these.",
        ),
        ("nowhere/gates.csv", "nowhere. Create it or name another one."),
    ],
)
def test_a_bad_target_is_said_before_any_work(gates, tmp_path, capsys, name, sentence):
    """A slip in the last word must not show after an hour: even the unknown network comes later."""
    assert gates("missing.png", "--network", "unknown", "--out", tmp_path / name) == 2
    error = capsys.readouterr().err
    assert error.startswith("se_viz: ")
    assert error.endswith(f"{sentence}\n")
    assert "unknown" not in error


def test_a_target_that_cannot_be_written_is_said(gates, tmp_path, capsys):
    """A folder may have the name of a file, a disk may be full: no traceback."""
    (tmp_path / "gates.csv").mkdir()
    assert gates(CAT, "--out", tmp_path / "gates.csv") == 2
    assert "gates.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--network", "alexnet"], "There is no network 'alexnet'. Choose one of: tiny."),
        (["--device", "tpu"], "There is no device 'tpu' on this machine. Choose one of: "),
    ],
)
def test_unknown_networks_and_devices_are_named(network_folder, capsys, words, sentence):
    """The sentence lists what there is."""
    assert main(["gates", CAT, "--checkpoints", str(network_folder), *words]) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


@pytest.mark.parametrize("words", [["gates", CAT], ["networks"], ["evaluate"]])
def test_a_folder_without_networks_is_said(tmp_path, capsys, words):
    """A wrong --checkpoints would otherwise look like an empty answer."""
    assert main([*words, "--checkpoints", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(
        f"se_viz: There is no network in {tmp_path}. Train one, or name"
    )


def test_networks_are_listed_with_what_one_chooses_by(network_folder, capsys):
    """Name to type, size, work, SE blocks and their share, accuracy; what nobody has counted is a
    dash.
    """
    assert main(["networks", "--checkpoints", str(network_folder)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "name",
        "param.",
        "GFLOPs",
        "SE",
        "blocks",
        "SE",
        "adds",
        "top-1",
        "weights",
    ]
    assert line.split() == ["tiny", "1.65", "M", "-", "-", "-", "20.00%", "on", "this", "disk"]


def test_a_damaged_card_is_named_beside_the_networks(network_folder, capsys):
    """It may be what somebody looks for; the others are listed all the same."""
    (network_folder / "broken.json").write_text("{")
    assert main(["networks", "--checkpoints", str(network_folder)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("tiny ")
    assert err.startswith("se_viz: broken is left out: broken.json is no readable JSON")


def test_the_zoo_is_searched_by_a_part_of_a_name(cache, capsys):
    """SE-ResNet-50 adds 2,530,992 values to the 25,557,032 of ResNet-50, 9.9 %; its file is four
    bytes a value.
    """
    assert main(["networks", "legacy_SEresnet50."]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split() == [
        "timm/legacy_seresnet50.in1k",
        "28.09",
        "M",
        "3.86",
        "16",
        "9.9%",
        "-",
        "112",
        "MB",
    ]
    assert main(["networks", "torchvision/efficientnet_b?"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        f"torchvision/efficientnet_b{index}" for index in range(8)
    ]


def test_a_pattern_that_fits_nothing_is_said(cache, capsys):
    """An empty table would look like a mistake of the program."""
    assert main(["networks", "alexnet"]) == 2
    assert capsys.readouterr().err.startswith(
        "se_viz: No network's name holds 'alexnet'. Try a shorter part of it"
    )


def test_methods_are_listed_with_what_they_take(capsys):
    """Each that can be called, by the function to call; no network is loaded for it."""
    assert main(["methods"]) == 0
    words = capsys.readouterr().out
    assert re.search(
        r"^  integrated_gradients +34 +32  gradients on the way from a baseline$",
        words,
        re.MULTILINE,
    )
    assert re.search(
        r"^  guided_grad_cam +2 +2  a backward pass .*; needs stage, relu$", words, re.MULTILINE
    )
    assert [line.split("`")[1] for line in words.splitlines() if line.endswith("`")] == [
        "attribute",
        "attribute_layer",
        "attribute_gates",
        "attribute_neuron",
    ]


def test_methods_of_a_network_are_judged_there(network_folder, tmp_path, capsys):
    """What is said on the page, once for all methods that it is said of; and a file for the
    table.
    """
    target = tmp_path / "methods.csv"
    words = [
        "methods",
        "--network",
        "tiny",
        "--checkpoints",
        str(network_folder),
        "--device",
        "cpu",
        "--out",
        str(target),
    ]
    assert main(words) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "A pass uses 33 ReLU modules 65 times: the method needs a module for each" in output
    assert "lrp: does not run here. LRP" in output
    table = pd.read_csv(target)
    # 64 pixels hold 3 x 3 squares of 32, 16 apart; and the photo itself.
    assert table.set_index(["explains", "method"]).loc[("image", "occlusion"), "forward"] == 10


def test_the_cache_is_shown_and_emptied(cache, capsys):
    """Where it is, what it takes, what is in it; emptied, the network has to be fetched again."""
    weights = cache / "torch" / Path(find_card("torchvision/mobilenet_v3_small").source).name
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(3_000_000))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{cache}: 3 MB of downloads (`python -m se_viz cache --empty` deletes them)",
        "  torchvision/mobilenet_v3_small",
    ]
    assert main(["cache", "--empty"]) == 0
    assert capsys.readouterr().out == f"3 MB were deleted from {cache}\n"
    assert not weights.exists()


def test_a_network_that_is_not_on_the_disk_is_not_fetched_unasked(cache, capsys):
    """A name alone must not spend a hundred megabytes; the sentence is the command to type."""
    assert main(["gates", CAT, "--network", "torchvision/efficientnet_b0"]) == 2
    assert "`python -m se_viz download torchvision/efficientnet_b0`" in capsys.readouterr().err


def test_a_download_says_how_far_it_is_and_what_came(cache, tmp_path, monkeypatch, capsys):
    """One line that counts, then where the file is; the second time nothing is asked for."""
    table = tmp_path / "table.csv"
    name = "torchvision/mobilenet_v3_small"
    with run_hub() as hub:
        address = hub.serve_file("small", bytes(1_500_000))
        rows = catalogue.TABLE.read_text(encoding="utf-8").replace(find_card(name).source, address)
        table.write_text(rows, encoding="utf-8")
        monkeypatch.setattr(catalogue, "TABLE", table)
        assert main(["download", name]) == 0
        assert (
            capsys.readouterr().out.split("\r")[-1]
            == f"{name} is on this disk now: 2 MB in {cache}\n"
        )
        assert main(["download", name]) == 0
        assert capsys.readouterr().out == f"{name} is on this disk already.\n"
        assert len(hub.requests) == 1


def test_gates_of_ones_own_weights(cache, tmp_path, capsys):
    """Fine-tuned weights of three classes, with their names: the answer is one of them, of nine SE
    blocks.
    """
    architecture = "torchvision/mobilenet_v3_small"
    weights = tmp_path / "mine.pt"
    labels = tmp_path / "labels.txt"
    torch.save(build(find_card(architecture), num_classes=3).state_dict(), weights)
    labels.write_text("ant\nbee\ncat\n")
    words = ["gates", CAT, "--weights", str(weights), "--device", "cpu"]
    assert main([*words, "--architecture", architecture, "--labels", str(labels)]) == 0
    first, _, *blocks = capsys.readouterr().out.splitlines()
    assert first.removeprefix(f"{CAT}: ").split()[0] in ("ant", "bee", "cat")
    assert len(blocks) == 9
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(
        "se_viz: --weights alone does not say what they are for."
    )


def test_info_is_what_a_bug_report_needs(network_folder, capsys):
    """Versions of everything that can be at fault, the devices with the reason, the networks."""
    assert main(["info", "--checkpoints", str(network_folder)]) == 0
    output = capsys.readouterr().out
    for package in ("torch", "torchvision", "captum", "streamlit", "plotly"):
        assert f"{package} " in output
    assert f"se_viz {__version__}, Python {sys.version.split()[0]}" in output
    assert torch.__version__.split("+")[0] in output
    assert "devices: " in output
    assert "networks: 1; on this disk:" in output
    assert "tiny" in output


def test_the_bundled_networks_are_the_default(capsys):
    """Without --checkpoints the commands use what comes with se_viz."""
    assert main(["networks"]) == 0
    assert "se_resnet50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["paint"], "invalid choice: 'paint'"),
        (["gates"], "the following arguments are required: IMAGE"),
        (["train", "--epochs", "0"], "argument --epochs: 0 is no whole number from 1 on"),
        (["train", "--sizes", "32", "x"], "argument --sizes: x is no whole number from 1 on"),
    ],
)
def test_wrong_words_are_answered_with_the_usage(capsys, words, message):
    """The usual behaviour of commands: exit code 2, usage and reason on the error stream."""
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in capsys.readouterr().err


def test_training_without_options_is_the_recipe():
    """The defaults stand once, in the recipe; the options only show them."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert recipe_of(parser.parse_args([])) == Recipe()
    recipe = recipe_of(
        parser.parse_args(["--sizes", "64", "96", "--gate-rate", "0.1", "--mixup", "0"])
    )
    assert (recipe.sizes, recipe.gate_rate, recipe.mixup) == ((64, 96), 0.1, 0.0)


IMPORTED = """
import sys
from se_viz.__main__ import main
try:
    main(["train", "--help"])
except SystemExit:
    pass
early = {"torch", "pandas"} & set(sys.modules)
from se_viz.networks import list_networks
listed = len(list_networks())
code = main(sys.argv[1:])
unused = {"captum", "plotly", "streamlit", "se_viz.train.data", "timm", "huggingface_hub"}
print(sorted(early), listed > 100, sorted(unused & set(sys.modules)), code)
"""


def test_help_networks_and_gates_import_only_what_they_use(network_folder, tmp_path):
    """PyTorch takes a second and timm as much: help comes before the one, listing without the
    other.
    """
    words = [
        "gates",
        CAT,
        "--out",
        str(tmp_path / "gates.csv"),
        "--checkpoints",
        str(network_folder),
    ]
    command = [sys.executable, "-c", IMPORTED, *words]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[] True [] 0"


def test_the_package_runs_as_a_command():
    """`python -m se_viz` is what the README says."""
    process = subprocess.run(
        [sys.executable, "-m", "se_viz", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (process.returncode, process.stdout.strip()) == (0, __version__)


def test_health_says_a_sentence_for_the_network_and_one_for_each_block(health, capsys):
    """Without an image the six samples are looked at; blocks come in forward order."""
    assert health() == 0
    first, *blocks = capsys.readouterr().out.splitlines()
    assert first.startswith("tiny, 6 images: ")
    assert [line.split(":")[0] for line in blocks] == [
        f"SE_{stage}_{place}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for place in range(1, count + 1)
    ]


def test_health_of_a_folder_is_that_of_its_images(health, network, tmp_path, capsys):
    """Files of other kinds lie beside photos; the mean in the table is that of the captured
    gates.
    """
    folder = tmp_path / "photos"
    out = tmp_path / "health.csv"
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    for path in (CAT, COFFEE):
        (folder / Path(path).name).write_bytes(Path(path).read_bytes())
    assert health(folder, "--out", out) == 0
    assert capsys.readouterr().out.endswith(f"16 blocks written to {out}\n")
    expected = [
        np.mean([cat.gate.double().mean(), coffee.gate.double().mean()])
        for cat, coffee in zip(captured(network, CAT), captured(network, COFFEE), strict=True)
    ]
    assert read(out)["mean"].tolist() == pytest.approx(expected)
    assert set(read(out)["images"]) == {2}


def test_health_leaves_out_what_cannot_be_read(health, tmp_path, capsys):
    """As for gates: the others count, the exit code tells, and nothing at all is an error."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    assert health(CAT, broken) == 1
    streams = capsys.readouterr()
    assert "1 image:" in streams.out
    assert str(broken) in streams.err
    assert health(broken) == 2


def test_health_moves_its_limits(health, capsys):
    """Everything is constant where a spread of 0.5, more than gates can have, still counts as
    none.
    """
    assert health(CAT, COFFEE, "--limit", "constant=0.5") == 0
    assert "Constant: all 16 blocks." in capsys.readouterr().out
    assert health(CAT, "--limit", "constant=0.1", "--limit", "constant=0.2") == 2
    assert capsys.readouterr().err == "se_viz: The limit constant is given twice. Give it once.\n"
    assert health(CAT, "--limit", "constant=nearly") == 2
    assert capsys.readouterr().err.startswith(
        "se_viz: 'nearly' is no number for the limit constant."
    )


def test_health_of_a_folder_without_images_is_said(health, tmp_path, capsys):
    """A wrong folder is named before the network is loaded."""
    assert health(tmp_path) == 2
    assert f"{tmp_path} holds no image (jpg, jpeg, png" in capsys.readouterr().err
