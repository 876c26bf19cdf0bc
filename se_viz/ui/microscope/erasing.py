"""The test of a gate's map: erase what it marks, and read the gate before and after."""

import streamlit as st
from PIL import Image

from se_viz.attribution.gates import FILLS, REPEATS, Erasure
from se_viz.attribution.question import NeuronAttribution
from se_viz.charts import depict, to_uri
from se_viz.engine.questions import AttributeGate, Erase
from se_viz.ui.asking import Choices, ask
from se_viz.ui.session import keys, link_number
from se_viz.ui.widgets import choose_option, current_palette

_MOST = 50
_WORDS = {1: ("falls", "opened", "open"), -1: ("rises", "closed", "down")}
"""For the sign of what is erased: where the value goes, what the pixels did, how they held it."""


def show_erasing(choices: Choices, gate_map: NeuronAttribution, sign: int, *, word: str) -> None:
    """Let people erase what a map marks, and show the gate before, after, and with the same shape
    elsewhere.

    ``sign`` is that of `find_sign`: erased are the pixels that the words beside it point at.
    ``word`` is what the map explains, as `name_level` says it.

    Raises:
        SeVizError: the map marks nothing, or too many wait; the text says what to do.
    """
    left, right = st.columns([1, 1])
    link_number(keys.ERASE_SHARE, low=1, high=_MOST, default=10)
    percent = left.slider(
        f"Erase the strongest {_name_marked(gate_map, sign)}pixels (%)",
        1,
        _MOST,
        10,
        key=keys.ERASE_SHARE,
        persist_state="session",
    )
    with right:
        fill = choose_option(
            "Replace by",
            {
                "blur": "blur",
                "mean": "mean colour" if choices.network.sees_photos else "mean value",
            },
            key=keys.ERASE_FILL,
        )
    source = AttributeGate(gate_map.neuron, gate_map.method, gate_map.target)
    question = Erase(source, percent / 100, fill, sign)
    result = ask(choices, question, "Erasing…", slow=True)
    _show_numbers(result, word, choices.noun)
    st.markdown(describe_erasure(result, word))
    filling = FILLS[fill] if choices.network.sees_photos else f"the {fill}"
    noun = choices.noun
    caption = f"The network's input: {result.share:.1%} of the {noun} is replaced by {filling}."
    picture = result.picture
    st.image(
        to_uri(picture if isinstance(picture, Image.Image) else depict(picture[0].numpy())),
        caption=caption,
        alt=f"The {noun} without the marked pixels",
        width=300,
    )


def describe_erasure(result: Erasure, word: str) -> str:
    """Say in one sentence what erasing did to a gate, and whether the place mattered."""
    count = len(result.controls)
    moves, moved, held = _WORDS[result.sign]
    if not result.is_clear:
        return (
            f"Without the marked pixels the {word} moves by less than {result.least:g}: **nothing "
            "clear was found**."
        )
    if result.move < 0:
        return (
            f"Without the marked pixels the {word} does not {moves.removesuffix('s')}: **no sign** "
            f"that these pixels {moved} it."
        )
    if result.holds:
        return (
            f"Without the marked pixels the {word} {moves} further than with the same shape erased "
            f"at any of {count} other places, which by chance happens in 1 of {count + 1} cases: "
            f"**these pixels held it {held}**."
        )
    return (
        f"Without the marked pixels the {word} {moves} further than with the same shape erased at "
        f"{result.beaten} of {count} other places. A random place does as well in "
        f"{count + 1 - result.beaten} of {count + 1} cases: whether these pixels {moved} it "
        "**cannot be told**."
    )


def _name_marked(gate_map: NeuronAttribution, sign: int) -> str:
    """Return the colour of what is erased; a map without signs has one alone."""
    if not gate_map.signed:
        return ""
    palette = current_palette()
    return f"{palette.high_name if sign > 0 else palette.low_name} "


def _show_numbers(result: Erasure, word: str, noun: str) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(f"{word.capitalize()} of this {noun}", f"{result.before:.3f}", width="content")
        move = f"{result.after - result.before:+z.3f}"
        st.metric("Marked pixels erased", f"{result.after:.3f}", move, "off", width="content")
        st.metric(
            "Same shape elsewhere",
            f"{result.mean:.3f}",
            f"{result.mean - result.before:+z.3f} ± {result.spread:.3f}",
            "off",
            help=f"The same shape erased at {REPEATS} other places, drawn at random but the same "
            "each time: mean and "
            "standard deviation. Each channel, share or filling is another draw: of many, 1 in "
            f"{REPEATS + 1} moves furthest by chance.",
            width="content",
        )
