import hashlib
import json
import os
import re
import resource
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from se_viz.errors import CheckpointError
from se_viz.networks import Network, NetworkCard, list_networks, load_network
from se_viz.networks.checkpoints import damaged_cards, read_cards
from se_viz.networks.weights import read_weights, save_checkpoint
from se_viz.networks.zoo import damaged_networks

WEIGHTS = "tiny.safetensors"
CARD = "tiny.json"


def replace_weights(folder: Path, content: bytes) -> None:
    """Put other bytes in the weights file, and their hash on the card: only the content is wrong
    then.
    """
    (folder / WEIGHTS).write_bytes(content)
    edit_card(folder, lambda values: values.update(sha256=hashlib.sha256(content).hexdigest()))


def edit_tensors(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / "edited")
    content = (folder / "edited").read_bytes()
    (folder / "edited").unlink()
    replace_weights(folder, content)


def edit_card(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / CARD).read_text())
    edit(values)
    (folder / CARD).write_text(json.dumps(values))


def refused(folder: Path, message: str) -> None:
    """Check that loading fails, in every word that matters to its reader."""
    with pytest.raises(CheckpointError, match=message):
        load_network("tiny", "cpu", folder=folder)


def test_a_saved_network_comes_back(network: Network, se_net: nn.Module, images: Tensor):
    """What is loaded is the half-precision rounding of what was saved: same values, same answer."""
    rounded = se_net.half().float()
    state = network.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in rounded.state_dict().items())
    with torch.no_grad():
        assert torch.equal(network.model(images), rounded(images))


def test_a_saved_card_comes_back(network_folder: Path, se_net: nn.Module, card: NetworkCard):
    """Every field keeps its value and its type; only the hash was filled in."""
    (copy,) = read_cards(network_folder)
    digest = hashlib.sha256((network_folder / WEIGHTS).read_bytes()).hexdigest()
    assert copy == replace(card, sha256=digest)


