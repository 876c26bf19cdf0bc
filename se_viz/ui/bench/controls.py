"""The choices of a design: which blocks, and how they are to make their gates."""

from collections.abc import Mapping, Sequence

import streamlit as st

from se_viz.experiments import Analysis
from se_viz.gates.designs import OWN, RATIOS, Design
from se_viz.gates.records import GateSite
from se_viz.ui.asking import Choices
from se_viz.ui.glossary import explain
from se_viz.ui.session import keys
from se_viz.ui.widgets import choose_block, choose_option

_SCOPES = {"block": "This block", "stage": "Its stage", "network": "All blocks"}
_SQUEEZES = {OWN: "Own", "mean": "Mean", "max": "Max", "none": "None"}
_EXCITATIONS = {OWN: "Own", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU"}
_RATIOS = {0: "Own", **{ratio: str(ratio) for ratio in RATIOS}}
_ALL_STAGES = 0
_RATIO = (
    "A larger r keeps the hidden units that add most to this {noun}'s pre-activations; a smaller "
    "r adds units that put out 0, so gates stay and only the counts grow."
)
_RATIO_HELP = (
    "A hidden unit adds |h| times the sum of its |W2| over channels. The units are chosen for each "
    "input anew, which is kinder to a large r than one cut for all inputs."
)
_NAMES = {"mean": "mean", "maximum": "max"}
"""Squeezes as an inspection calls them, and as the paper's table does."""


def choose_design(choices: Choices, analysis: Analysis) -> Design:
    """Offer blocks and every choice; note which of them was changed last."""
    sites = choices.network.inspection.sites
    name = choose_block(analysis, words=("block",))
    scope = choose_option(
        "Which blocks to design", _SCOPES, key=keys.BENCH_SCOPE, default="network"
    )
    opened = next(site for site in sites if site.name == name)
    st.caption(f"Own: {describe_own(opened)}.")
    squeeze = choose_option(
        "Squeeze",
        _SQUEEZES,
        key=keys.BENCH_SQUEEZE,
        help=explain("squeeze", more="None: each place of the map has gates of its own."),
    )
    excitation = choose_option(
        "Excitation (gate function)",
        _EXCITATIONS,
        key=keys.BENCH_EXCITATION,
        help=explain("excitation", "gate"),
    )
    ratio = choose_option(
        "Reduction ratio r",
        _RATIOS,
        key=keys.BENCH_RATIO,
        help=explain("reduction ratio", more=_RATIO_HELP),
    )
    st.caption(_RATIO.format(noun=choices.noun))
    stage = _choose_stage(sites)
    blocks = dict.fromkeys(site.block for site in _select(sites, opened, scope))
    design = Design(tuple(blocks), squeeze, excitation, ratio or None, stage or None)
    _follow(design)
    return design


def _choose_stage(sites: Sequence[GateSite]) -> int:
    numbers = sorted({site.stage for site in sites if site.stage > _ALL_STAGES})
    options = {_ALL_STAGES: "All", **{number: str(number) for number in numbers}}
    # Another network's stages are another row of options.
    key = f"{keys.BENCH_STAGE}-{'-'.join(map(str, numbers))}"
    more = "The blocks of all other stages get gates of 1, as if they were not there."
    return choose_option("Stages that keep their gates", options, key=key, help=more)


def _select(sites: Sequence[GateSite], opened: GateSite, scope: str) -> list[GateSite]:
    return [
        site
        for site in sites
        if scope == "network"
        or (scope == "stage" and site.stage == opened.stage)
        or site.block == opened.block
    ]


def _follow(design: Design) -> None:
    """Turn the paper's tables, which stand below, to the choice that was changed last."""
    now = (design.squeeze, design.excitation, design.ratio, design.stage)
    before = keys.DESIGN.get()
    keys.DESIGN.set(now)
    if not before or before == now:
        return
    names = ("squeeze", "excitation", "ratio", "stage")
    changed = [name for name, old, new in zip(names, before, now, strict=True) if old != new]
    if len(changed) == 1:
        keys.set_value(keys.BENCH_TABLE, changed[0])


def describe_own(site: GateSite) -> str:
    """Say how a block makes its gates: "mean, Sigmoid, r = 16"."""
    parts = [site.pooled or "a summary of its own", site.function]
    if site.ratio:
        parts.append(f"r = {site.ratio:.3g} ({site.hidden} hidden units)")
    return ", ".join(parts)


def find_rows(design: Design, opened: GateSite) -> Mapping[str, str]:
    """Return the rows of the paper's tables that are in use in the open block."""
    rows = {
        "squeeze": _NAMES.get(opened.pooled, ""),
        "excitation": opened.function.lower(),
        "ratio": f"{opened.ratio:g}" if opened.ratio else "none",
        "stage": str(design.stage or "all"),
    }
    if opened.block not in design.blocks:
        return rows
    named = {
        "squeeze": design.squeeze if design.squeeze != OWN else "",
        "excitation": design.excitation if design.excitation != OWN else "",
        "ratio": str(design.ratio or ""),
    }
    return rows | {key: value for key, value in named.items() if value}
