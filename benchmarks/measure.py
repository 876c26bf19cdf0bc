"""What all measurements share: the order of pairs, medians with their spread, and the table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of a series of values, and where its middle half lies."""

    median: float
    """Half of the values are smaller."""
    low: float
    """A quarter of the values is smaller (linear interpolation)."""
    high: float
    """Three quarters of the values are smaller."""

    def show(self, digits: int, unit: str = "") -> str:
        """Return ``median (low to high)`` with a unit behind the median."""
        return f"{self.median:.{digits}f}{unit} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles of at least two values."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


def interleave(repeats: int) -> Iterator[tuple[int, int]]:
    """Yield ``repeats`` orders of a pair: (0, 1), (1, 0), (0, 1), ...

    What drifts during a run meets both alike, and neither always runs in the other's warm cache.
    """
    for repeat in range(repeats):
        yield (1, 0) if repeat % 2 else (0, 1)


def time_pairs(
    first: Callable[[], float], second: Callable[[], float], repeats: int
) -> list[tuple[float, float]]:
    """Call two functions in interleaved order.

    Return the seconds that each pair of calls reported.
    """
    pairs = []
    for order in interleave(repeats):
        seconds = {which: (first, second)[which]() for which in order}
        pairs.append((seconds[0], seconds[1]))
    return pairs


def ratios(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Return for each pair how many times as long the second took."""
    return [second / first for first, second in pairs]


def as_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, ready for ``docs/benchmarks.md``."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in (head, rule, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def peak_memory(pid: int | str = "self") -> float | None:
    """Return the most memory a process has held at once, in MiB (VmHWM).

    None where Linux does not tell.
    """
    return _status(pid, "VmHWM:")


def resident_memory(pid: int | str = "self") -> float | None:
    """Return the memory a process holds now, in MiB (VmRSS); None where Linux does not tell."""
    return _status(pid, "VmRSS:")


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which so many in a hundred lie (linear interpolation).

    Of one value, it alone.
    """
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def show_memory(mebibytes: float | None) -> str:
    """Return an amount of memory for a table."""
    return "not told here" if mebibytes is None else f"{mebibytes:.0f} MiB"


def _status(pid: int | str, name: str) -> float | None:
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), None)
