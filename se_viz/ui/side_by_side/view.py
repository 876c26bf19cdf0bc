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


@st.fragment
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
    status, waits = st.container(), {one: say_seconds(seconds) for one, seconds in requests.items()}
    wall = Wall(choices.photo, look, waits)
    with status:
        answers = _collect(choices, target, list(requests), wall)
        maps = maps_of(answers)
        remarks = list_remarks(choices, maps)
        _repeat(choices, target, {one: answers[one.method] for one in requests}, wall)
    if not maps:
        return
    show_legend(maps, look)
    name, logit = plain(name_target(choices, target)), target.read(analysis.logits[None]).item()
    drawn = any(METHODS[one.method].drawn for one in maps)
    st.caption(
        f"All maps explain the same number, the logit of {name}: {logit:+.1f} for this photo. Look "
        "for places where methods agree: each answers a different question, in different units.",
        help=_explain(look, drawn=drawn),
    )
    for remark in remarks:
        words, more = split_words(remark)
        st.caption(words, help=more or None)
    show_downloads(choices, target, look, maps)
    asked = {request.method: request.about(target) for request in requests}
    show_scores(choices, target, baseline, [Subject(asked[one.method], one) for one in maps])


def _explain(look: Look, *, drawn: bool) -> str:
    scale = "With a shared scale, maps of small values look faint." if look.shared else CLIPPED
    chance = (
        "Methods that draw at random also differ by chance: below their maps is the correlation "
        "with another seed. "
    )
    return f"{chance * drawn}{scale}"


def _collect(choices: Choices, target: Target, requests: Sequence[Request], wall: Wall) -> Answers:
    case = case_of(choices)
    tokens = {request.method: (case, target, request) for request in requests}
    # What this session has seen done, and the error where there was no map: drawn first, and not
    # tried again.
    seen: dict[tuple, AttributionError | None] = {**keys.ATTRIBUTED.get()}
    known = [request for request in requests if tokens[request.method] in seen]
    passes = {
        request: count_passes(request, choices.photo.width)
        for request in requests
        if request not in known
    }
    new = sorted(passes, key=passes.__getitem__)
    wall.wait(request.method for request in new)
    answers: dict[str, Attribution | SeVizError] = {}
    stop, text = partial(_untick, tokens), f"Computing {len(new)} of {len(requests)} maps…"
    with progress(text, key=keys.ATTRIBUTIONS, stop=stop) as (watch, report):
        for request in known:
            answers[request.method] = seen[tokens[request.method]] or ask_method(
                choices, target, request, watch
            )
        wall.show(answers)
        for request, told in zip(
            new, _share(report, [passes[request] for request in new]), strict=True
        ):
            answer = answers[request.method] = ask_method(choices, target, request, watch, told)
            # Others may pass, as a long line does.
            if isinstance(answer, Attribution | AttributionError):
                seen[tokens[request.method]] = None if isinstance(answer, Attribution) else answer
                keys.ATTRIBUTED.set({**seen})
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
    drawn = {one: found for one, found in answers.items() if METHODS[one.method].drawn}
    maps = {one: found for one, found in drawn.items() if isinstance(found, Attribution)}
    tokens = {(case, target, request) for request in maps}
    unwanted = keys.UNREPEATED.get()
    passes = {request: count_passes(request, choices.photo.width) for request in maps}
    text = f"Repeating {len(maps)} maps with another seed…"
    with progress(text, key=keys.REPEATS, stop=partial(_leave_out, tokens)) as (watch, report):
        for request, told in zip(maps, _share(report, list(passes.values())), strict=True):
            if (case, target, request) in unwanted:
                wall.note(maps[request], "Not repeated with another seed: stopped.")
                continue
            other = ask_method(choices, target, reseed(request), watch, told)
            if isinstance(other, Attribution):
                wall.note(maps[request], describe_repeat(correlate(maps[request].map, other.map)))


def _share(report: Report, weights: Sequence[int]) -> Iterator[Report]:
    """Yield for each of several runs, one after another, a report of its part of the whole."""
    before, whole = 0, sum(weights)
    for weight in weights:
        yield part_of(report, before=before, weight=weight, whole=whole)
        before += weight
        report(before, whole)


def _leave_out(tokens: Collection[tuple]) -> None:
    keys.UNREPEATED.set(keys.UNREPEATED.get() | frozenset(tokens))


def _untick(tokens: dict[str, tuple]) -> None:
    seen = keys.ATTRIBUTED.get()
    left = [method for method, token in tokens.items() if token not in seen]
    for method in left:
        keys.set_value(tick_of(method), False)
    keys.UNTICKED.set(tuple(METHODS[method].title for method in left))
