"""The gates of a training run over its steps, in a file beside its log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from se_viz.errors import SeVizError
from se_viz.gates.inspection import inspect_gates
from se_viz.monitor import GateMonitor

FILE = "gates.parquet"
"""What the file is called in a run's folder; its columns are those of `GateStatistics`."""
EVERY = 100
"""Steps from one look to the next: the gates of some passes cost less than 1 % of all."""


@contextmanager
def watching(
    model: nn.Module,
    folder: Path,
    step: Callable[[], int],
    *,
    size: int,
    eval_mode: bool = False,
) -> Iterator[None]:
    """Write the gates of every hundredth step of a run to its folder, where the model has gates.

    ``step`` returns the number of the step that is being trained, over the whole run; ``size`` is a
    side of its images, in pixels.

    Raises:
        DataError: the file cannot be written.
    """
    blocks = _readable(model, size)
    if not blocks:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    monitor = GateMonitor(
        model, EVERY, to=folder / FILE, step=step, eval_mode=eval_mode, blocks=blocks
    )
    with monitor:
        yield


def _readable(model: nn.Module, size: int) -> frozenset[str]:
    """Return the blocks whose gates can be read: one that cannot is no reason not to train."""
    try:
        return frozenset(site.block for site in inspect_gates(model, size=size).sites)
    except SeVizError:
        return frozenset()
