"""Weights as training programs write them fill a model of one's own; which ones is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from se_viz.errors import CheckpointError
from se_viz.networks.filling import fill_model

State = dict[str, Tensor]


def build() -> nn.Module:
    """Return a model with a norm, whose counter is a whole number."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))


@pytest.fixture
def state() -> State:
    """Weights of such a model, other ones than a new model has."""
    generator = torch.Generator().manual_seed(3)
    new = build().state_dict()
    return {
        name: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for name, value in new.items()
    }


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def others(state: State) -> State:
    """Return other weights of the same shapes, as an average of the first has."""
    return {name: value / 2 for name, value in state.items()}


SHAPES: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "of DataParallel": lambda state: under("module.", state),
    "of Lightning, as model": lambda state: {"state_dict": under("model.", state), "epoch": 3},
    "of Lightning, as net": lambda state: {
        "state_dict": under("net.", state),
        "hyper_parameters": {"lr": 0.1},
        "pytorch-lightning_version": "2.5",
    },
    "compiled": lambda state: under("_orig_mod.", state),
    "compiled inside of DataParallel": lambda state: under("module._orig_mod.", state),
    "compiled inside of Lightning": lambda state: {"state_dict": under("model._orig_mod.", state)},
    **{
        f"under {key}": lambda state, key=key: {key: state, "epoch": 3, "best": 0.7}
        for key in ("model", "state_dict", "net", "network", "model_state_dict", "weights")
    },
    **{
        f"only {key}": lambda state, key=key: {key: state, "epoch": 3}
        for key in ("ema", "model_ema", "state_dict_ema")
    },
    "beside an optimiser": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": state["0.weight"]}}, "param_groups": [{"lr": 0.1}]},
        "scheduler": {"last_epoch": 3},
        "epoch": 3,
    },
    "beside its average": lambda state: {"state_dict_ema": others(state), "state_dict": state},
    "beside an average first": lambda state: {"ema": others(state), "model": state, "epoch": 3},
    "beside an average of Lightning's": lambda state: {
        "state_dict": under("ema_model.", others(state)) | under("model.", state)
    },
    "beside a teacher": lambda state: {"teacher": others(state), "student": state},
    "without counters": lambda state: {
        name: value for name, value in state.items() if "num_batches" not in name
    },
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_weights_fill_a_model_however_they_lie(
    tmp_path: Path, state: State, shape: Callable[[State], Any], legacy: bool
):
    """The weights themselves, and not an average of them, where both are there."""
    path = tmp_path / "w.pth"
    torch.save(shape(state), path, _use_new_zipfile_serialization=not legacy)
    model = build()
    fill_model(model, path, "net.py:make")
    filled = model.state_dict()
    assert all(torch.equal(filled[name], value) for name, value in state.items())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".safetensors", ""])
def test_the_ending_of_a_file_does_not_count(tmp_path: Path, state: State, suffix: str):
    """What is in it tells: people rename files."""
    path = tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(under("module.", state), path)
    else:
        torch.save(under("module.", state), path)
    model = build()
    assert fill_model(model, path, "net.py:make") == ""
    assert torch.equal(model.state_dict()["0.weight"], state["0.weight"])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read_in_the_models(
    tmp_path: Path, state: State, kind: torch.dtype
):
    """Half the size on disk, and no other network: each value is the one in the file."""
    torch.save({name: value.to(kind) for name, value in state.items()}, tmp_path / "w.pt")
    model = build()
    fill_model(model, tmp_path / "w.pt", "net.py:make")
    weight = model.get_parameter("0.weight")
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["0.weight"].to(kind).float())


def test_of_weights_and_their_average_it_is_said_which_were_taken(tmp_path: Path, state: State):
    """The two answer differently, and both are right to somebody."""
    torch.save({"ema": others(state), "model": state}, tmp_path / "w.pt")
    assert fill_model(build(), tmp_path / "w.pt", "net.py:make") == (
        "Read from 'model.'; 'ema.' would fit too: to see those, save them alone."
    )


def test_weights_of_another_model_name_the_tensors(tmp_path: Path, state: State):
    """One tensor of another shape, and one that is missing: both are named."""
    wrong = {**state, "3.weight": torch.ones(5, 8)}
    del wrong["3.bias"]
    torch.save(wrong, tmp_path / "w.pt")
    sentence = r"^w\.pt does not fit its architecture: 3\.bias is missing; 3\.weight has shape \(5,"
    with pytest.raises(CheckpointError, match=sentence):
        fill_model(build(), tmp_path / "w.pt", "net.py:make")


def test_a_model_without_weights_takes_none(tmp_path: Path, state: State):
    """What is left out counts for nothing, which nobody meant."""
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"^net\.py:make has no weights\. Leave the file"):
        fill_model(nn.Flatten(), tmp_path / "w.pt", "net.py:make")
