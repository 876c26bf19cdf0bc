"""Where networks run: the choice of device, with its reason.

Its line, its limits and its memory.
"""

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from se_viz.devices.line import Line, Turn, Watch
from se_viz.devices.teams import dismiss_team
from se_viz.errors import DeviceError, SettingError, TooLittleMemoryError

SETTINGS = {"SE_VIZ_WAITING": 200, "SE_VIZ_NETWORKS": 4, "SE_VIZ_TOGETHER": 8}
"""Environment variables and their defaults, each for one device.

How many passes may wait, how many networks stay loaded, and how many people's images go into one
pass.
"""

Item = TypeVar("Item")
Result = TypeVar("Result")

# What PyTorch says on a CPU, where it has no class of its own for it.
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)

_lines: dict[str, Line] = {}
_lock = threading.Lock()


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
        raise DeviceError(
            f"There is no device {requested!r} on this machine. Choose one of: {', '.join(names)}."
        )
    return DeviceChoice(torch.device(name), _reason(name))


def _reason(name: str) -> str:
    if name != "cpu":
        return f"{torch.cuda.get_device_name(name)} ({name})"
    if torch.cuda.is_available():
        return "CPU, as chosen; this machine has a GPU too."
    if torch.version.cuda is None:
        return "CPU: this build of PyTorch has no CUDA support."
    return "CPU: PyTorch finds no GPU on this machine."


def setting(name: str) -> int:
    """Return a setting of the environment, or its default.

    Raises:
        SettingError: it is no whole number above 0.
    """
    value = os.environ.get(name, str(SETTINGS[name]))
    if not value.isdecimal() or not int(value):
        raise SettingError(
            f"{name} is {value!r}. It takes a whole number from 1 on: set it, or unset it."
        )
    return int(value)


def line_of(device: torch.device) -> Line:
    """Return the line of a device: every pass on it waits there for its turn.

    Raises:
        SettingError: ``SE_VIZ_WAITING`` is no whole number above 0.
    """
    name = device.type if device.type == "cpu" else f"{device.type}:{device.index or 0}"
    with _lock:
        if name not in _lines:
            rest = {"rest": dismiss_team} if name == "cpu" else {}
            _lines[name] = Line(name, setting("SE_VIZ_WAITING"), **rest)
        return _lines[name]


def lay_out(images: Tensor) -> Tensor:
    """Return images as a CPU likes them: batches run a third faster where a pixel's colours lie
    side by side.
    """
    fast = images.device.type == "cpu" and images.ndim == 4
    return images.contiguous(memory_format=torch.channels_last) if fast else images


@contextmanager
def turn_with_gradients(
    device: torch.device, watch: Watch = lambda _: None, *, sliced: bool = True
) -> Iterator[Turn]:
    """Hold a device's turn with gradients on, whatever the caller has set.

    For ``sliced`` see `Line.turn`.

    Raises:
        BusyError: too many wait for the device.
    """
    with (
        line_of(device).turn(watch, sliced=sliced) as turn,
        # Inference mode of the caller would keep gradients off, whatever else is set.
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield turn


def give_way(turn: Turn, device: torch.device) -> float:
    """Let others run on a device, if any wait; return how many seconds they had it."""
    # A GPU works on after a call returns: the turn would be given away too early.
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    turn.give_way()
    return time.perf_counter() - started


@contextmanager
def memory_in_words(device: torch.device | str, subject: str) -> Iterator[None]:
    """Say in one sentence that a device's memory is too small for the subject of this block.

    Raises:
        TooLittleMemoryError: it is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        certain = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not certain and not _NO_MEMORY.search(str(error)):
            raise
        alternative = "" if str(device) == "cpu" else " or the device cpu"
        raise TooLittleMemoryError(
            f"{device} has too little memory left for {subject}. Lower SE_VIZ_NETWORKS, or choose "
            f"a smaller network{alternative}."
        ) from error


def fit_memory(run: Callable[[int], Result], most: int, *, least: int = 1) -> Result:
    """Return ``run(most)``; where memory runs out, that of half as many, and so on.

    Raises:
        torch.OutOfMemoryError: not even ``least`` fit.
    """
    while True:
        try:
            return run(most)
        except torch.OutOfMemoryError:
            if most <= least:
                raise
        # Only here, after the error and its tensors are gone.
        torch.cuda.empty_cache()
        most = max(least, most // 2)


def run_halving(
    run: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    *,
    device: torch.device,
    subject: str,
) -> list[Result]:
    """Run items in one pass; where the device's memory is too small for that, half as many in each.

    Raises:
        TooLittleMemoryError: one item of the ``subject`` alone is too much.
    """
    results: list[Result] = []
    most = len(items)
    with memory_in_words(device, subject):
        while len(results) < len(items):
            rest = items[len(results) :]
            part = fit_memory(lambda count, rest=rest: [*run(rest[:count])], min(most, len(rest)))
            most = len(part)
            results += part
    return results


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes held at once: by PyTorch on a GPU, by this process on the CPU.

    None: not told.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    from resource import RUSAGE_SELF, getrusage

    # The unit differs: kibibytes on Linux, bytes on macOS.
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
