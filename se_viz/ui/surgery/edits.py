"""The edits of gates that a session has in force, for each network: done, undone, and run."""

from dataclasses import dataclass
from typing import TypeAlias

from se_viz.attribution.question import Attribution, Target
from se_viz.engine.questions import AnalyseEdited, AttributeEdited
from se_viz.errors import EditError
from se_viz.experiments import Analysis
from se_viz.gates.edit_text import read_edits, write_edits
from se_viz.gates.surgery import GateEdit, compile_edits, scale_gates
from se_viz.ui.asking import Choices, ask
from se_viz.ui.session import complain, keys, note, take
from se_viz.ui.widgets import Request, get_attribution

_STEPS = 100

Edits: TypeAlias = tuple[GateEdit, ...]


def scale_of(edits: Edits, block: str) -> float:
    """Return by what all gates of a block are multiplied; 1 where no edit does just that."""
    return next((edit.amount for edit in reversed(edits) if _is_scale(edit, block)), 1.0)


def rescale(edits: Edits, block: str, factor: float) -> Edits:
    """Return the edits with all gates of a block multiplied by another factor; by 1, no longer.

    It takes the place of the last edit that did just that, or comes last.
    """
    last = max((at for at, edit in enumerate(edits) if _is_scale(edit, block)), default=len(edits))
    new = (scale_gates(block, factor),) if factor != 1 else ()
    return (*edits[:last], *new, *edits[last + 1 :])


def _is_scale(edit: GateEdit, block: str) -> bool:
    return edit.action == "scale" and edit.targets == ((block, None),)


@dataclass(frozen=True, slots=True)
class History:
    """The edits in force, and those of the steps before and after it."""

    now: Edits = ()
    """In force, in the order they act."""
    past: tuple[Edits, ...] = ()
    """What undo goes back to, the last one first."""
    future: tuple[Edits, ...] = ()
    """What redo goes on to, the next one first."""

    def go(self, edits: Edits) -> "History":
        """Put other edits in force; what was undone is forgotten."""
        return History(edits, (self.now, *self.past)[:_STEPS])

    def undo(self) -> "History":
        """Go back one step, if there is one."""
        return History(self.past[0], self.past[1:], (self.now, *self.future)) if self.past else self

    def redo(self) -> "History":
        """Take back one undo, if there is one."""
        return (
            History(self.future[0], (self.now, *self.past), self.future[1:])
            if self.future
            else self
        )


def history_of(name: str) -> History:
    """Return what this session has done to a network.

    Other images keep it, other sessions never see it.
    """
    return keys.EDITS.get().get(name, History())


def keep_history(name: str, history: History) -> None:
    """Remember what this session has done to a network."""
    keys.EDITS.set({**keys.EDITS.get(), name: history})


def use_linked_edits(choices: Choices) -> None:
    """Put the edits in force that the link holds, which opened the session; from then on the
    address of this page holds those in force.
    """
    note(keys.EDITS.name, lambda: write_edits(history_of(choices.name).now), "")
    text = take(keys.EDITS.name)
    if not text:
        return
    try:
        edits = read_edits(text)
        compile_edits(edits, choices.network.inspection.sites)
    except EditError as error:
        complain(f"The edits of the link were left out. {error}")
        return
    keep_history(choices.name, history_of(choices.name).go(edits))


def get_edited(choices: Choices, edits: Edits) -> Analysis:
    """Analyse the photo with changed gates.

    Raises:
        SeVizError: an edit does not fit this network, or the device cannot; the text says what to
            do.
    """
    return ask(choices, AnalyseEdited(edits), "Running the changed network…")


def get_edited_attribution(
    choices: Choices, edits: Edits, *, target: int, method: str
) -> Attribution:
    """Attribute a class of the photo to its pixels with changed gates.

    Raises:
        SeVizError: an edit does not fit this network, or the method cannot run; the text says what
            to do.
    """
    request = Request(method)
    if not edits:
        return get_attribution(choices, Target(target), request)
    question = AttributeEdited(request.about(Target(target)), edits)
    return ask(choices, question, "Computing the attribution…", slow=True)