def test_the_file_is_in_half_precision(network_folder: Path, se_net: nn.Module):
    """A safetensors file is a length, a JSON header and the values: two bytes for each number with
    a fraction.
    """
    content = (network_folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    kinds = {name: entry["dtype"] for name, entry in header.items()}
    assert kinds.keys() == se_net.state_dict().keys()
    assert {kind for name, kind in kinds.items() if not name.endswith("num_batches_tracked")} == {
        "F16"
    }


def test_the_model_that_is_saved_keeps_its_precision(
    se_net: nn.Module, tmp_path: Path, card: NetworkCard
):
    """Saving halves copies, not the network somebody is still training."""
    before = {name: value.clone() for name, value in se_net.state_dict().items()}
    save_checkpoint(se_net, card, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in se_net.state_dict().items())


def test_weights_are_read_in_the_models_own_precision(network_folder: Path, se_net: nn.Module):
    """Half precision saves disk; arithmetic in it would move the gates."""
    (saved,) = read_cards(network_folder)
    read_weights(se_net.double(), saved, network_folder)
    assert {value.dtype for value in se_net.parameters()} == {torch.float64}


def test_other_bytes_are_refused_by_their_hash(network_folder: Path):
    """One changed bit in the last weight keeps the file readable, so only the hash can tell."""
    content = bytearray((network_folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (network_folder / WEIGHTS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()[:12]
    refused(
        network_folder,
        rf"{WEIGHTS} has the hash {digest}….*its card says .*damaged or was replaced\. "
        "Restore both",
    )


def test_a_file_cut_short_is_refused_by_its_hash(network_folder: Path):
    """A download that broke off is the common case."""
    content = (network_folder / WEIGHTS).read_bytes()
    (network_folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    refused(network_folder, rf"{WEIGHTS} has the hash .*the file is damaged")


@pytest.mark.parametrize("length", [0, 4, 100, 100_000])
def test_a_file_cut_short_under_a_matching_hash_is_refused(network_folder: Path, length: int):
    """A card made from the broken file would pass the hash; the format itself must notice."""
    replace_weights(network_folder, (network_folder / WEIGHTS).read_bytes()[:length])
    refused(network_folder, rf"{WEIGHTS} is no safetensors file .*Restore the file")


def test_missing_weights_are_named(network_folder: Path):
    """A card without its file is a clone without large files: the message says which, and where it
    belongs.
    """
    (network_folder / WEIGHTS).unlink()
    refused(
        network_folder,
        rf"The weights {WEIGHTS} are not in .*checkpoints\. Restore the file beside its card",
    )


def test_a_missing_tensor_is_named(network_folder: Path):
    """Half a network would answer nonsense without a word."""
    edit_tensors(network_folder, lambda tensors: tensors.pop("fc.bias"))
    refused(
        network_folder, rf"{WEIGHTS} does not fit its architecture: fc\.bias is missing\. Correct"
    )


def test_a_tensor_too_many_is_named(network_folder: Path):
    """It belongs to another network, so the other tensors may too."""
    edit_tensors(network_folder, lambda tensors: tensors.update(extra=torch.zeros(1)))
    refused(
        network_folder, r"does not fit its architecture: extra is not part of the network\. Correct"
    )


def test_a_tensor_of_another_shape_is_named(network_folder: Path):
    """Both shapes stand in the message: what was found, and what is needed."""
    edit_tensors(network_folder, lambda tensors: tensors.update({"fc.bias": torch.zeros(7)}))
    refused(network_folder, r"fc\.bias has shape \(7,\) instead of \(5,\)\. Correct")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused(network_folder: Path, value: float):
    """One NaN makes every gate after it NaN; an overflow to half precision makes infinities."""
    edit_tensors(
        network_folder, lambda tensors: tensors["layer3.2.conv1.weight"].view(-1)[5].fill_(value)
    )
    refused(network_folder, r"layer3\.2\.conv1\.weight holds values that are not finite\. Correct")


def test_many_problems_are_counted(network_folder: Path):
    """Three are enough to see a pattern; a message of hundreds would hide it."""
    names = ["conv1.weight", "bn1.weight", "bn1.bias", "fc.weight", "fc.bias"]
    edit_tensors(network_folder, lambda tensors: [tensors.pop(name) for name in names])
    refused(
        network_folder,
        r"architecture: bn1\.bias is missing; bn1\.weight .*; conv1\.weight .*; and 2 more",
    )


def test_a_refused_file_leaves_the_model_untouched(network_folder: Path, se_net: nn.Module):
    """Everything is checked before the first value is copied."""
    edit_tensors(network_folder, lambda tensors: tensors.pop("fc.bias"))
    (saved,) = read_cards(network_folder)
    before = {name: value.clone() for name, value in se_net.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"fc\.bias is missing"):
        read_weights(se_net, saved, network_folder)
    assert all(torch.equal(value, before[name]) for name, value in se_net.state_dict().items())


class Payload:
    """What an attacker would put into a pickle: unpickling it makes a folder."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_a_pickle_is_refused_and_not_run(network_folder: Path, tmp_path: Path):
    """PyTorch's own format runs code on loading; a renamed file must not get that far, whatever
    its hash.
    """
    proof = tmp_path / "executed"
    pickle = tmp_path / "weights.pt"
    torch.save({"fc.bias": Payload(proof)}, pickle)
    replace_weights(network_folder, pickle.read_bytes())
    refused(network_folder, rf"{WEIGHTS} is no safetensors file")
    assert not proof.exists()
    torch.load(pickle, weights_only=False)
    assert proof.exists(), "the payload was a dud, and the test proves nothing"


@pytest.mark.parametrize("content", [b"", b'{"name": "tiny",', b"\xff\xfe\x00"])
def test_a_broken_card_is_refused(network_folder: Path, content: bytes):
    """Cards are edited by hand; a lost brace is said with the file's name."""
    (network_folder / CARD).write_bytes(content)
    refused(network_folder, rf"{CARD} is no readable JSON \(.*\)\. Restore the file")


def test_a_card_that_is_no_object_is_refused(network_folder: Path):
    """Any JSON file may lie in the folder."""
    (network_folder / CARD).write_text("[1, 2]")
    refused(network_folder, rf"{CARD} is no network card: it holds no JSON object\. Restore")


def test_a_card_without_a_field_is_refused(network_folder: Path):
    """The missing field is named."""
    edit_card(network_folder, lambda values: values.pop("licence"))
    refused(network_folder, rf"{CARD} is no network card: .*missing.*'licence'.*Restore")


def test_a_card_with_an_unknown_field_is_refused(network_folder: Path):
    """A misspelt field would otherwise be dropped in silence."""
    edit_card(network_folder, lambda values: values.update(license="MIT"))
    refused(network_folder, rf"{CARD} is no network card: .*unexpected.*'license'.*Restore")


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["ant", 2]},
        {"classes": []},
        {"title": "half a letter \ud800"},
        {"input_size": True},
        {"input_size": 0},
        {"std": [0.2, 0, 0.2]},
        {"mean": [float("nan")] * 3},
        {"mean": [0.5, 0.5]},
        {"notes": None},
        {"crop": "round"},
    ],
)
def test_a_card_of_other_values_is_refused(network_folder: Path, change: dict[str, object]):
    """They would fail where the network is used, or make another input of every photo."""
    edit_card(network_folder, lambda values: values.update(change))
    refused(
        network_folder, rf"{CARD} is no network card: {next(iter(change))} is .*Restore the file"
    )


def test_a_damaged_card_costs_no_other_network(
    network_folder: Path, se_net: nn.Module, card: NetworkCard
):
    """Not even a pipe, which would be waited for, or a card of endless brackets; the damaged one
    is named.
    """
    save_checkpoint(se_net, replace(card, name="ant"), network_folder)
    (network_folder / CARD).write_text("[" * 100_000)
    os.mkfifo(network_folder / "pipe.json")
    (network_folder / "folder.json").mkdir()
    (network_folder / "large.json").write_bytes(bytes(17 << 20))
    assert [card.name for card in list_networks(network_folder)] == ["ant"]
    damaged = damaged_networks(network_folder)
    assert [*damaged] == ["folder", "large", "pipe", "tiny"]
    assert (
        damaged["pipe"]
        == "pipe.json cannot be read: it is a pipe, which may never end. Restore the file."
    )
    assert damaged["large"] == "large.json has more than the 16 MB of a card. Restore the file."
    assert load_network("ant", "cpu", folder=network_folder).card.name == "ant"


def test_a_card_needs_no_notes(network_folder: Path):
    """A field that says nothing new is not written, and has its usual value when it is read."""
    values = json.loads((network_folder / CARD).read_text())
    assert values.keys().isdisjoint({"notes", "library", "source", "resize"})
    (card,) = read_cards(network_folder)
    assert (card.notes, card.library, card.source, card.resize) == ("", "se_viz", "", None)


def test_a_write_that_stops_half_way_leaves_the_old_files(
    network_folder: Path, se_net: nn.Module, card: NetworkCard
):
    """A full disk or a kill must not cost the network that was there: the system ends this write
    at 100 kB.
    """
    before = {path.name: path.read_bytes() for path in network_folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    nn.init.ones_(se_net.get_parameter("fc.bias"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(se_net, card, network_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {name: (network_folder / name).read_bytes() for name in before} == before
    assert [card.name for card in read_cards(network_folder)] == ["tiny"]
    load_network("tiny", "cpu", folder=network_folder)


def test_a_card_that_finds_no_room_leaves_the_older_weights(
    network_folder: Path, se_net: nn.Module, card: NetworkCard
):
    """New weights beside an older card would not load: their hash is another one."""
    (network_folder / f"{CARD}.part").mkdir()
    nn.init.ones_(se_net.get_parameter("fc.bias"))
    with pytest.raises(OSError, match=r"Is a directory|it is a folder"):
        save_checkpoint(se_net, card, network_folder)
    load_network("tiny", "cpu", folder=network_folder)


def test_the_next_write_succeeds_after_one_that_stopped(
    network_folder: Path, se_net: nn.Module, card: NetworkCard
):
    """What a killed write left behind is replaced, and nothing of it stays."""
    (network_folder / f"{WEIGHTS}.part").write_bytes(b"half of a fi")
    nn.init.ones_(se_net.get_parameter("fc.bias"))
    save_checkpoint(se_net, card, network_folder)
    assert sorted(path.name for path in network_folder.iterdir()) == [CARD, WEIGHTS]
    network = load_network("tiny", "cpu", folder=network_folder)
    assert network.model.get_parameter("fc.bias").tolist() == [1.0] * 5


def test_cards_come_by_name_and_from_cards_only(
    network_folder: Path, se_net: nn.Module, card: NetworkCard
):
    """A folder also holds a README and weights; the order is the same on every system."""
    (network_folder / "README.md").write_text("| name |")
    for name in ("zebra", "ant"):
        save_checkpoint(se_net, replace(card, name=name), network_folder)
    assert [card.name for card in read_cards(network_folder)] == ["ant", "tiny", "zebra"]


def test_a_long_name_in_a_card_is_one_short_line(network_folder: Path):
    """A card of a stranger is named on a page and in a terminal; a megabyte of it would fill
    both.
    """
    values = json.loads((network_folder / CARD).read_text())
    (network_folder / CARD).write_text(json.dumps(values | {"name": "\x1b[31m\n" * 10**5}))
    (network_folder / "other.json").write_text(json.dumps(values | {"x" * 10**6: 1}))
    for sentence in damaged_cards(network_folder).values():
        assert len(sentence) < 300
        assert sentence.isprintable()


@pytest.mark.parametrize(
    "field",
    [
        {"title": "t" * 10**5},
        {"classes": ["c"] * 100_001},
        {"classes": ["c" * 1001] * 5},
        {"parameters": 10**400},
        {"top1": float("inf")},
        {"gflops": float("nan")},
    ],
    ids=lambda field: next(iter(field)),
)
def test_a_card_that_nothing_can_show_is_refused(network_folder: Path, field: dict[str, object]):
    """A page of a megabyte, a classifier of gigabytes, numbers that end in an overflow when they
    are printed.
    """
    values = json.loads((network_folder / CARD).read_text())
    (network_folder / CARD).write_text(json.dumps(values | field))
    (sentence,) = damaged_cards(network_folder).values()
    assert re.fullmatch(
        rf"{CARD} is no network card: {next(iter(field))} is .{{1,80}}\. Restore the file\.",
        sentence,
    )


def test_arguments_of_another_kind_are_a_sentence(network_folder: Path):
    """Whatever a library raises on them: the card is at fault, and is named."""
    values = json.loads((network_folder / CARD).read_text())
    (network_folder / CARD).write_text(json.dumps(values | {"arguments": {"width": "x" * 10**5}}))
    with pytest.raises(
        CheckpointError, match=r"^The card of tiny has arguments .* built .*Restore the file"
    ):
        load_network("tiny", "cpu", folder=network_folder)
