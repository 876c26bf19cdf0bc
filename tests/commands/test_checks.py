"""What needs no network is answered without PyTorch, which takes seconds to import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from se_viz.__main__ import main
from se_viz.devices import ask_driver, available_devices, choose_device
from se_viz.devices import driver as driver_module
from se_viz.images.reading import list_samples
from se_viz.networks.labels import imagenet_classes
from tests import ROOT

CAT = str(list_samples()[0].path)

ANSWERED = {
    "--help": 0,
    "--version": 0,
    "gates --help": 0,
    "train --help": 0,
    "info": 0,
    "networks": 0,
    "networks seresnet": 0,
    "cache": 0,
    "paint": 2,
    "gates photo.jpg --colour red": 2,
    "gates missing.png": 2,
    "health missing.png": 2,
    "score nowhere/*.png": 2,
    "gates CAT --network alexnet": 2,
    "counterfactuals CAT --network alexnet": 2,
    "methods --network alexnet": 2,
    "evaluate --network alexnet": 2,
    "download alexnet": 2,
    "networks alexnet": 2,
    "gates CAT --network torchvision/efficientnet_b0": 2,
    "gates CAT --checkpoints nowhere": 2,
    "gates CAT --device tpu": 2,
    "score CAT --methods sailency": 2,
    "attribute CAT --out maps --method sailency": 2,
    "gates CAT --out gates.xlsx": 2,
    "gates CAT --weights missing.pt --architecture se_resnet50": 2,
    "gates CAT --weights CAT --architecture se_resnet50 --labels missing.txt": 2,
    "gates CAT --network nowhere.py:make": 2,
    "gates CAT --network nowhere.py": 2,
    "gates CAT --network CAT:make --weights missing.pt": 2,
    "gates CAT --config nowhere.toml": 2,
    "networks --config nowhere.toml": 2,
    "app --config nowhere.toml": 2,
    "app --network alexnet": 2,
    "app --network nowhere.py:make": 2,
    "evaluate --data nowhere": 2,
    "train --data nowhere": 2,
    "train --initial alexnet": 2,
}
"""Words, and the exit code that they have to have."""

RUN = """
import json, sys
from se_viz.__main__ import main

heavy = {"torch", "torchvision", "captum", "pandas", "plotly", "streamlit", "timm"}
for words in json.loads(sys.argv[1]):
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code or 0
    print("##" + json.dumps([code, sorted(heavy & sys.modules.keys())]))
"""


def test_what_needs_no_network_is_answered_without_pytorch(tmp_path: Path):
    """PyTorch alone takes several seconds: whoever mistypes a name should read of it at once."""
    commands = [line.replace("CAT", CAT).split() for line in ANSWERED]
    process = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SE_VIZ_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    lines = [line for line in process.stdout.splitlines() if line.startswith("##")]
    results = [json.loads(line[2:]) for line in lines]
    expected = [[code, []] for code in ANSWERED.values()]
    assert dict(zip(ANSWERED, results, strict=True)) == dict(zip(ANSWERED, expected, strict=True))


def test_the_driver_tells_the_devices_that_pytorch_finds():
    """`info` without --check must not send anybody to look for a device that is not there."""
    devices = ask_driver()
    assert devices.names == available_devices()
    assert devices.reason == choose_device().reason


@pytest.mark.parametrize(
    ("line", "major"),
    [
        ("cuda: Optional[str] = '13.0'", 13),
        ("cuda = '12.8'", 12),
        ("cuda: str | None = None", None),
    ],
)
def test_the_cuda_of_a_build_is_read_from_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, major: int | None
):
    """PyTorch writes it so since its first builds, with or without a type."""
    package = tmp_path / "torch" / "__init__.py"
    package.parent.mkdir()
    (package.parent / "version.py").write_text(f"__version__ = '2.14.1'\n{line}\nhip = None\n")
    spec = type("Spec", (), {"origin": str(package)})
    monkeypatch.setattr(driver_module, "find_spec", lambda name: spec)
    assert driver_module._cuda_of_build() == major


def test_the_cuda_of_this_build_is_the_one_that_pytorch_states():
    """The text that is read is PyTorch's own, and may change its form with a release."""
    version = torch.version.cuda
    assert driver_module._cuda_of_build() == (version and int(version.split(".")[0]))


def test_info_asks_pytorch_where_it_is_told_to(
    network_folder: Path, capsys: pytest.CaptureFixture[str]
):
    """The driver may promise what this build cannot use; PyTorch itself has the last word."""
    assert main(["info", "--checkpoints", str(network_folder)]) == 0
    quick = capsys.readouterr().out
    assert "`python -m se_viz info --check` asks PyTorch itself" in quick
    assert main(["info", "--check", "--checkpoints", str(network_folder)]) == 0
    asked = capsys.readouterr().out
    assert f"devices: {', '.join(available_devices())}; used: {choose_device().reason}" in asked
    assert "--check" not in asked


def test_a_missing_file_is_told_before_the_others_run(
    network_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The rest is done all the same, and the exit code tells."""
    words = ["--checkpoints", str(network_folder), "--device", "cpu"]
    assert main(["gates", CAT, str(tmp_path / "cta.jpg"), *words]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{CAT}: ")
    assert err == f"se_viz: There is no file {tmp_path}/cta.jpg. Check the name.\n"


def test_names_of_imagenets_classes_are_torchvisions():
    """They stand in a file of ours, so that a list of networks needs no torchvision."""
    from torchvision.models import ResNet50_Weights

    assert imagenet_classes(1000) == tuple(ResNet50_Weights.DEFAULT.meta["categories"])
