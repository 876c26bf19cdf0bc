"""Numbers as people read them: as many decimals as the largest of those that stand together
needs.
"""

from collections.abc import Iterable
from math import floor, isfinite, log10


def count_decimals(values: Iterable[float]) -> int:
    """Return with how many decimals the largest of some numbers shows two figures; from 2 to 5."""
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    return min(max(2, 1 - floor(log10(largest))), 5) if largest else 2


def signed(value: float, decimals: int = 2) -> str:
    """Return a number with its sign; one that rounds to nothing has none."""
    text = f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]
