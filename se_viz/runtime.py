"""Where networks run: the choice of device, with its reason."""

from dataclasses import dataclass

import torch

from se_viz.errors import DeviceError


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The device a network runs on, and why it is this one."""

    device: torch.device
    """The device itself."""
    reason: str
    """One sentence for people."""


def available_devices() -> tuple[str, ...]:
    """Name the devices of this machine, best first; ``cpu`` is always the last."""
    gpus = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return (*gpus, "cpu") if torch.cuda.is_available() else ("cpu",)


def choose_device(requested: str | None = None) -> DeviceChoice:
    """Choose the requested device, or the best one this machine has.

    Raises:
        DeviceError: the requested device is not on this machine.
    """
    names = available_devices()
    name = requested or names[0]
    name = "cuda:0" if name == "cuda" else name
    if name not in names:
        raise DeviceError(f"There is no device {requested!r} on this machine. Choose one of: {', '.join(names)}.")
    return DeviceChoice(torch.device(name), _reason(name))


def _reason(name: str) -> str:
    if name != "cpu":
        return f"{torch.cuda.get_device_name(name)} ({name})"
    if torch.cuda.is_available():
        return "CPU, as chosen; this machine has a GPU too."
    if torch.version.cuda is None:
        return "CPU: this build of PyTorch has no CUDA support."
    return "CPU: PyTorch finds no GPU on this machine."
