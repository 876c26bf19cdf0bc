"""The devices of this machine as its driver tells them: at once, without importing PyTorch."""

import ctypes
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_LONGEST = 256
"""Bytes of a device's name."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What PyTorch will find, as far as it can be told before PyTorch is imported."""

    names: tuple[str, ...]
    """Names of the devices, best first; ``cpu`` is always the last."""
    reason: str
    """What the best of them is, or why there is none but the CPU: one sentence for people."""


def ask_driver() -> Devices:
    """Name the devices that PyTorch will find, best first, and say why it takes the first."""
    build = _cuda_of_build()
    if build is None:
        return Devices(("cpu",), "CPU: this build of PyTorch has no CUDA support.")
    titles = _ask_cuda(build)
    if not titles:
        return Devices(("cpu",), "CPU: PyTorch finds no GPU on this machine.")
    names = tuple(f"cuda:{index}" for index in range(len(titles)))
    return Devices((*names, "cpu"), f"{titles[0]} ({names[0]})")


def _cuda_of_build() -> int | None:
    """Return the major version of CUDA that PyTorch was built with; None without CUDA."""
    # As a text: to import any part of PyTorch is to import all of it.
    spec = find_spec("torch")
    text = ""
    with suppress(OSError):
        if spec and spec.origin:
            text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    match = re.search(r"^cuda\b.*= '(\d+)[.\d]*'$", text, re.MULTILINE)
    return int(match.group(1)) if match else None


def _ask_cuda(build: int) -> list[str]:
    """Return what the driver calls the GPUs that this process may use."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return []
    version = ctypes.c_int()
    count = ctypes.c_int()
    # Each answers 0 where it could; a driver for an older CUDA cannot run this build.
    if driver.cuInit(0) or driver.cuDriverGetVersion(ctypes.byref(version)):
        return []
    if version.value // 1000 < build or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [_name_of(driver, index) for index in range(count.value)]


def _name_of(driver: ctypes.CDLL, index: int) -> str:
    handle = ctypes.c_int()
    name = ctypes.create_string_buffer(_LONGEST)
    driver.cuDeviceGet(ctypes.byref(handle), index)
    driver.cuDeviceGetName(name, _LONGEST, handle)
    return name.value.decode(errors="replace")
