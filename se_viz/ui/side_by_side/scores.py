"""Below the maps of a view: how they score beside controls, and whether they depend on what was
learned.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from textwrap import wrap

import pandas as pd
import streamlit as st

from se_viz.attribution.question import BASELINES, Target
from se_viz.attribution.scores import (
    CHANCE,
    CONTROLS,
    SAMPLES,
    Exam,
    describe_scores,
    tabulate_curves,
    tabulate_scores,
)
from se_viz.charts import draw_curves, literal
from se_viz.readings import KINDS
from se_viz.ui.asking import Choices, case_of, describe_load, get_engine, page_part
from se_viz.ui.session import keys
from se_viz.ui.side_by_side.curves import MOST, colour_curves, pick_rows, tick_rows
from se_viz.ui.side_by_side.sanity import show_sanity
from se_viz.ui.side_by_side.scoring import (
    Scored,
    Subject,
    count_pictures,
    get_scores,
    get_sensitivities,
)
from se_viz.ui.widgets import current_palette, get_pace, name_target, say_about, show_figure
from se_viz.ui.words import as_markdown, plain

_MEASURES = {
    "gap": "Gap ↑",
    "deletion": "Deletion ↓",
    "insertion": "Insertion ↑",
    "infidelity": "Infidelity ↓",
}
_LINE = 28
_SENSITIVITY = "Sensitivity ↓"
_WIDTHS = dict(zip((*_MEASURES.values(), _SENSITIVITY), (64, 76, 76, 76, 90), strict=True))


# No fragment of its own: of one inside another Streamlit still sends what belongs to a run that was
# cut short.
@page_part
def show_scores(
    choices: Choices, target: Target, baseline: str, subjects: Sequence[Subject]
) -> None:
    """Offer to score the maps that are shown, and to randomise the network under one of them."""
    if not subjects:
        return
    st.header("Can these maps be trusted?", anchor=False, divider="gray")
    _show_scores(choices, Exam(target, baseline), subjects)
    st.subheader("Do these maps depend on the learned weights?", anchor=False)
    show_sanity(choices, subjects)


def _show_scores(choices: Choices, exam: Exam, subjects: Sequence[Subject]) -> None:
    token = (case_of(choices), exam)
    if keys.SCORED.get() != token:
        _offer(choices, exam, subjects, token)
        return
    # A container, so that what was there before holds its place meanwhile.
    with st.container():
        scored = get_scores(choices, exam, subjects)
    for title, problem in scored.problems.items():
        st.info(as_markdown(f"{title}: {problem}"))
    st.markdown("\n".join(f"- {line}" for line in describe_scores(scored.scores, scored.yardstick)))
    table = tabulate_scores(scored.scores, scored.yardstick).sort_values("gap", ascending=False)
    colours = colour_curves(table.loc[table["draws"] == 0, "map"].tolist())
    # One column more in the table.
    numbers, plot = st.columns([3, 2] if keys.SENSITIVITY.get() else [7, 6], gap="medium")
    with plot:
        _draw(choices, exam, scored, colours)
    with numbers:
        place = st.container()
        sensitivities = _ask_sensitivities(choices, subjects)
        with st.expander("What the numbers mean"):
            st.markdown(_explain(exam, scored.yardstick.falls.moved))
    with place:
        _show_table(table, colours, sensitivities)


def _offer(choices: Choices, exam: Exam, subjects: Sequence[Subject], token: tuple) -> None:
    if len(choices.network.card.shape) != 3:
        st.info(
            "Scores mask squares, and this input has none: they are for inputs of two dimensions. "
            "Compare the methods by their maps, or randomise the network below."
        )
        return
    pictures = count_pictures(exam, subjects)
    seconds = say_about(get_pace(choices).time((pictures, 0)))
    st.markdown(
        "A plausible map can still be wrong. Mask the pixels it highlights and see whether the "
        "score drops; random control maps take the same test."
    )
    st.button(
        "Score these maps", on_click=_want, args=(token,), icon=":material/rule:", type="primary"
    )
    load = describe_load(get_engine().load(choices.device))
    st.caption(f"This takes {seconds}: {pictures:,} images run through the network.{load}")


def _want(token: tuple | None) -> None:
    keys.SCORED.set(token)


def _draw(choices: Choices, exam: Exam, scored: Scored, colours: Mapping[str, int]) -> None:
    card = choices.network.card
    quantity = "probability of" if card.shares else f"{KINDS[card.answer].number}:"
    unit = f"{'logits:' if exam.compares else quantity} {name_target(choices, exam.target)}"
    # Names of classes may be longer than an axis.
    unit = "<br>".join(map(literal, wrap(unit, _LINE, max_lines=2, placeholder=" …")))
    table = tabulate_curves(scored.scores, scored.yardstick)
    table["colour"] = [colours.get(title) for title in table["map"]]
    figure = draw_curves(
        table, current_palette(), unit=unit, fixed=card.shares and not exam.compares
    )
    show_figure(
        figure,
        keys.SCORE_CURVES,
        alt="Deletion and insertion curves of each map and of the controls",
    )
    thin = " Hover over a thin line to see its name." if len(colours) < len(scored.scores) else ""
    st.caption(
        "Look for a line that is low above (deletion) and high below (insertion), outside the band "
        "of the control maps.",
        help="Dashed lines are control maps (mean over random draws); the band shows their "
        f"range.{thin}",
    )


def _ask_sensitivities(choices: Choices, subjects: Sequence[Subject]) -> Mapping[str, float]:
    seconds = SAMPLES * sum(subject.attribution.seconds for subject in subjects)
    if not st.toggle("Measure sensitivity too", key=keys.SENSITIVITY.name, persist_state="session"):
        st.caption(f"Each method runs {SAMPLES} more times: {say_about(seconds)} in all.")
        return {}
    return get_sensitivities(choices, subjects, stop=_forgo_sensitivity)


def _forgo_sensitivity() -> None:
    keys.SENSITIVITY.set(False)


def _show_table(
    table: pd.DataFrame, colours: Mapping[str, int], sensitivities: Mapping[str, float]
) -> None:
    display = pd.DataFrame(
        {"Map": table["map"]} | {title: table[key] for key, title in _MEASURES.items()}
    )
    if sensitivities:
        # Controls do not look at the image, so that they cannot move with it.
        display[_SENSITIVITY] = [sensitivities.get(title, 0.0) for title in table["map"]]
    tick_rows(display["Map"].tolist(), colours)
    st.dataframe(
        display.style.apply(partial(_dye, colours), axis=1),
        hide_index=True,
        height="content",
        column_config={
            "Map": st.column_config.TextColumn(width=160),
            **{
                name: st.column_config.NumberColumn(width=_WIDTHS[name], format="%.3f")
                for name in display.columns[1:]
            },
        },
        key=keys.SCORES_TABLE,
        on_select=pick_rows,
        selection_mode="multi-row",
        alt="Gap, areas and infidelity of maps and controls, the largest gap first",
    )
    st.caption(
        "**Scores of this image only**, the largest gap first. Look for maps clearly above every "
        "control map (faint rows).",
        help="Gap: insertion less deletion. Random controls are means of their draws, the blob is "
        "a single map. Tick "
        f"up to {MOST} maps to colour their curves.",
    )


def _dye(colours: Mapping[str, int], row: pd.Series) -> list[str]:
    """Return the style of each cell of a row: a map's name has the colour of its curve, a control
    is grey.
    """
    title = str(row["Map"])
    palette = current_palette()
    if title in colours:
        return [
            f"color: {palette.series[colours[title]]}; font-weight: 600",
            *[""] * (len(row) - 1),
        ]
    return [f"color: {palette.faint}" if title in CONTROLS.values() else ""] * len(row)


def _explain(exam: Exam, moved: float) -> str:
    """Say what the numbers mean; ``moved`` is how far a square moves the logit on average."""
    baseline = plain(BASELINES[exam.baseline].title.lower())
    mean = "the mean lead, in logits" if exam.compares else "the mean probability"
    return (
        f"- *Deletion*, the area under the upper curve, which is {mean}: pixels with the highest "
        f"values are replaced first ({baseline}). **Low** is good.\n"
        "- *Insertion*, the area under the lower curve: these pixels come back first, into a "
        "blurred photo. **High** is good.\n"
        "- *Gap*: insertion less deletion. Scattered pixels destroy texture everywhere, so "
        "random maps do well at deletion and, for the same reason, poorly at insertion. **High** "
        "is good.\n"
        f"- *Infidelity*: {exam.squares} squares, one draw for all maps, are removed one at a "
        f"time; each moves the logit by {moved:.2g} on average here. Infidelity is the fraction "
        "of these changes that the map fails to predict, 0 to 1, and 1 where the map is high but "
        "the logit does not fall. **Low** is good.\n"
        "- *Sensitivity*: the greatest change of the map, as a share of it, when values of the "
        "image change by 1 in 255 at most. **Low** is good, but 0 for a map that ignores the "
        "image.\n\n"
        "Pixels go by value: evidence against the class goes last, and equal pixels in random "
        f"order. Random pixels and patches: the mean of {exam.repeats} draws; a map beats them if "
        f"its gap is larger than all but one in {1 / CHANCE:.0f} draws would have, judged by the "
        "spread of these draws (a prediction bound of normal gaps). The blob has no draws: a map "
        "beats it by a larger gap alone. Of twenty scored maps, one wins by chance."
    )
