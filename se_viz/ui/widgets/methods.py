"""Which attribution methods to run, and how thoroughly: ticks, an estimate for each, and a few
settings.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from se_viz.attribution.catalogue import KINDS, METHODS, REFUSED, Method, Pace, Passes, fit_windows
from se_viz.attribution.question import Attribution, Target
from se_viz.engine.questions import Attribute, MeasurePace
from se_viz.errors import SeVizError
from se_viz.ui.asking import Choices, ask, describe_load, get_engine
from se_viz.ui.session import keys, note, refuse, take
from se_viz.ui.widgets.pickers import choose_option
from se_viz.ui.words import as_markdown

TICKED = ("saliency", "integrated_gradients", "grad_cam")
"""Methods that are ticked at first: quick ones that ask three different questions."""

_STEPS = {count: str(count) for count in (16, 32, 64, 128, 256)}
_SAMPLES = {"0.5": "half", "1": "as usual", "2": "twice", "4": "4 times"}
_WINDOWS = {side: f"{side} px" for side in (16, 32, 64)}
_SHARES = {16: "1/14", 32: "1/7", 64: "2/7"}
"""Of what is no photo: the same shares of its sides as of a photo of 224 pixels."""
_PATCHES = {count: str(count) for count in (20, 40, 80, 160)}
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One method as it is asked for."""

    method: str
    """Its key in the catalogue."""
    baseline: str = "mean"
    """Key of the baseline; where the method compares with none, always the same."""
    options: tuple[tuple[str, Any], ...] = ()
    """What differs from the catalogue's options."""
    stage: int | None = None
    """Whose end a method looks at that looks at a stage; None: the last one's."""

    def about(self, target: Target) -> Attribute:
        """Return the question that this is for one class."""
        return Attribute(target, self.method, self.baseline, self.options, self.stage)


def choose_methods(choices: Choices, baseline: str) -> dict[Request, float]:
    """Offer every method with what it costs here.

    Return the ticked ones with about how many seconds each takes.
    """
    # The settings are asked first, and stand last: times depend on them.
    with st.expander("Methods and settings", icon=":material/checklist:"):
        ticks = st.container()
        settings = _choose_settings(choices)
    pace = get_pace(choices)
    shape = choices.network.card.shape
    requests = [_request(row, baseline, settings) for row in METHODS.values()]
    costs = {
        request: pace.estimate(METHODS[request.method], dict(request.options), shape=shape)
        for request in requests
    }
    with ticks:
        _tick({request.method: seconds for request, seconds in costs.items()})
        ticked = {
            request: cost
            for request, cost in costs.items()
            if keys.value_of(tick_of(request.method))
        }
        words = "Estimated times: number of passes x time per pass on this device."
        load = describe_load(get_engine().load(choices.device))
        st.caption(f"{sum_up(ticked.values())}{load}", help=words)
    return ticked


def sum_up(costs: Collection[float]) -> str:
    """Say how long the selected methods take together; of one alone the time stands beside it."""
    if len(costs) < 2:
        return "Times are estimates."
    return (
        f"All {len(costs)} selected methods: **{say_about(sum(costs))}**; cached results appear "
        "immediately."
    )


def tick_of(method: str) -> str:
    """Return the key of a method's tick in the session."""
    return f"{keys.TICK}-{method}"


def count_passes(request: Request, shape: tuple[int, ...]) -> int:
    """Return how many inputs of a shape run through the network, forward and backward."""
    return sum(METHODS[request.method].passes(dict(request.options), shape=shape))


def reseed(request: Request) -> Request:
    """Return the same request with the next seed, of a method that draws."""
    options = dict(request.options)
    options["seed"] = options.get("seed", METHODS[request.method].options["seed"]) + 1
    return replace(request, options=tuple(options.items()))


