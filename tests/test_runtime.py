import pytest
import torch

from se_viz.errors import DeviceError
from se_viz.runtime import available_devices, choose_device

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_the_cpu_is_always_there_and_always_last():
    """The list is best first, and every machine can fall back on its CPU."""
    names = available_devices()
    assert names[-1] == "cpu"
    assert names.count("cpu") == 1


def test_the_best_device_is_the_default():
    """Nobody who has a GPU should have to ask for it."""
    assert choose_device().device == torch.device(available_devices()[0])


@pytest.mark.parametrize("name", available_devices())
def test_every_device_that_is_listed_can_be_chosen_and_used(name: str):
    """The menu offers nothing that fails afterwards."""
    choice = choose_device(name)
    assert torch.ones(2, device=choice.device).sum().item() == 2
    assert choice.device == torch.device(name)


@pytest.mark.parametrize("requested", [None, "cpu"])
def test_the_cpu_comes_with_its_reason(requested: str | None):
    """A slow run should say why it is slow: one sentence that names the CPU, asked for or not."""
    choice = choose_device(requested)
    if choice.device.type == "cpu":
        assert choice.reason.startswith("CPU")
        assert choice.reason.endswith(".")


@pytest.mark.parametrize("name", ["cuda:99", "mps", "gpu", "CPU"])
def test_an_unknown_device_is_refused_with_the_known_ones(name: str):
    """No silent fallback: the message lists what there is."""
    with pytest.raises(DeviceError, match=rf"no device '{name}' on this machine\. Choose one of: .*cpu\."):
        choose_device(name)


@without_gpu
def test_asking_for_a_gpu_without_one_is_refused():
    """The word that was typed stands in the message, not the one it was turned into."""
    with pytest.raises(DeviceError, match=r"no device 'cuda' on this machine\. Choose one of: cpu\."):
        choose_device("cuda")


@pytest.mark.gpu
def test_a_gpu_is_named():
    """`cuda` means the first GPU; its reason is the name on the box."""
    choice = choose_device("cuda")
    assert choice.device == torch.device("cuda:0")
    assert choice.reason == f"{torch.cuda.get_device_name(0)} (cuda:0)"
