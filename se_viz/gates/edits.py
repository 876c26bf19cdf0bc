"""Gates replaced while the model runs: an edit is a function from gates to gates."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from torch import Tensor, nn

from se_viz.errors import EditError
from se_viz.gates.choice import choose_blocks
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Run, Visit
from se_viz.gates.products import expect, find_wrong, meet
from se_viz.gates.reports import check_all_passes


@contextmanager
def edit_gates(
    model: nn.Module, edits: Mapping[str, Callable[[Tensor], Tensor]], *, spread: bool = False
) -> Iterator[None]:
    """Replace the gates of some SE blocks in each forward pass, until the ``with`` block ends.

    ``edits`` gives for the path of a block a function from the gates it computed to those it
    multiplies by: (batch, channels) each, in the block's own precision and on its device. Gradients
    pass through it. Edits nest: an inner one is given the outer one's gates. A capture records the
    edited gates, wherever it was opened. Only passes of the thread that opened the ``with`` block
    are edited, and nothing stays afterwards. A block that is used twice in a pass is edited twice.

    With ``spread`` an edit may return several rows of gates for a batch of one image: what comes
    after the block then runs once for each row, and what comes before it once for all. That works
    where a block multiplies by broadcasting and nothing after it counts on the batch that the pass
    began with: to be checked by the caller.

    In each pass every edited block's output is compared with its input times the new gates at a few
    places. What gradient checkpointing runs again on the way back is edited too, if that happens
    inside the ``with`` block.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows or that ``edits`` names, or it
            is compiled.
        EditError: in a pass, a function returned something else than gates of the same shape and
            precision, or a block did not multiply by what it returned. At the end, an edited block
            ran in none of the passes.
    """

    def change(visit: Visit, gate: Tensor) -> Tensor:
        return change_gate(edits[visit.place.path], visit, gate, spread=spread)

    with changing(Listener(model, choose_blocks(model, edits.keys()), change=change)):
        yield


@contextmanager
def changing(listener: Listener) -> Iterator[None]:
    """Let a listener that changes gates hear every pass of this thread, each block checked as in
    `edit_gates`.

    Raises:
        EditError: as of `edit_gates`.
    """
    opener = get_ident()
    listener.see, listener.leave, listener.finish = _see, _leave, _finish
    with listening(listener):
        yield
    check_all_passes(listener, opener, EditError, strict=True)


def _see(visit: Visit) -> None:
    assert visit.gate is not None
    visit.expected = expect(visit, visit.gate.reshape(-1, visit.channels))


def _leave(visit: Visit, output: object) -> None:
    if visit.run and visit.expected is not None:
        visit.run.notes.append(meet(visit, output))


def _finish(run: Run) -> None:
    if wrong := find_wrong(run.notes):
        raise EditError(
            f"{wrong[0].path} ({wrong[0].row.form}) puts out something else than its input times "
            "the gates that it was given, so that an edit of them means nothing. Edit a block "
            "among those that `find_gates` lists."
        )


def change_gate(
    edit: Callable[[Tensor], Any], visit: Visit, gate: Tensor, *, spread: bool = False
) -> Tensor:
    """Return what an edit makes of a block's gates, in the shape in which the block holds them.

    Raises:
        EditError: as of `edit_gates`.
    """
    if gate.is_quantized or gate.numel() != len(visit.features) * visit.channels:
        kind = "quantised gates" if gate.is_quantized else f"gates of the shape {tuple(gate.shape)}"
        raise EditError(
            f"{visit.place.path} has {kind}, which cannot be edited: that takes one number a "
            "channel in floating point. Edit the network before it was quantised, or a block among "
            "those that `find_gates` lists."
        )
    # Blocks hold gates in several shapes; an edit is given (batch, channels).
    before = gate.reshape(-1, visit.channels)
    after = edit(before)
    several = spread and len(before) == 1 and isinstance(after, Tensor) and after.dim() == 2
    # More rows than images mean something only to a caller who spreads.
    expected = before.expand(len(after), -1) if several else before
    if not isinstance(after, Tensor) or _kind(after) != _kind(expected):
        kind = _kind(after) if isinstance(after, Tensor) else f"a {type(after).__name__}"
        raise EditError(
            f"The edit of {visit.place.path} returned {kind}; the block needs {_kind(before)}. "
            "Return a tensor like the one that the function is given."
        )
    if len(after) > len(before):
        return after.reshape(len(after), *gate.shape[1:])
    return after.reshape(gate.shape)


def _kind(value: Tensor) -> str:
    return f"{tuple(value.shape)} of {value.dtype} on {value.device}".replace("torch.", "")
