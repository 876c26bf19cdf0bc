"""Watching the gates of a network while it is trained: one training pass in so many.

Why: docs/decisions/049-a-monitor-looks-into-single-passes.md
"""

import warnings
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from se_viz.errors import CaptureError, CaptureWarning, OptionError, SeVizError
from se_viz.gates.capture import Capture, collecting, read_pair
from se_viz.gates.compiled import find_traced, is_compiled_in_place, name_unseen
from se_viz.gates.health import Limits
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.records import GateSite, use_name
from se_viz.gates.sites import complete_site, describe_site
from se_viz.monitor.destinations import open_destination
from se_viz.monitor.statistics import GateStatistics, summarise_pass


class GateMonitor:
    """Write statistics of every block's gates while a model is trained.

    A context manager around a training loop, whatever it looks like::

        with se_viz.GateMonitor(model, every=100, to="gates.parquet"):
            train(model)

    Every ``every``-th training pass is captured as it runs, in training mode, with the batch that
    it has; each SE block leaves one `GateStatistics`. Losses, gradients, weights and random numbers
    are those of training without it, bit for bit. In all other passes a hook on the model returns
    at once.

    A training pass is one that autograd records, with the model in training mode: what runs under
    `torch.no_grad` or in evaluation mode is neither counted nor seen. Only passes of the thread
    that opened the ``with`` block count.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        *,
        to: str | Path | Callable[[tuple[GateStatistics, ...]], object] | Any,
        step: Callable[[], int] | None = None,
        eval_mode: bool = False,
        blocks: Collection[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to watch; nothing happens to the model before the ``with`` block.

        ``to`` is where the rows go:

        - a path that ends in ``.csv``, ``.jsonl`` or ``.parquet``: a row a block and step. Rows of
          an older file are kept up to the first step that is written, so that a run that was
          stopped goes on in its file. A kill loses no row of ``.csv`` and ``.jsonl``, and at most
          the last tenth of a large ``.parquet``, which is written whole each time.
        - a `SummaryWriter` of TensorBoard, or what has its ``add_scalar``: curves like
          ``gate_mean/SE_4_3``.
        - a run of Weights & Biases, or what has its ``log``: numbers like ``gates/SE_4_3/mean``,
          which go with the next row that the training loop logs.
        - a function, which is given the rows of one pass: ``rows.extend`` of a list keeps them all.

        ``step`` returns the number of the step that is being trained; a step is looked at if it is
        a multiple of ``every``, and once. Without it training passes are counted from 0: give it
        where a step accumulates gradients of several passes, or a run is resumed.
        ``eval_mode`` counts passes in evaluation mode too, as of training with frozen norms.
        ``blocks`` leaves out what it does not name, as of `capture_gates`. ``limits`` are those of
        `check_health`.

        Raises:
            OptionError: ``every`` is no positive number, or ``to`` is nothing that rows go to.
            CaptureError: the model is `nn.DataParallel`, whose copies no hook sees.
        """
        if not isinstance(every, int) or every < 1:
            raise OptionError(f"every is {every!r}. Give a whole number from 1 on, such as 100.")
        if any(isinstance(module, nn.DataParallel) for module in model.modules()):
            raise CaptureError(
                "nn.DataParallel runs copies of the model in threads of their own, where no hook "
                "is called. Train with nn.parallel.DistributedDataParallel, or on one device."
            )
        self.model = model
        self.every = every
        self._destination = open_destination(to)
        self._step = step
        self._eval_mode = eval_mode
        self._blocks = blocks
        self._limits = limits or Limits()
        self._passes = 0
        self._left_out = 0
        self._last: int | None = None
        self._seen = False
        self._sites: dict[str, GateSite] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "GateMonitor":
        """Begin to count passes.

        Raises:
            CaptureError: the model is compiled, where hooks are ignored.
            DataError: the file cannot be written, or holds something else.
        """
        _check_compiled(self.model)
        self._destination.check()
        listener = Listener(self.model, {}, begin=self._begin)
        self._stack.enter_context(listening(listener))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the hook away, and write what has not been written yet.

        Raises:
            DataError: the file cannot be written.
        """
        self._stack.close()
        try:
            self._destination.close()
        except SeVizError as problem:
            if kind is None:
                raise
            # What ended the training is what its owner has to hear of.
            _warn(problem)
        if kind is None and not self._passes:
            _warn(self._say_unseen())

    def _begin(self) -> Callable[[], None] | None:
        """Open a capture if the pass that begins is to be looked at."""
        if not torch.is_grad_enabled():
            return None
        if not (self.model.training or self._eval_mode):
            self._left_out += 1
            return None
        step = self._step() if self._step else self._passes
        self._passes += 1
        if step % self.every or step == self._last:
            return None
        self._last = step
        try:
            return self._open(step)
        except SeVizError as problem:
            self._tell(problem)
            return None

    def _open(self, step: int) -> Callable[[], None]:
        _check_compiled(self.model)
        stack = ExitStack()
        capture = stack.enter_context(collecting(self.model, blocks=self._blocks, noise=False))
        look = _Look(capture, self._sites, quiet=self._seen)

        def end() -> None:
            stack.close()
            try:
                if look.problem:
                    raise look.problem
                self._write(step, look)
            except SeVizError as problem:
                self._tell(problem)

        return end

    def _write(self, step: int, look: "_Look") -> None:
        records = look.capture.records
        if not records:
            return
        look.settle()
        rows = summarise_pass(step, records, list(self._sites.values()), self._limits)
        self._destination.write(rows)
        self._seen = True

    def _tell(self, problem: SeVizError) -> None:
        """Raise in the first pass that is looked at; later on, hours of training go on."""
        if not self._seen:
            raise problem
        _warn(problem)

    def _say_unseen(self) -> str:
        name = type(self.model).__name__
        if self._left_out:
            return (
                f"No training pass of {name} was seen, but {self._left_out} in evaluation mode. "
                "Call `model.train()` before training, or give `eval_mode=True`."
            )
        return (
            f"No training pass of {name} was seen: none that autograd recorded, in this thread. "
            "Give the monitor the model that the loop calls, and no compiled copy of it."
        )


class _Look:
    """One pass that is captured: its blocks are described at their first use."""

    def __init__(self, capture: Capture, sites: dict[str, GateSite], *, quiet: bool) -> None:
        self.capture = capture
        self.problem: SeVizError | None = None
        self._sites = sites
        self._new: list[tuple[GateSite, bool]] = []
        listener = capture.listener
        # Ranges of gates are asked for once.
        listener.steps = not sites
        see = listener.see

        def see_and_describe(visit: Visit) -> None:
            assert see is not None
            see(visit)
            self._describe(visit)

        listener.see = see_and_describe
        if quiet:
            listener.see = self._keep_problem(see_and_describe)
            listener.leave = self._keep_problem(listener.leave)
            listener.finish = self._keep_problem(listener.finish)

    def settle(self) -> None:
        """Keep what was told of new blocks; where two ways of reading one told, by its class."""
        followed = [site for site, by_class in self._new if not by_class]
        for site in followed:
            self._sites.setdefault(site.name, site)
        for site, by_class in self._new:
            if by_class:
                self._sites[site.name] = complete_site(site, followed)

    def _describe(self, visit: Visit) -> None:
        by_class = visit.product is None
        if use_name(visit.place.path, visit.call) not in self._sites:
            # What is saved for the way back is counted by gradient checkpointing.
            with torch.no_grad():
                self._new.append((describe_site(visit, *read_pair(visit)), by_class))

    def _keep_problem(self, told: Callable[..., None] | None) -> Callable[..., None]:
        assert told is not None

        @wraps(told)
        def keep(*arguments: Any) -> None:
            if self.problem is None:
                try:
                    told(*arguments)
                except SeVizError as problem:
                    self.problem = problem

        return keep


def _check_compiled(model: nn.Module) -> None:
    """Refuse what runs as compiled code: to watch it, a step would have to run in another way.

    Raises:
        CaptureError: a part of the model does.
    """
    unseen = {**name_unseen(model), **find_traced(model)}
    unseen |= {path: path for path, part in model.named_modules() if is_compiled_in_place(part)}
    if unseen:
        path = min(unseen)
        raise CaptureError(
            f"{path or 'The model'} runs as compiled code, where no hook sees the gates of a step. "
            "Train without `torch.compile` and TorchScript to watch gates, or compile only when "
            "you have seen enough."
        )


def _warn(problem: SeVizError | str) -> None:
    # Past the hooks' own lines there is no one place of the caller's to name.
    warnings.warn(CaptureWarning(str(problem)), stacklevel=2)
