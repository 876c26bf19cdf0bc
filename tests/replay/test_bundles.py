"""A bundle gives the same numbers again, and a hostile one a sentence."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from se_viz import attribute, capture_gates, edit_gates
from se_viz.__main__ import main
from se_viz.errors import BundleError, DataError, NetworkError
from se_viz.gates.surgery import compile_edits, set_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network
from se_viz.networks.weights import hash_weights
from se_viz.replay import (
    Answers,
    Bundle,
    MapSettings,
    Settings,
    bundle_bytes,
    compare_bundles,
    make_bundle,
    read_bundle,
    replay,
    write_bundle,
)
from tests import ROOT

pytestmark = pytest.mark.slow

CAT, COFFEE = (sample.path for sample in list_samples()[:2])
BLOCK = "layer3.1.bn3.1"
EDITS = (set_gates({BLOCK: (0, 2)}, 0.5),)
MAPS = (
    MapSettings(1, "integrated_gradients", options=(("n_steps", 4),)),
    MapSettings(2, "smoothgrad", 0, options=(("nt_samples", 4), ("seed", 7))),
    MapSettings(0, "occlusion", baseline="blur", options=(("strides", (3, 16, 16)),)),
)
PLAIN = Settings("tiny", "0" * 64, "1" * 64)


@pytest.fixture
def bundle(network: Network) -> Bundle:
    """Return a bundle of a photo with edits and maps of several kinds, and with the photo."""
    settings: dict[str, Any] = {"maps": MAPS, "edits": EDITS, "block": BLOCK, "channel": 2}
    return make_bundle(network, CAT, with_photo=True, **settings)


def small(**changes: Any) -> Bundle:
    """Return a bundle without any run."""
    answers = Answers({"a": np.ones(3, np.float32)}, np.zeros(2, np.float32))
    return Bundle(replace(PLAIN, **changes), answers)


def test_a_bundle_holds_what_the_library_computes(bundle: Bundle, network: Network):
    """Gates and logits of one pass with the edits, and each map by its own call."""
    inputs = network.preprocess(open_image(CAT))
    changes = compile_edits(EDITS, network.inspection.sites)
    with edit_gates(network.model, changes):
        with torch.inference_mode(), capture_gates(network.model) as records:
            logits = network.model(inputs)[0].numpy()
        first = attribute(network, inputs, 1, "integrated_gradients", n_steps=4)
        second = attribute(network, inputs, 2, "smoothgrad", against=0, nt_samples=4, seed=7)
    answers = bundle.answers
    np.testing.assert_array_equal(answers.logits, logits)
    assert [*answers.gates] == [record.name for record in records]
    for record in records:
        np.testing.assert_array_equal(answers.gates[record.name], record.gate[0].numpy())
    assert answers.gates[BLOCK][[0, 2]].tolist() == [0.5, 0.5]
    np.testing.assert_array_equal(answers.maps[0], first.map.numpy())
    np.testing.assert_array_equal(answers.maps[1], second.map.numpy())


def test_settings_say_where_and_with_what(bundle: Bundle, network: Network):
    """Whoever finds another number looks here first."""
    settings = bundle.settings
    assert settings.network == "tiny"
    assert settings.weights == hash_weights(network.model)
    assert settings.photo == hashlib.sha256(CAT.read_bytes()).hexdigest()
    assert (settings.block, settings.channel, settings.name) == (BLOCK, 2, CAT.name)
    assert settings.classes == ("bee", "cat", "ant")
    assert (settings.device, settings.precision) == ("cpu", "float32")
    versions = dict(settings.versions)
    assert versions["torch"] == torch.__version__ or torch.__version__.startswith(versions["torch"])
    assert {"se_viz", "python", "torch", "torchvision", "captum", "numpy"} <= versions.keys()


def test_what_was_written_is_read_again(bundle: Bundle, tmp_path: Path):
    """Every setting and every bit; equal bundles are equal files, whenever they are written."""
    write_bundle(tmp_path / "cat.zip", bundle)
    again = read_bundle(tmp_path / "cat.zip")
    assert again.settings == bundle.settings
    assert again.content == CAT.read_bytes()
    np.testing.assert_array_equal(again.answers.logits, bundle.answers.logits)
    for name, gate in bundle.answers.gates.items():
        np.testing.assert_array_equal(again.answers.gates[name], gate)
    for first, second in zip(again.answers.maps, bundle.answers.maps, strict=True):
        np.testing.assert_array_equal(first, second)
    assert bundle_bytes(again) == (tmp_path / "cat.zip").read_bytes()
    with pytest.raises(DataError, match=r"cat\.tar ends in none of \.zip"):
        write_bundle(tmp_path / "cat.tar", bundle)


def test_a_photo_goes_along_only_where_it_may(network: Network):
    """A face is nobody's to pass on; its hash tells whether somebody has the same file."""
    bundle = make_bundle(network, CAT)
    assert bundle.content is None
    content = bundle_bytes(bundle)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert "photo" not in file.namelist()
    assert CAT.read_bytes()[:64] not in content
    with pytest.raises(BundleError, match=r"does not hold its photo \(.*\)\. Give the file with"):
        replay(content, network=network)
    with pytest.raises(BundleError, match=r"This is another photo .* Give the very file\."):
        replay(content, network=network, photo=COFFEE)
    assert replay(content, network=network, photo=CAT).same


