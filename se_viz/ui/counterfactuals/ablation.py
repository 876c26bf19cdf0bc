"""Exact ablation on a page, in parts: those that are done stay where the rest is stopped."""

from functools import partial
from typing import TypeAlias

import streamlit as st

from se_viz.engine.questions import AblateChannels, Case
from se_viz.experiments import Effects, gather_effects
from se_viz.ui.asking import Choices, answer, case_of, progress
from se_viz.ui.session import keys

_TOGETHER = 60
"""Channels of a part: four whole passes on a CPU, or one that begins at the block."""

_Asked: TypeAlias = tuple[Case, str]
"""A case, and one of its blocks."""


def get_ablation(choices: Choices, block: str, target: int) -> Effects:
    """Return how far a logit falls without each channel of a block.

    NaN for those that were not asked.

    Raises:
        SeVizError: the device cannot; the text says what to do.
    """
    asked = _asked(choices, block)
    channels = next(
        site.channels for site in choices.network.inspection.sites if site.name == block
    )
    parts, computed = {}, list[int]()
    with progress(
        "Ablating one channel after another…", key=keys.ABLATION, stop=partial(_stop, asked)
    ) as (watch, bar):

        def report(done: int, _: int, *, start: int) -> None:
            # Only a part that is computed now reports: the estimate is to leave the others out.
            computed.append(start)
            bar(start + done, channels, computed[0])

        for start in range(0, _most(asked, channels), _TOGETHER):
            some = tuple(range(start, min(start + _TOGETHER, channels)))
            question = AblateChannels(block, some)
            parts[some] = answer(choices, question, watch, partial(report, start=start))
            keys.ABLATED.set((asked, start + len(some)))
    return gather_effects(parts, channels, target)


def show_rest(choices: Choices, block: str, effects: Effects) -> None:
    """Say how many channels were asked before somebody stopped it, and offer to go on.

    Nothing where all were.
    """
    asked = int(effects.isfinite().sum())
    if asked < len(effects):
        st.info(f"Stopped after {asked} of {len(effects)} channels; only these are shown.")
        st.button(
            "Measure the rest",
            on_click=_go_on,
            args=(_asked(choices, block),),
            icon=":material/play_arrow:",
        )


def _asked(choices: Choices, block: str) -> _Asked:
    return case_of(choices), block


def _most(asked: _Asked, channels: int) -> int:
    return keys.STOPPED_ABLATIONS.get().get(asked, channels)


def _stop(asked: _Asked) -> None:
    last, done = keys.ABLATED.get() or (asked, 0)
    stopped = keys.STOPPED_ABLATIONS.get()
    keys.STOPPED_ABLATIONS.set({**stopped, asked: done if last == asked else 0})


def _go_on(asked: _Asked) -> None:
    stopped = keys.STOPPED_ABLATIONS.get()
    keys.STOPPED_ABLATIONS.set({key: count for key, count in stopped.items() if key != asked})
