"""What a process holds at one moment: memory, threads, open files and children.

Only Linux tells.
"""

import gc
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import resident_memory, show_memory

HEAD = ("resident memory", "threads", "open files", "children")
"""What the columns of `Usage.row` hold."""
NOISE = 0.03
"""The share by which resident memory may move and still be called flat: what an allocator keeps."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds; None where the system does not tell."""

    memory: float | None
    """Resident memory in MiB."""
    threads: int | None
    """Threads, sleeping ones included."""
    descriptors: int | None
    """Open files, sockets and pipes."""
    children: int | None
    """Child processes, dead ones that nobody has waited for included."""

    def row(self) -> list[str]:
        """Return the cells of a table."""
        counts = (self.threads, self.descriptors, self.children)
        return [
            show_memory(self.memory),
            *("not told here" if count is None else str(count) for count in counts),
        ]


def take_usage(pid: int | str = "self") -> Usage:
    """Return what a process holds now, after a collection where it is this one."""
    if pid == "self":
        gc.collect()
    children = [task / "children" for task in Path(f"/proc/{pid}/task").glob("*")]
    is_readable = bool(children) and all(file.is_file() for file in children)
    return Usage(
        resident_memory(pid),
        _count(Path(f"/proc/{pid}/task")),
        _count(Path(f"/proc/{pid}/fd")),
        sum(len(file.read_text().split()) for file in children) if is_readable else None,
    )


def describe_growth(start: Usage, end: Usage) -> str:
    """Say what a process holds more than at the start, or that it is flat."""
    if start.threads is None:
        return "Not told here: only Linux tells what a process holds."
    growth = []
    if start.memory and end.memory and end.memory > (1 + NOISE) * start.memory:
        growth.append(f"memory by {end.memory - start.memory:.0f} MiB")
    for name in ("threads", "descriptors", "children"):
        before = getattr(start, name)
        after = getattr(end, name)
        if before is not None and after is not None and after > before:
            growth.append(f"{name} by {after - before}")
    return (
        f"Grown: {', '.join(growth)}."
        if growth
        else "Flat: memory, threads, open files and children."
    )


def wait_until_flat(pid: int, start: Usage, patience: float) -> tuple[Usage, float]:
    """Wait until a process holds no more than at the start.

    Return what it holds then, and the seconds.
    """
    began = time.monotonic()
    while True:
        usage = take_usage(pid)
        waited = time.monotonic() - began
        if not describe_growth(start, usage).startswith("Grown") or waited > patience:
            return usage, waited
        time.sleep(1)


def _count(folder: Path) -> int | None:
    return len(list(folder.iterdir())) if folder.is_dir() else None
