"""The view *Side by side*: any set of methods for the same image and class, each drawn as soon as
it is done.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import streamlit as st

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.pixels import correlate
from se_viz.attribution.question import Attribution, Target
from se_viz.charts import CLIPPED
from se_viz.errors import AttributionError, SeVizError
from se_viz.experiments import Analysis
from se_viz.ui.asking import Choices, case_of, page_part, part_of, progress
from se_viz.ui.frame import live_part
from se_viz.ui.glossary import explain
from se_viz.ui.navigation import link_guide
from se_viz.ui.session import Report, keys
from se_viz.ui.side_by_side.answers import Answers, ask_method, list_remarks, maps_of
from se_viz.ui.side_by_side.scores import show_scores
from se_viz.ui.side_by_side.scoring import Subject
from se_viz.ui.side_by_side.sheets import show_downloads
from se_viz.ui.side_by_side.tiles import Look, Wall, choose_look, describe_repeat, show_legend
from se_viz.ui.widgets import (
    Request,
    choose_methods,
    count_passes,
    name_target,
    reseed,
    say_seconds,
    tick_of,
)
from se_viz.ui.words import plain, split_words


@live_part
@page_part
def show_attributions(choices: Choices, analysis: Analysis, target: Target, baseline: str) -> None:
    """Show the ticked methods side by side, each with its time, what it misses, and its reason
    where it has no map.
    """
    requests = choose_methods(choices, baseline)
    look = choose_look()
    if unticked := keys.UNTICKED.pop():
        st.info(f"Stopped. No longer selected: {', '.join(unticked)}.")
    if not requests:
        st.info(
            "No method is selected. Open **Methods and settings** above and select one or more."
        )
        return
    status = st.container()
    waits = {request: say_seconds(seconds) for request, seconds in requests.items()}
    wall = Wall(choices, look, waits)
    with status:
        answers = _collect(choices, target, list(requests), wall)
        maps = maps_of(answers)
        remarks = list_remarks(choices, maps)
        by_request = {request: answers[request.method] for request in requests}
        _repeat(choices, target, by_request, wall)
    if not maps:
        return
    show_legend(maps, look)
    name = plain(name_target(choices, target))
    logit = target.read(analysis.logits[None]).item()
    random = any(METHODS[attribution.method].drawn for attribution in maps)
    st.caption(
        f"All maps explain the same number, the logit of {name}: {logit:+.1f} for this "
        f"{choices.noun}. Look "
        "for places where methods agree: each answers a different question, in different units.",
        help=explain("completeness error", more=_explain(look, random=random)),
    )
    link_guide("side-by-side")
    for remark in remarks:
        words, more = split_words(remark)
        st.caption(words, help=more or None)
    show_downloads(choices, target, look, maps)
    questions = {request.method: request.about(target) for request in requests}
    subjects = [Subject(questions[attribution.method], attribution) for attribution in maps]
    show_scores(choices, target, baseline, subjects)


def _explain(look: Look, *, random: bool) -> str:
    scale = "With a shared scale, maps of small values look faint." if look.one_scale else CLIPPED
    chance = (
        "Methods that draw at random also differ by chance: below their maps is the correlation "
        "with another seed. "
    )
    return f"{chance * random}{scale}"


def _collect(choices: Choices, target: Target, requests: Sequence[Request], wall: Wall) -> Answers:
    case = case_of(choices)
    tokens = {request.method: (case, target, request) for request in requests}
    # What this session has seen done, and the error where there was no map: drawn first, and not
    # tried again.
    outcomes: dict[tuple, AttributionError | None] = {**keys.ATTRIBUTED.get()}
    settled = [request for request in requests if tokens[request.method] in outcomes]
    passes = {
        request: count_passes(request, choices.network.card.shape)
        for request in requests
        if request not in settled
    }
    new = sorted(passes, key=passes.__getitem__)
    wall.wait(request.method for request in new)
    answers: dict[str, Attribution | SeVizError] = {}
    stop = partial(_untick, tokens)
    text = f"Computing {len(new)} of {len(requests)} maps…"
    with progress(text, key=keys.ATTRIBUTIONS, stop=stop) as (watch, report):
        for request in settled:
            answers[request.method] = outcomes[tokens[request.method]] or ask_method(
                choices, target, request, watch
            )
        wall.show(answers)
        for request, part in zip(
            new, _share(report, [passes[request] for request in new]), strict=True
        ):
            answer = answers[request.method] = ask_method(choices, target, request, watch, part)
            # Others may pass, as a long line does.
            if isinstance(answer, Attribution | AttributionError):
                outcomes[tokens[request.method]] = (
                    None if isinstance(answer, Attribution) else answer
                )
                keys.ATTRIBUTED.set({**outcomes})
            wall.show(answers)
    return answers


def _repeat(
    choices: Choices,
    target: Target,
    answers: Mapping[Request, Attribution | SeVizError],
    wall: Wall,
) -> None:
    """Ask methods that draw at random once more, with another seed, and say below each map how far
    both agree.
    """
    case = case_of(choices)
    maps = {
        request: answer
        for request, answer in answers.items()
        if METHODS[request.method].drawn and isinstance(answer, Attribution)
    }
    tokens = {(case, target, request) for request in maps}
    unwanted = keys.UNREPEATED.get()
    passes = {request: count_passes(request, choices.network.card.shape) for request in maps}
    text = f"Repeating {len(maps)} maps with another seed…"
    with progress(text, key=keys.REPEATS, stop=partial(_leave_out, tokens)) as (watch, report):
        for request, part in zip(maps, _share(report, list(passes.values())), strict=True):
            if (case, target, request) in unwanted:
                wall.note(maps[request], "Not repeated with another seed: stopped.")
                continue
            repeat = ask_method(choices, target, reseed(request), watch, part)
            if isinstance(repeat, Attribution):
                wall.note(maps[request], describe_repeat(correlate(maps[request].map, repeat.map)))


def _share(report: Report, weights: Sequence[int]) -> Iterator[Report]:
    """Yield for each of several runs, one after another, a report of its part of the whole."""
    before = 0
    whole = sum(weights)
    for weight in weights:
        yield part_of(report, before=before, weight=weight, whole=whole)
        before += weight
        report(before, whole)


def _leave_out(tokens: Collection[tuple]) -> None:
    keys.UNREPEATED.set(keys.UNREPEATED.get() | frozenset(tokens))


def _untick(tokens: dict[str, tuple]) -> None:
    outcomes = keys.ATTRIBUTED.get()
    remaining = [method for method, token in tokens.items() if token not in outcomes]
    for method in remaining:
        keys.set_value(tick_of(method), False)
    keys.UNTICKED.set(tuple(METHODS[method].title for method in remaining))
