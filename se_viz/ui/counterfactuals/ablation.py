"""Exact ablation on a page, in parts: those that are done stay where the rest is stopped."""

from functools import partial
from typing import Any, TypeAlias

import streamlit as st

from se_viz.engine.questions import AblateChannels, Case
from se_viz.experiments import Effects, gather_effects
from se_viz.ui.asking import Choices, answer, case_of, progress
from se_viz.ui.session import keys

_TOGETHER = 60
"""Channels of a part: four whole passes on a CPU, or one that begins at the block."""

_Work: TypeAlias = tuple[Case, str]
"""A case, and one of its blocks."""


def get_ablation(choices: Choices, block: str, target: int) -> Effects:
    """Return how far a logit falls without each channel of a block.

    NaN for those that were not asked.

    Raises:
        SeVizError: the device cannot; the text says what to do.
    """
    work = _work(choices, block)
    channels = next(
        site.channels for site in choices.network.inspection.sites if site.name == block
    )
    parts: dict[tuple[int, ...], Any] = {}
    computed: list[int] = []
    with progress(
        "Ablating one channel after another…", key=keys.ABLATION, stop=partial(_stop, work)
    ) as (watch, bar):

        def report(done: int, _: int, *, start: int) -> None:
            # Only a part that is computed now reports: the estimate is to leave the others out.
            computed.append(start)
            bar(start + done, channels, computed[0])

        for start in range(0, _most(work, channels), _TOGETHER):
            some = tuple(range(start, min(start + _TOGETHER, channels)))
            question = AblateChannels(block, some)
            parts[some] = answer(choices, question, watch, partial(report, start=start))
            keys.ABLATED.set((work, start + len(some)))
    return gather_effects(parts, channels, target)


def show_rest(choices: Choices, block: str, effects: Effects) -> None:
    """Say how many channels were asked before somebody stopped it, and offer to go on.

    Nothing where all were.
    """
    count = int(effects.isfinite().sum())
    if count < len(effects):
        st.info(f"Stopped after {count} of {len(effects)} channels; only these are shown.")
        st.button(
            "Measure the rest",
            on_click=_go_on,
            args=(_work(choices, block),),
            icon=":material/play_arrow:",
        )


def _work(choices: Choices, block: str) -> _Work:
    return case_of(choices), block


def _most(work: _Work, channels: int) -> int:
    return keys.STOPPED_ABLATIONS.get().get(work, channels)


def _stop(work: _Work) -> None:
    last, done = keys.ABLATED.get() or (work, 0)
    stopped = keys.STOPPED_ABLATIONS.get()
    keys.STOPPED_ABLATIONS.set({**stopped, work: done if last == work else 0})


def _go_on(work: _Work) -> None:
    stopped = keys.STOPPED_ABLATIONS.get()
    keys.STOPPED_ABLATIONS.set({key: count for key, count in stopped.items() if key != work})