def test_the_same_machine_gives_the_same_bits(bundle: Bundle, network: Network):
    """Gates, logits and maps, also those that draw at random."""
    result = replay(bundle_bytes(bundle), network=network)
    whats = ["gates", "logits"]
    whats += ["integrated_gradients of bee", "smoothgrad of cat", "occlusion of ant"]
    assert [difference.what for difference in result.differences] == whats
    assert all(difference.equal for difference in result.differences)
    assert [difference.largest for difference in result.differences] == [0.0] * 5
    assert result.changed == ()
    assert result.same


def test_a_difference_is_measured_where_it_is(bundle: Bundle):
    """The largest one by hand; beyond the tolerance of 1e-4 of the largest value it counts."""
    answers = bundle.answers
    gates = {name: gate.copy() for name, gate in answers.gates.items()}
    gates[BLOCK][5] += np.float32(0.25)
    expected = abs(float(gates[BLOCK][5]) - float(answers.gates[BLOCK][5]))
    logits = answers.logits + np.float32(1e-6)
    moved = replace(bundle, answers=replace(answers, gates=gates, logits=logits))
    first, second, *maps = compare_bundles(bundle, moved).differences
    assert (first.what, first.equal, first.within()) == ("gates", False, False)
    assert first.largest == expected
    assert (second.equal, second.within()) == (False, True)
    assert all(difference.equal for difference in maps)
    assert not compare_bundles(bundle, moved).same
    assert compare_bundles(bundle, moved, tolerance=0.5).same


def test_what_is_lost_or_no_number_is_a_difference(bundle: Bundle):
    """Neither a block that is missing nor a NaN may count as the same; NaN twice does."""
    answers = bundle.answers
    fewer = {name: gate for name, gate in answers.gates.items() if name != BLOCK}
    moved = replace(bundle, answers=replace(answers, gates=fewer))
    assert compare_bundles(bundle, moved).differences[0].largest == np.inf
    broken = answers.logits.copy()
    broken[1] = np.nan
    nan = replace(bundle, answers=replace(answers, logits=broken))
    assert compare_bundles(bundle, nan).differences[1].largest == np.inf
    assert not compare_bundles(bundle, nan).same
    assert compare_bundles(nan, nan).differences[1].equal


def test_other_versions_are_named(bundle: Bundle):
    """They are the first suspects of a difference."""
    versions = tuple((name, "0.1" if name == "torch" else value) for name, value in
                     bundle.settings.versions)  # fmt: skip
    old = replace(bundle, settings=replace(bundle.settings, versions=versions, device="cuda:0"))
    changed = compare_bundles(old, bundle).changed
    torch_here = dict(bundle.settings.versions)["torch"]
    assert changed == ("device cuda:0, here cpu", f"torch 0.1, here {torch_here}")


def test_other_weights_are_refused(bundle: Bundle, network: Network):
    """A difference would be no mistake then, and the same numbers a miracle."""
    with torch.no_grad():
        next(network.model.parameters())[0, 0, 0, 0] += 1e-6
    with pytest.raises(BundleError, match=r"has other weights here \(.*…\) than where the bundle"):
        replay(bundle, network=network)


