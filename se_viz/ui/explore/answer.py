"""The photo as the network sees it, and its answer."""

from collections.abc import Sequence

import streamlit as st
from PIL import Image

from se_viz.charts import depict, frame_photo, to_uri
from se_viz.experiments import Analysis
from se_viz.networks.labels import numbered_classes
from se_viz.ui.asking import Choices
from se_viz.ui.widgets import current_palette
from se_viz.ui.words import plain

_LISTED = 20
_READ = {
    "segments": "The mask over {place}: {function} of each class's mean logit there.",
    "boxes": "For each class the score of its strongest box {within}.",
    "embedding": "Cosine similarity of both embeddings, from -1 to 1: no class, and no "
    "probability. Where pages say logit, this number is meant.",
    "value": "As the network returns it: no class, and no probability. Where pages say logit, this "
    "number is meant.",
}
"""What the numbers of an answer are that is no list of classes."""


def show_answer(choices: Choices, analysis: Analysis) -> None:
    """Show the photo as the network sees it and its five most probable classes, and an answer of
    independent ones; of other answers the numbers, and where they are read.
    """
    size = describe_size(choices.network.card.shape)
    photo, alt = choices.photo, f"The {choices.noun} as the network sees it: {size}"
    if region := choices.at.region:
        photo = frame_photo(photo, region, current_palette())
        alt += ", with a rectangle around the region that is read"
    # Inside the page: a file on the server may be gone before the browser asks, when clicks come
    # quickly.
    st.image(to_uri(photo), alt=alt)
    if (beside := choices.beside) is not None:
        picture = beside if isinstance(beside, Image.Image) else depict(beside[0].float().numpy())
        width = min(112, choices.photo.width)
        st.image(to_uri(picture), width=width, alt=f"The second {choices.noun}")
        st.caption(f"The second {choices.noun}")
    card = choices.network.card
    with st.container(gap=None):
        for index, share in analysis.top(5):
            name = plain(choices.network.classes[index])
            if card.shares:
                st.progress(min(share, 1.0), text=f"{name} · {share:.1%}")
            else:
                st.markdown(f"**{name}: {share:.4g}**")
    if card.independent and card.answer != "boxes":
        st.markdown(f"Answer: **{plain(choices.network.name_answer(analysis.logits))}**")
    words, names = describe_answer(choices)
    # In sight: a cat that is called a tench is a riddle to who does not know the classes.
    st.caption(f"{words} {names}".strip(), help=f"Network input: {size}.")


def describe_size(shape: tuple[int, ...]) -> str:
    """Say how large an input is: a photo in pixels, another one with its channels."""
    if len(shape) == 3 and shape[0] == 3 and shape[1] == shape[2]:
        return f"{shape[2]} x {shape[1]} pixels"
    return f"{' x '.join(map(str, shape))} values, channels first"


def describe_answer(choices: Choices) -> tuple[str, str]:
    """Say what the numbers of the answer are, and where it is read; and which classes there are."""
    card = choices.network.card
    if card.answer not in _READ:
        return describe_classes(card.classes, multi_label=card.multi_label)
    located = choices.at.region is not None
    whole = f"the whole {choices.noun}"
    words = _READ[card.answer].format(
        place="the framed region" if located else whole,
        function="a softmax" if len(card.classes) > 1 else "the sigmoid",
        within="that overlaps the framed region by half"
        if located
        else f"in the whole {choices.noun}",
    )
    few = card.shares and 1 < len(card.classes) <= _LISTED
    return words, f"Classes: {', '.join(map(plain, card.classes))}." if few else ""


def describe_classes(classes: Sequence[str], *, multi_label: bool = False) -> tuple[str, str]:
    """Say among which classes a network chooses, or that each is a yes or no by itself; and which
    classes these are, where they are few.
    """
    count = len(classes)
    names = "" if count > _LISTED or count == 1 else f"Classes: {', '.join(map(plain, classes))}."
    words = f"Probabilities (softmax over the {count} classes that this network knows)."
    if count == 1:
        words = (
            "The probability of this one class: the sigmoid of the only logit, yes from 50 % on."
        )
    elif multi_label:
        words = (
            f"Each of {count} classes is a yes or no by itself (a sigmoid, yes from 50 % on): any "
            "number of classes may be true of one photo."
        )
    if tuple(classes) != numbered_classes(count):
        return words, names
    return (
        f"{words} Class names are unknown, so classes are numbered from 0: give a list of labels "
        "with the network."
    ), ""
