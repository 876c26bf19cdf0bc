"""Weights that users bring: right ones work, wrong ones are one sentence each, and nothing in them
runs.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from se_viz.errors import CheckpointError, DataError, NetworkError, NoSEBlocksError
from se_viz.gates import capture_gates
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import Network, list_networks, load_network, own
from se_viz.networks.architectures import build
from se_viz.networks.blueprints import find_architecture
from se_viz.networks.cache import own_folder
from se_viz.networks.checkpoints import FOLDER
from se_viz.networks.labels import parse_labels, read_labels
from se_viz.networks.own import forget, keep, read_own
from se_viz.networks.resnet import build_se_resnet
from se_viz.networks.zoo import find_card

pytestmark = pytest.mark.slow

NAME = "torchvision/mobilenet_v3_small"
LABELS = tuple("abcdefg")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is kept in the test's own folder."""
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A network of seven classes, fine-tuned by nobody."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return build(find_card(NAME), num_classes=7).eval()


def pickled(values: object, *, legacy: bool = False) -> bytes:
    file = BytesIO()
    torch.save(values, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def folded(state: dict[str, Tensor]) -> dict[str, Any]:
    """Return a dictionary for every part of a name."""
    whole: dict[str, Any] = {}
    for name, value in state.items():
        *folders, last = name.split(".")
        place = whole
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return whole


def refused(
    content: bytes | Path, message: str, *, architecture: str = NAME, labels: tuple[str, ...] = ()
) -> None:
    """One sentence, and nothing left behind."""
    with pytest.raises(CheckpointError, match=message) as caught:
        read_own(content, architecture, labels=labels, name="mine.pt")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert not own_folder().exists()


WRITERS: dict[str, Callable[[dict[str, Tensor]], bytes]] = {
    "safetensors": save,
    "state dict": pickled,
    "under state_dict": lambda state: pickled({"state_dict": state, "epoch": 3}),
    "under model": lambda state: pickled({"model": state, "optimizer": {"lr": 0.1}}),
    "from DataParallel": lambda state: pickled(
        {f"module.{key}": value for key, value in state.items()}
    ),
    "from Lightning": lambda state: pickled(
        {"state_dict": {f"model.{key}": value for key, value in state.items()}}
    ),
    "compiled": lambda state: pickled(
        {f"_orig_mod.module.{key}": value for key, value in state.items()}
    ),
    "no counters": lambda state: pickled(
        {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    ),
    "averaged": lambda state: pickled(prefixed("module.", state) | {"n_averaged": torch.tensor(3)}),
    "with a loss": lambda state: pickled(
        {
            "state_dict": prefixed("model.", state)
            | {"criterion.weight": torch.ones(7), "acc.tp": torch.zeros(7)}
        }
    ),
    "by timm": lambda state: pickled(
        {
            "epoch": 3,
            "arch": "x",
            "state_dict": state,
            "args": argparse.Namespace(lr=0.1),
            "metric": 77.1,
        }
    ),
    "by fastai": lambda state: pickled(
        (state, {"hypers": [{"lr": 0.1}], "state": [{"grad_avg": torch.ones(3)}]})
    ),
    "by DeepSpeed": lambda state: pickled(
        {"module": state, "global_steps": 3, "ds_config": {"fp16": {}}}
    ),
    "a generator's": lambda state: pickled(
        {"nets": [{"generator": {"backbone": prefixed("encoder.", state)}}]}
    ),
    "half of it compiled": lambda state: pickled(
        {
            key.replace("features.", "features._orig_mod.module."): value
            for key, value in state.items()
        }
    ),
    "in a dictionary of dictionaries": lambda state: pickled({"params": folded(state)}),
    "parameters": lambda state: pickled(
        {key: nn.Parameter(value, requires_grad=False) for key, value in state.items()}
    ),
    "in double precision": lambda state: pickled(
        {key: value.double() for key, value in state.items()}
    ),
    "in the first format": lambda state: pickled({"model": state}, legacy=True),
    "profiled": lambda state: pickled(
        state | {"features.0.total_ops": torch.zeros(1, dtype=torch.float64)}
    ),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_weights_work_however_they_were_written(
    model: nn.Module, write: Callable[[dict[str, Tensor]], bytes]
):
    """The number of classes is told from the classifier; the answer is the original's, bit for
    bit.
    """
    network = read_own(write(model.state_dict()), NAME, labels=LABELS, device="cpu")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(network.model(images), model(images))
    assert network.classes == LABELS
    assert (network.card.blocks, network.card.input_size, network.card.top1) == (9, 224, None)


@pytest.mark.parametrize("architecture", ["timm/mobilenetv3_small_050", "se_resnet18"])
def test_any_listed_architecture_takes_weights(architecture: str):
    """timm's by name without its weights, se_viz's own by depth: each finds its classifier by
    itself.
    """
    first = read_own(save(_untrained(architecture, 3)), architecture, device="cpu")
    assert first.classes == ("class 0", "class 1", "class 2")
    assert first.preprocess(open_image(list_samples()[0].path)).shape == (1, 3, 224, 224)


def test_of_several_weights_the_plain_ones_are_taken_and_it_is_said(model: nn.Module):
    """Weights before an average of them, whatever the order in the file; the sentence names
    both.
    """
    state = model.state_dict()
    average = {key: value * 1.0 for key, value in model.state_dict().items()}
    average["classifier.3.bias"] += 1
    content = pickled(
        {"model_ema": {"module": average}, "net": {"module": state}, "args": argparse.Namespace()}
    )
    network = read_own(content, NAME, device="cpu")
    assert torch.equal(network.model.get_parameter("classifier.3.bias"), state["classifier.3.bias"])
    assert network.card.notes.startswith(
        "Read from 'net.module.'; 'model_ema.module.' would fit too: to see those"
    )
    assert read_own(pickled({"model_ema": average}), NAME, device="cpu").card.notes == ""


def test_a_loss_among_the_layers_is_left_out_and_said(model: nn.Module):
    """It has no part in the answer; whoever reads the card sees that it was there."""
    state = model.state_dict() | {"criterion.weight": torch.ones(7), "confusion": torch.zeros(7, 7)}
    network = read_own(pickled(state), NAME, device="cpu")
    assert network.card.notes == "Left out, as no part of the network: criterion.weight, confusion."


@pytest.mark.parametrize("name", ["features.13.weight", "neck.0.weight", "features.0.scale"])
def test_a_layer_too_many_is_refused(model: nn.Module, name: str):
    """ResNet-34 holds all of ResNet-18 by name and shape, and would answer nonsense as one."""
    content = edited(model, lambda state: state.update({name: torch.zeros(96, 96)}))
    refused(content, rf"{re.escape(name)} is not part of the network\. Choose the architecture")


def test_a_deeper_network_is_no_shallower_one():
    """All tensors of the paper's 18 layers are among those of 34, in the same shapes."""
    content = save(build_se_resnet("se_resnet34", num_classes=3).state_dict())
    refused(content, r"layer\d\.\d\.\S+ is not part of the network", architecture="se_resnet18")


def test_a_value_too_large_for_single_precision_is_refused(model: nn.Module):
    """It becomes infinite where the network computes, and every gate after it is NaN."""
    content = edited(
        model,
        lambda state: state.update(
            {"features.0.1.bias": torch.full((16,), 1e300, dtype=torch.float64)}
        ),
    )
    refused(content, r"features\.0\.1\.bias holds values that are not finite")


def test_names_from_files_are_short_and_obeyed_by_nothing(model: nn.Module):
    """A terminal obeys escapes, a page obeys Markdown; a name of a megabyte hides the sentence."""
    content = edited(
        model, lambda state: state.update({"features.\x1b[2J\u202e" + "y" * 400: torch.ones(3)})
    )
    with pytest.raises(CheckpointError, match="is not part of the network") as caught:
        read_own(content, NAME, name="evil\x1b[31m" + "x" * 10_000 + ".pt")
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


def test_what_is_kept_for_now_goes_with_its_process(model: nn.Module):
    """A server that was killed cannot tidy up; the next one does, and leaves what was kept for
    good.
    """
    state = model.state_dict()
    good = keep(read_own(save(state), NAME, name="good.pt"))
    now = keep(read_own(save(state), NAME, name="now.pt"), for_now=True)
    own.forget_left()
    assert {good.name, now.name} <= {card.name for card in list_networks()}
    assert (own.is_for_now(now.name), own.is_for_now(good.name)) == (True, False)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (own_folder() / f"{now.name.removeprefix('own/')}.visit").write_text(str(ended.pid))
    own.forget_left()
    assert [path.suffix for path in sorted(own_folder().iterdir())] == [".json", ".safetensors"]
    assert good.name in {card.name for card in list_networks()}


def _untrained(architecture: str, classes: int) -> dict[str, Tensor]:
    return build(find_architecture(architecture), num_classes=classes).state_dict()


def test_half_precision_is_read_in_single(model: nn.Module):
    """Files are often halved; arithmetic in half precision would move the gates."""
    halved = {
        key: value.half() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    assert {
        value.dtype for value in read_own(save(halved), NAME, device="cpu").model.parameters()
    } == {torch.float32}


def test_what_is_kept_loads_by_name_and_can_be_forgotten(model: nn.Module):
    """In full precision: these are somebody's weights, not a bundle to be small."""
    card = keep(
        read_own(save(model.state_dict()), NAME, labels=LABELS, name="my weights.safetensors")
    )
    assert re.fullmatch(r"own/my_weights-[0-9a-f]{6}", card.name)
    assert card.name in {card.name for card in list_networks()}
    again = load_network(card.name, "cpu")
    assert again.classes == LABELS
    assert all(
        torch.equal(value, again.model.state_dict()[key])
        for key, value in model.state_dict().items()
    )
    forget(card.name)
    assert list(own_folder().iterdir()) == []
    with pytest.raises(NetworkError, match=r"No network 'own/.*' was kept\. Choose one of: none\."):
        forget(card.name)


def test_other_weights_of_one_name_are_another_network(model: nn.Module):
    """Everybody's file is called best.pt, and loaded networks are remembered by name."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    first = read_own(save(state), NAME, name="best.pt").card.name
    state["classifier.3.bias"] += 1
    assert read_own(save(state), NAME, name="best.pt").card.name != first
    assert read_own(save(model.state_dict()), NAME, name="best.pt").card.name == first


def test_a_name_leads_nowhere_else(model: nn.Module):
    """The file's name comes from a browser and becomes a file's name here."""
    card = keep(read_own(save(model.state_dict()), NAME, name="../../etc/pass wd\x00.pt"))
    assert {path.parent for path in own_folder().iterdir()} == {own_folder()}
    assert re.fullmatch(r"own/pass_wd-\w{6}", card.name)


class Payload:
    """What an attacker would put into a pickle: unpickling it makes a folder."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path):
    """PyTorch's old way of loading runs whatever a file says."""
    proof = tmp_path / "executed"
    content = pickled({"fc.weight": Payload(proof)})
    refused(
        content,
        r"neither a safetensors file nor a state dict of tensors alone\. If it holds a whole model "
        r"or other",
    )
    assert not proof.exists()
    torch.load(BytesIO(content), weights_only=False)
    assert proof.exists(), "the payload was a dud, and the test proves nothing"


def test_a_whole_model_is_refused(model: nn.Module):
    """`torch.save(model)` is the commonest mistake; the sentence says what to write instead."""
    refused(
        pickled(model),
        r"whole model or other code, which se_viz does not run, write `model\.state_dict\(\)`",
    )


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 half of an archive", os.urandom(5000), b"\x80\x04."]
)
def test_what_is_no_weights_at_all_is_refused(content: bytes):
    """Any file may be dropped."""
    refused(content, r"^mine\.pt is neither")


def test_a_safetensors_file_cut_short_is_refused(model: nn.Module):
    """An upload that broke off begins as it should."""
    refused(save(model.state_dict())[:100_000], r"mine\.pt is a damaged safetensors file")


@pytest.mark.parametrize(
    "values", [[1, 2], {"a": 1}, {}, {"state_dict": {}}, {"a": torch.zeros(2).to_sparse()}]
)
def test_a_pickle_of_something_else_is_refused(values: object):
    """Lists, numbers, nothing, and tensors of a kind no network has."""
    refused(pickled(values), r"^mine\.pt (holds a list|is no state dict of plain tensors)")


def edited(model: nn.Module, edit: Callable[[dict[str, Any]], object]) -> bytes:
    state = {key: value.clone() for key, value in model.state_dict().items()}
    edit(state)
    return pickled(state)


def test_weights_of_another_architecture_are_refused(model: nn.Module):
    """How many of the names agree tells a wrong choice from a damaged file."""
    refused(
        save(model.state_dict()),
        r"other weights than se_resnet50: 0 of its \d+ tensors",
        architecture="se_resnet50",
    )


def test_a_depth_alone_means_full_width():
    """Whoever trained the paper's SE-ResNet-50 has its widths, whatever width the bundled network
    has.
    """
    network = read_own(
        save(build_se_resnet("se_resnet50", num_classes=3).state_dict()), "se_resnet50", name="m.pt"
    )
    assert len(network.classes) == 3


def test_the_bundled_network_is_an_architecture_by_its_name():
    """Its width of its own is told by its name alone; the gates of the same weights are the same
    to the bit.
    """
    bundled = load_network(list_networks()[0].name, "cpu")
    own = read_own(FOLDER / f"{bundled.card.name}.safetensors", bundled.card.name, device="cpu")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with (
        torch.inference_mode(),
        capture_gates(own.model) as own_records,
        capture_gates(bundled.model) as records,
    ):
        own.model(image)
        bundled.model(image)
    assert len(own_records) == 16
    assert all(
        torch.equal(own_record.gate, record.gate)
        for own_record, record in zip(own_records, records, strict=True)
    )


def test_a_missing_tensor_is_named(model: nn.Module):
    """Half a network would answer nonsense."""
    content = edited(model, lambda state: state.pop("features.0.0.weight"))
    refused(
        content,
        r"features\.0\.0\.weight is missing\. Choose the architecture they were trained with",
    )


def test_a_file_without_a_classifier_is_told_from_one_of_another_architecture(model: nn.Module):
    """Weights of a backbone are half of what is needed, and choosing another architecture would
    not help.
    """

    def cut(state: dict[str, Tensor]) -> None:
        for name in ("classifier.3.weight", "classifier.3.bias"):
            del state[name]

    refused(
        edited(model, cut),
        r"has no classifier: classifier\.3\.weight and classifier\.3\.bias are missing.* Save the",
    )


def test_a_wrong_shape_is_named(model: nn.Module):
    """Both shapes: what was found and what is needed."""
    content = edited(model, lambda state: state.update({"features.0.1.bias": torch.zeros(5)}))
    refused(content, r"features\.0\.1\.bias has shape \(5,\) instead of \(16,\)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(model: nn.Module, value: float):
    """One NaN makes every gate after it NaN."""
    content = edited(model, lambda state: state["features.0.1.bias"].fill_(value))
    refused(content, r"features\.0\.1\.bias holds values that are not finite")


def test_a_tensor_of_no_real_size_is_refused(model: nn.Module):
    """A stride of zero lets four bytes claim a classifier of a billion classes: it must not be
    built.
    """
    huge = torch.zeros(1, 1).expand(10**9, 1024)
    refused(
        edited(model, lambda state: state.update({"classifier.3.weight": huge})),
        r"for 1000000000 classes",
    )


def test_an_archive_that_unpacks_to_far_more_is_refused(model: nn.Module):
    """A megabyte of compressed zeros is a gigabyte in memory."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(20_000_000))
    refused(packed.getvalue(), r"would unpack to 20 MB, which no state dict of its size does")


def test_two_gigabytes_are_refused_unread(tmp_path: Path):
    """A sparse file has the size and takes no disk; it is refused by its size before a byte is
    read.
    """
    path = tmp_path / "mine.pt"
    with path.open("wb") as file:
        file.truncate(2 * 10**9)
    refused(
        path,
        r"mine\.pt has 2\.0 GB, more than the 1\.1 GB that se_viz reads\. Save the weights alone",
    )


def test_a_missing_file_is_said(tmp_path: Path):
    """The command line names files."""
    refused(
        tmp_path / "no.pt", r"no\.pt cannot be read: No such file or directory\. Check the name\."
    )


def test_labels_have_to_be_as_many_as_classes(model: nn.Module):
    """One too few shifts every name after it."""
    refused(
        save(model.state_dict()),
        r"The list has 2 labels, and the classifier 7 classes\.",
        labels=("a", "b"),
    )


def test_a_label_is_no_book(model: nn.Module):
    """The card that keeps it would be refused when it is read."""
    long = ("b" * 1001, *"cdefgh")
    refused(
        save(model.state_dict()),
        r"The label b{79}… has 1001 letters, more than 1000\.",
        labels=long,
    )


def test_an_unknown_architecture_is_said(model: nn.Module):
    """The sentence says where the names are."""
    with pytest.raises(
        NetworkError,
        match=r"no architecture 'alexnet'\. .*se_viz networks`, or one of: se_resnet18",
    ):
        read_own(save(model.state_dict()), "alexnet")


def test_labels_are_one_a_line(tmp_path: Path):
    """From a text field or a file of any system; pages show them as they are, whatever Markdown
    would make of them.
    """
    assert parse_labels(" cat\r\n\n dog  \n![x](y)\n") == ("cat", "dog", "![x](y)")
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcat\ndog")
    assert read_labels(tmp_path / "labels.txt") == ("cat", "dog")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"labels\.txt cannot be read as text"):
        read_labels(tmp_path / "labels.txt")


def test_any_module_becomes_a_network(se_net: nn.Module):
    """A researcher's own model needs no card; classes without names are numbered."""
    network = Network.from_model(se_net.train(), input_size=64)
    assert network.classes == tuple(f"class {index}" for index in range(5))
    assert network.model is se_net
    assert not se_net.training
    assert network.preprocess(open_image(list_samples()[0].path)).shape == (1, 3, 64, 64)


def test_a_module_that_se_viz_cannot_show_is_said(se_net: nn.Module):
    """Without SE blocks there is nothing to see; without logits nothing to name."""
    with pytest.raises(NoSEBlocksError, match="has no squeeze-and-excitation block"):
        Network.from_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), input_size=8)
    with pytest.raises(
        NetworkError, match=r"returns 5 values for 2 class names: .* or name every class"
    ):
        Network.from_model(se_net, classes=("a", "b"), input_size=64)
    with pytest.raises(
        NetworkError, match=r"returns \(1, 1, 5\) for one image, and se_viz needs a classifier's"
    ):
        Network.from_model(nn.Sequential(se_net, nn.Unflatten(1, (1, 5))), input_size=64)