def test_a_hash_is_that_of_names_kinds_and_values():
    """Slow and by hand: any change of one of them is another network."""
    model = torch.nn.Linear(2, 1)
    digest = hashlib.sha256()
    for name in ("bias", "weight"):
        tensor = model.state_dict()[name]
        digest.update(f"{name} torch.float32 {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    assert hash_weights(model) == digest.hexdigest()
    assert hash_weights(model.half()) != digest.hexdigest()


def test_an_unknown_network_is_named(bundle: Bundle):
    """The nearest names are told, as everywhere."""
    strange = replace(bundle, settings=replace(bundle.settings, network="own/mine-123"))
    with pytest.raises(NetworkError, match=r"There is no network 'own/mine-123'"):
        replay(strange)


def test_the_script_in_a_bundle_computes_the_same(tmp_path: Path):
    """It is for people, and uses the library alone."""
    from se_viz import load_network

    network = load_network("se_resnet50_half_imagenette", "cpu")
    block = network.inspection.sites[3].block
    maps = (MapSettings(1, "saliency"), MapSettings(2, "integrated_gradients", 0, "black"))
    maps = (maps[0], replace(maps[1], options=(("n_steps", 2),)))
    edits = (set_gates({block: (0, 2)}, 0.5), set_gates(block, 1.0))
    bundle = make_bundle(network, CAT, maps=maps, edits=edits)
    write_bundle(tmp_path / "cat.zip", bundle)
    with zipfile.ZipFile(tmp_path / "cat.zip") as file:
        (tmp_path / "replay.py").write_bytes(file.read("replay.py"))
    command = [sys.executable, "replay.py", "cat.zip", str(CAT), "numbers.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    with np.load(tmp_path / "numbers.npz") as numbers:
        np.testing.assert_allclose(numbers["logits"], bundle.answers.logits, rtol=1e-4, atol=1e-4)
        for name, gate in bundle.answers.gates.items():
            np.testing.assert_allclose(numbers[name], gate, rtol=1e-4, atol=1e-4)
        for number, values in enumerate(bundle.answers.maps):
            reach = np.abs(values).max()
            np.testing.assert_allclose(numbers[f"map {number}"], values, atol=1e-3 * reach)


def rewrite(bundle: Bundle, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """Return a bundle whose members somebody has changed."""
    with zipfile.ZipFile(io.BytesIO(bundle_bytes(bundle))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target.getvalue()


def settings_with(**values: Any) -> Callable[[dict[str, bytes]], object]:
    """Return a change of some settings."""

    def change(members: dict[str, bytes]) -> None:
        settings = {**json.loads(members["settings.json"]), **values}
        members["settings.json"] = json.dumps(settings).encode()

    return change


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def head_of(shape: tuple[int, ...]) -> bytes:
    """Return an array file that claims a shape and holds nothing of it."""
    inner = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        inner, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("logits.npy", inner.getvalue())
    return file.getvalue()


BOMB = io.BytesIO()
with zipfile.ZipFile(BOMB, "w", zipfile.ZIP_DEFLATED) as _file:
    _file.writestr("logits.npy", bytes(100 << 20))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda members: members.pop("gates.npz"), r"The bundle has no gates\.npz"),
        (lambda members: members.pop("settings.json"), r"The bundle has no settings\.json"),
        (
            lambda members: members.update({"../../evil.py": b"x"}),
            r"The bundle holds \.\./\.\./evil\.py, which is no part of one",
        ),
        (
            lambda members: members.update({"maps.npz": bytes(70 << 20)}),
            r"maps\.npz of the bundle has 73 MB, more than the 67 MB",
        ),
        (
            lambda members: members.update({"logits.npz": BOMB.getvalue()}),
            r"logits\.npz of the bundle holds too much",
        ),
        (
            lambda members: members.update({"logits.npz": npz(logits=np.array([{}, object]))}),
            r"logits\.npz of the bundle holds object of shape \(2,\)",
        ),
        (
            lambda members: members.update({"logits.npz": head_of((1 << 40,))}),
            r"logits\.npz of the bundle holds float32 of shape",
        ),
        (
            lambda members: members.update({"logits.npz": b"no zip"}),
            r"The file is no replay bundle, or it is damaged",
        ),
        (
            lambda members: members.update({"logits.npz": npz(logits=np.zeros((2, 2), "f4"))}),
            r"logits\.npz of the bundle holds other arrays than its settings say",
        ),
        (
            lambda members: members.update({"gates.npz": npz()}),
            r"gates\.npz of the bundle holds other arrays",
        ),
        (
            lambda members: members.update({"maps.npz": npz(a=np.zeros((2, 2), "f4"))}),
            r"maps\.npz of the bundle holds other arrays than its settings say \(a \(2, 2\)\)",
        ),
        (
            lambda members: members.update({"settings.json": b"{"}),
            r"settings\.json of the bundle is no readable JSON",
        ),
        (
            lambda members: members.update({"settings.json": b"[" * 100_000}),
            r"settings\.json of the bundle is no readable JSON|cannot be read",
        ),
        (settings_with(format=2), r"has another form than version 1.*Update se_viz"),
        (settings_with(network=3), r"settings\.json of the bundle is damaged: 3 is no text"),
        (settings_with(name="a\nb"), r"is damaged: 'a\\nb' is no text"),
        (settings_with(maps=[{"target": 1}]), r"is damaged: method is missing"),
        (settings_with(maps=[3]), r"is damaged"),
        (
            settings_with(maps=[{"target": 0, "method": "x", "options": [["watch", 1]]}]),
            r"'watch' is no option of a method",
        ),
        (settings_with(maps=[{"target": -1, "method": "x"}]), r"-1 is no whole number"),
        (
            settings_with(edits=[{"targets": [["a", None]], "action": "burn", "amount": 1}]),
            r"'burn' is no change of gates",
        ),
        (
            settings_with(edits=[{"targets": [["a", None]], "action": "set", "amount": 1e300}]),
            r"is out of range",
        ),
        (settings_with(maps=[{}] * 17), r"a list of at most 16 is needed"),
    ],
)
def test_a_hostile_or_damaged_bundle_is_told_in_a_sentence(
    change: Callable[[dict[str, bytes]], object], sentence: str
):
    """Nothing in it is run, nothing is allocated that it only claims, and no traceback comes."""
    with pytest.raises(BundleError, match=sentence) as error:
        read_bundle(rewrite(small(), change))
    assert str(error.value).endswith(".")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all", bytes(1000)])
def test_what_is_no_zip_is_told(content: bytes):
    """The wrong file of a folder."""
    with pytest.raises(BundleError, match=r"The file is no replay bundle, or it is damaged"):
        read_bundle(content)


def test_every_cut_of_a_bundle_is_told():
    """A download that broke off, anywhere."""
    content = bundle_bytes(small())
    for length in range(0, len(content), len(content) // 12):
        with pytest.raises(BundleError):
            read_bundle(content[:length])


def test_files_that_are_missing_or_too_large_are_told(tmp_path: Path):
    """Before anything is opened."""
    with pytest.raises(BundleError, match=r"nowhere\.zip cannot be read: No such file"):
        read_bundle(tmp_path / "nowhere.zip")
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(BundleError, match=r"more than the 134 MB of a replay bundle"):
        read_bundle(tmp_path / "large.zip")


@pytest.fixture
def run(network_folder: Path) -> Callable[..., int]:
    """Run the command on the small network."""
    options = ["--checkpoints", str(network_folder), "--device", "cpu"]
    return lambda *words: main(["replay", *map(str, words), *options])


def test_the_command_says_equal_where_it_is(run, bundle: Bundle, tmp_path: Path, capsys):
    """And the exit code tells scripts."""
    write_bundle(tmp_path / "cat.zip", bundle)
    assert run(tmp_path / "cat.zip") == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"{CAT.name} before tiny"
    assert lines[:2] == ["  gates: equal bit for bit", "  logits: equal bit for bit"]
    assert "  smoothgrad of cat: equal bit for bit" in lines
    assert last == "The same, within 0.0001 of the largest value."


def test_the_command_says_what_differs(run, bundle: Bundle, tmp_path: Path, capsys):
    """The difference by hand: the largest logit was doubled."""
    logits = bundle.answers.logits.copy()
    best = abs(logits).argmax()
    gap = abs(float(logits[best]))
    logits[best] *= 2
    answers = replace(bundle.answers, logits=logits)
    write_bundle(tmp_path / "cat.zip", replace(bundle, answers=answers, content=None))
    assert run(tmp_path / "cat.zip", "--photo", CAT) == 1
    out = capsys.readouterr().out
    assert (
        f"  logits: largest difference {gap:.3g}, of values up to {2 * gap:.3g}  <- differs" in out
    )
    assert out.endswith("Not the same within 0.0001 of the largest value.\n")
    assert run(tmp_path / "cat.zip", "--photo", CAT, "--tolerance", "1") == 0


def test_the_command_needs_the_photo(run, bundle: Bundle, tmp_path: Path, capsys):
    """Where the bundle has it not, the step is named."""
    write_bundle(tmp_path / "cat.zip", replace(bundle, content=None))
    assert run(tmp_path / "cat.zip") == 2
    assert "Give the file with --photo" in capsys.readouterr().err
    assert run(tmp_path / "dog.zip") == 2
    assert "dog.zip cannot be read: No such file or directory" in capsys.readouterr().err
