"""The edits of gates that a session has in force, for each network: done, undone, and run."""

from dataclasses import dataclass
from typing import TypeAlias

import streamlit as st

from se_viz.analysis import Analysis, analyse
from se_viz.attribution.records import Attribution
from se_viz.attribution.targets import Target
from se_viz.gates import edit_gates
from se_viz.gates.surgery import GateEdit, compile_edits
from se_viz.ui.cached import get_attribution
from se_viz.ui.cases import Case, HashFuncs, Work, borrow_inputs, case_of
from se_viz.ui.choices import Choices
from se_viz.ui.loaded import borrow_network
from se_viz.ui.methods import Request
from se_viz.ui.waiting import waiting

_STEPS = 100
# Streamlit would hash thousands of channel numbers one by one.
_AS_TEXT: HashFuncs = {GateEdit: repr}

Edits: TypeAlias = tuple[GateEdit, ...]


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
        return History(self.future[0], (self.now, *self.past), self.future[1:]) if self.future else self


def history_of(name: str) -> History:
    """Return what this session has done to a network; other images keep it, other sessions never see it."""
    return st.session_state.get("edits", {}).get(name, History())


def keep_history(name: str, history: History) -> None:
    """Remember what this session has done to a network."""
    st.session_state.edits = {**st.session_state.get("edits", {}), name: history}


def get_edited(choices: Choices, edits: Edits) -> Analysis:
    """Analyse the photo with changed gates.

    Raises:
        SeVizError: an edit does not fit this network, or the device cannot; the text says what to do.
    """
    with waiting("Running the changed network…") as watch:
        return _edited(case_of(choices), edits, _work=Work(choices.photo, watch))


def get_edited_attribution(choices: Choices, edits: Edits, *, target: int, method: str) -> Attribution:
    """Attribute a class of the photo to its pixels with changed gates.

    Raises:
        SeVizError: an edit does not fit this network, or the method cannot run; the text says what to do.
    """
    if not edits:
        return get_attribution(choices, Target(target), Request(method))
    with waiting("Computing the attribution…", slow=True) as watch:
        return _edited_attribution(case_of(choices), edits, (target, method), _work=Work(choices.photo, watch))


@st.cache_data(max_entries=256, max_size="128MB", show_spinner=False, hash_funcs=_AS_TEXT)
def _edited(case: Case, edits: Edits, *, _work: Work) -> Analysis:
    with borrow_network(case.network, case.device) as network:
        return analyse(network, _work.photo, edits=edits, whole=True, watch=_work.watch)


@st.cache_data(max_entries=256, max_size="64MB", show_spinner=False, hash_funcs=_AS_TEXT)
def _edited_attribution(case: Case, edits: Edits, asked: tuple[int, str], *, _work: Work) -> Attribution:
    # Here, so that the first page does not wait for Captum.
    from se_viz.attribution.run import attribute

    with (
        borrow_inputs(case, _work) as (network, inputs),
        edit_gates(network.model, compile_edits(edits, network.inspection.sites)),
    ):
        return attribute(network, inputs, *asked, watch=_work.watch)
