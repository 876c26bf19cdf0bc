"""Whether every block reported to a capture or an edit; where one did not, the reader is told."""

import warnings
from collections.abc import Sequence
from threading import get_ident

from torch import nn

from se_viz.errors import CaptureWarning, SeVizError
from se_viz.gates.compiled import has_own_forward, is_in_compiled_code
from se_viz.gates.listeners import Listener
from se_viz.gates.places import Place

_NAMED = 3
_HIDDEN = (
    "Hooks are called neither in compiled code (`torch.compile`, a CUDA graph) nor by a replaced "
    "`forward` that leaves a block out. Use the model as it was before"
)
_IDLE = "The model did not use them in these passes, as with an early exit. Use blocks that run"


def check_first_pass(listener: Listener, problem: type[SeVizError]) -> None:
    """Raise ``problem`` where a pass has come to its end and no block has ever reported."""
    if not listener.reported:
        raise problem(
            "The model ran, but no SE block was seen of those to be watched: "
            f"{_named([*listener.blocks.values()])}. They run in compiled code (`torch.compile`, a "
            "CUDA graph), in a `forward` that leaves them out, or in another thread or process, as "
            "with `nn.DataParallel`. Use a copy of the model without these: no hook is called "
            "there."
        )


def check_all_passes(
    listener: Listener, opener: int, problem: type[SeVizError], *, strict: bool
) -> None:
    """Say which blocks reported in no pass, at the end of the ``with`` block that ``opener``, a
    thread, opened.

    ``problem`` is raised where it is known that they ran unseen, or with ``strict``; else there is
    a warning, since blocks may be left out on purpose, as by an early exit.
    """
    if replaced := [
        place
        for block, place in listener.blocks.items()
        if _at(listener.model, place.path) is not block
    ]:
        raise problem(
            f"Modules were put in the place of SE blocks that were watched: {_named(replaced)}. "
            "What ran there since was not seen. Change the model first, and open the `with` block "
            "then."
        )
    silent = [place for block, place in listener.blocks.items() if block not in listener.reported]
    if not listener.passes and not listener.reported:
        _check_elsewhere(listener, opener, problem)
    elif listener.passes and silent:
        hidden = [place for place in silent if _is_hidden(listener, place)]
        words = (
            f"SE blocks that reported in no pass of this `with` block: {_named(hidden or silent)}. "
            f"{_HIDDEN if hidden else _IDLE}; `inspect_gates` names those that report."
        )
        if hidden or strict:
            raise problem(words)
        # Past the context manager, to the caller's own `with`.
        warnings.warn(CaptureWarning(words), stacklevel=4)


def say_without_gate(place: Place) -> str:
    """Return why a block may have run without the module that makes its gate, and what to do."""
    if is_in_compiled_code(place.block):
        return f"{_HIDDEN}; `inspect_gates` names those that report."
    return "Leave it out: `inspect_gates` names the blocks that `blocks=` may hold."


def _check_elsewhere(listener: Listener, opener: int, problem: type[SeVizError]) -> None:
    name = type(listener.model).__name__
    if listener.elsewhere or get_ident() != opener:
        raise problem(
            f"No pass of {name} was seen: only those of the thread that opened the `with` block "
            "are. Open and close it in the function that calls the model, inside the thread where "
            "it runs."
        )
    if any(is_in_compiled_code(block) for block in listener.blocks):
        raise problem(
            f"No pass of {name} was seen, and its weights are part of code that `torch.compile` "
            "made, where no hook is called. Call the model itself, without the compiled function "
            "around it."
        )


def _at(model: nn.Module, path: str) -> nn.Module | None:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def _is_hidden(listener: Listener, place: Place) -> bool:
    return is_in_compiled_code(place.block) or has_own_forward(listener.model, place.path)


def _named(places: Sequence[Place]) -> str:
    names = ", ".join(place.path or "the model itself" for place in places[:_NAMED])
    return f"{names} and {len(places) - _NAMED} more" if len(places) > _NAMED else names
