"""The machine a measurement was taken on; the only place that describes it."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("torch", "torchvision", "streamlit", "plotly")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to judge a number by."""

    processor: str
    """Model name of the CPU."""
    cores: int
    """Cores that this process may use."""
    memory: float | None
    """Main memory in GiB, where the system tells."""
    gpu: str | None
    """Name of the first GPU, or None."""
    python: str
    """Version of Python."""
    packages: str
    """Names and versions of the packages that the times depend on."""
    load: float | None
    """Load average of the last minute: an idle machine has less than 0.5 before a measurement."""

    def show(self) -> str:
        """Return the description, one line a fact."""
        memory = f", {self.memory:.0f} GiB of memory" if self.memory is not None else ""
        load = (
            f"{self.load:.2f} when the measurement began"
            if self.load is not None
            else "not told here"
        )
        return (
            f"Machine: {self.processor}, {self.cores} core{'s' if self.cores > 1 else ''}{memory}\n"
            f"GPU: {self.gpu or 'none'}\n"
            f"Software: Python {self.python}, {self.packages}\n"
            f"Load: {load}"
        )


def describe_machine() -> Machine:
    """Describe this machine; to be called before a measurement, for the sake of the load."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        memory=_memory(),
        gpu=_gpu(),
        python=platform.python_version(),
        packages=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
