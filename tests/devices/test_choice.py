import pytest
import torch

from se_viz.devices import choice as runtime
from se_viz.devices.choice import (
    SETTINGS,
    available_devices,
    choose_device,
    line_of,
    peak_memory,
    setting,
)
from se_viz.errors import DeviceError, SettingError

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
    with pytest.raises(
        DeviceError, match=rf"no device '{name}' on this machine\. Choose one of: .*cpu\."
    ):
        choose_device(name)


@without_gpu
def test_asking_for_a_gpu_without_one_is_refused():
    """The word that was typed stands in the message, not the one it was turned into."""
    with pytest.raises(
        DeviceError, match=r"no device 'cuda' on this machine\. Choose one of: cpu\."
    ):
        choose_device("cuda")


@pytest.mark.gpu
def test_a_gpu_is_named():
    """`cuda` means the first GPU; its reason is the name on the box."""
    choice = choose_device("cuda")
    assert choice.device == torch.device("cuda:0")
    assert choice.reason == f"{torch.cuda.get_device_name(0)} (cuda:0)"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_has_a_default_and_takes_a_whole_number(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """Nobody has to set anything, and who does is obeyed."""
    monkeypatch.delenv(name, raising=False)
    assert setting(name) == SETTINGS[name]
    monkeypatch.setenv(name, "7")
    assert setting(name) == 7


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "", "²"])
def test_a_setting_that_is_no_number_is_named(value: str, monkeypatch: pytest.MonkeyPatch):
    """A silent default would leave somebody wondering why the bound they set does not hold."""
    monkeypatch.setenv("SE_VIZ_NETWORKS", value)
    with pytest.raises(
        SettingError,
        match=rf"^SE_VIZ_NETWORKS is '{value}'\. It takes a whole number from 1 on: set",
    ):
        setting("SE_VIZ_NETWORKS")


def test_a_device_has_one_line_whatever_it_is_called(monkeypatch: pytest.MonkeyPatch):
    """`cuda` and `cuda:0` are one device: two lines would let two passes run beside each other."""
    monkeypatch.setattr(runtime, "_lines", {})
    assert line_of(torch.device("cpu")) is line_of(torch.device("cpu", 0))
    assert line_of(torch.device("cuda")) is line_of(torch.device("cuda", 0))
    names = {line_of(torch.device(name)).name for name in ("cpu", "cuda", "cuda:1")}
    assert names == {"cpu", "cuda:0", "cuda:1"}


def test_a_line_has_the_bound_that_was_set(monkeypatch: pytest.MonkeyPatch):
    """The setting is read when a device is first used."""
    monkeypatch.setattr(runtime, "_lines", {})
    monkeypatch.setenv("SE_VIZ_WAITING", "3")
    assert line_of(torch.device("cpu")).bound == 3


def test_peak_memory_of_the_cpu_is_that_of_the_process():
    """A process that has held 64 MiB of written bytes cannot have a smaller peak."""
    block = bytearray(b"1") * (64 * 2**20)
    peak = peak_memory(torch.device("cpu"))
    if peak is None:
        pytest.skip("Windows does not tell a process's peak memory.")
    assert peak > len(block)