def _choose_settings(choices: Choices) -> dict[str, Any]:
    first, second = st.columns(2)
    with first:
        steps = choose_option(
            "Steps from the baseline", _STEPS, key=keys.ATTRIBUTION_STEPS, default=32
        )
        label, windows = (
            ("Covered square", _WINDOWS)
            if choices.network.sees_photos
            else ("Covered share of each side", _SHARES)
        )
        window = choose_option(label, windows, key=keys.ATTRIBUTION_WINDOW, default=32)
    with second:
        samples = choose_option(
            "Random samples", _SAMPLES, key=keys.ATTRIBUTION_SAMPLES, default="1"
        )
        patches = choose_option(
            "Superpixels", _PATCHES, key=keys.ATTRIBUTION_SUPERPIXELS, default=40
        )
    st.caption(
        "More steps and samples are slower and more exact; each method uses only the settings that "
        "apply to it."
    )
    windows = fit_windows(choices.network.card.shape, window, window // 2) if window != 32 else {}
    return {"steps": steps, "samples": float(samples), "superpixels": patches, **windows}


def _request(row: Method, baseline: str, settings: dict[str, Any]) -> Request:
    samples = settings["samples"]
    options = {
        "n_steps": settings["steps"],
        **{name: value for name, value in settings.items() if name not in ("steps", "samples")},
        **{name: round(row.options.get(name, 0) * samples) for name in ("n_samples", "nt_samples")},
    }
    changes = {
        name: value for name, value in options.items() if row.options.get(name, value) != value
    }
    return Request(row.key, baseline if row.baseline else "mean", tuple(changes.items()))


def _tick(costs: dict[str, float]) -> None:
    _use_linked_ticks()
    columns = st.columns(_COLUMNS, gap="medium")
    kinds = [kind for kind in KINDS if any(row.kind == kind for row in METHODS.values())]
    for place, kind in enumerate(kinds):
        with columns[place % _COLUMNS]:
            st.caption(KINDS[kind])
            for row in (row for row in METHODS.values() if row.kind == kind):
                st.checkbox(
                    f"{row.title} · {say_seconds(costs[row.key])}",
                    row.key in TICKED,
                    help=f"{row.looks_for} ({row.source})",
                    key=tick_of(row.key),
                    persist_state="session",
                    wrap=True,
                )
    with columns[kinds.index("rule") % _COLUMNS]:
        _name_the_refused()


def _use_linked_ticks() -> None:
    """Tick the methods that the link names, which opened the session; the address holds those
    that are ticked.
    """
    usual = ",".join(method for method in METHODS if method in TICKED)
    note(keys.TICK, _list_ticked, usual)
    link = take(keys.TICK)
    if link is None:
        return
    titles = set(filter(None, link.split(",")))
    for method in METHODS:
        keys.set_value(tick_of(method), method in titles)
    if unknown := sorted(titles - METHODS.keys()):
        refuse(keys.TICK, unknown[0], "Select methods under Methods and settings.")


def _list_ticked() -> str:
    return ",".join(method for method in METHODS if keys.value_of(tick_of(method)))


def _name_the_refused() -> None:
    for key, (title, words) in REFUSED.items():
        st.checkbox(
            f"{title} · never", help=words, key=f"{keys.REFUSED}-{key}", disabled=True, wrap=True
        )


def say_seconds(seconds: float) -> str:
    """Say how long something takes, in one or two figures that stay with their unit."""
    if seconds < 0.95:
        return "under 1\N{NO-BREAK SPACE}s"
    return (
        f"{seconds:.0f}\N{NO-BREAK SPACE}s"
        if seconds < 90
        else f"{seconds / 60:.0f}\N{NO-BREAK SPACE}min"
    )


def say_about(seconds: float) -> str:
    """Say how long something takes, as an estimate in a sentence."""
    words = say_seconds(seconds)
    return words if words.startswith("under") else f"about {words}"


def announce(choices: Choices, title: str, passes: Passes, *, what: str) -> None:
    """Say before a long run how long it is, and for ``what``."""
    seconds = say_about(get_pace(choices).time(passes))
    words = f"{title} takes {seconds}: about {passes[0]:,} passes for {what}; the result is cached."
    st.caption(f"{words}{describe_load(get_engine().load(choices.device))}")


def get_pace(choices: Choices) -> Pace:
    """Return how long one pass takes, measured once for a network and device.

    Where it cannot, end the page here.
    """
    try:
        return ask(choices, MeasurePace(), "Timing one pass…")
    except SeVizError as problem:
        st.error(as_markdown(problem))
        st.stop()


def get_attribution(choices: Choices, target: Target, request: Request) -> Attribution:
    """Attribute a class of the photo to its pixels.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    return ask(choices, request.about(target), "Computing the attribution…", slow=True)
