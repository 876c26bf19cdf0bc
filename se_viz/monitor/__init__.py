"""The gates of a network that is being trained, over its steps."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.monitor.statistics import GateStatistics
    from se_viz.monitor.watching import GateMonitor

__all__ = ["GateMonitor", "GateStatistics"]

__getattr__ = import_on_first_use(
    __name__, {"statistics": ("GateStatistics",), "watching": ("GateMonitor",)}
)
