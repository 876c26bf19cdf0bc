"""The words of the page *How to read it*: the method in the paper's letters, and what each picture
can tell.
"""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from se_viz.ui.widgets import current_palette

INTRODUCTION = (
    "A squeeze-and-excitation (SE) block looks at all channels of a feature map and sets, for this "
    "image, how much of each channel passes on. The three steps and their letters are by [Hu et "
    "al.](https://arxiv.org/abs/1709.01507), 2018."
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One heading of the page, and what stands below it."""

    heading: str
    """The heading."""
    words: str
    """Markdown; ``{low}`` and ``{high}`` stand for the names of the colours at both ends of a
    scale."""
    equation: str = ""
    """LaTeX that stands between the two."""


STEPS = (
    Passage(
        "1 · Squeeze",
        "Each channel $u_c$ becomes one number: its mean over the image. Spatial position is "
        "discarded.",
        r"\textstyle z_c = \tfrac{1}{HW} \sum_{i,j} u_c(i, j)",
    ),
    Passage(
        "2 · Excitation",
        r"Two small layers turn all means $z$ into one **gate** $s_c$ a channel. $W_1$ reduces $C$ "
        r"channels to $C/r$. "
        r"In the paper $r = 16$, $\delta$ is the ReLU, and $\sigma$ the sigmoid, which holds gates "
        r"between 0 and 1. "
        "*Open a gate* shows what the chosen network uses.",
        r"s = \sigma(W_2\,\delta(W_1\,z))",
    ),
    Passage(
        "3 · Scale",
        "The whole channel is multiplied by its gate: the same at every pixel, another for every "
        "image.",
        r"\tilde{x}_c = s_c\,u_c",
    ),
)

PLACE = Passage(
    "Where the block sits",
    "In an SE-ResNet it closes the residual branch, before the addition: $x + s \\cdot F(x)$. A "
    "gate of 0 removes the branch's channel; what came along the shortcut $x$ goes on regardless.",
)
NAMES = Passage(
    "Stages and names",
    "A stage is all blocks at one resolution; in stage $k$ it is $1/2^k$ of the image's side. "
    "**SE_4_3** is the third block of stage 4. From 224 pixels, SE-ResNet-50 makes 56 x 56 in "
    "stage 2 (3 blocks), 28 x 28 in stage 3 (4), 14 x 14 in stage 4 (6) and 7 x 7 in stage 5 (3).",
)

GATES = (
    Passage(
        "The gate map",
        "One row is a block, one cell a channel, and all rows share the scale 0 to 1. **0.5 is "
        "the sigmoid of 0**, the gate of a channel whose logit is 0. Larger gates are {high}, "
        "smaller gates {low}. Norm-free networks double each gate: 0 to 2, and 1 in the "
        "middle.\n\n"
        "Compare a row between two images: in the paper early blocks hardly differ from class to "
        "class, later ones do. A row of one colour scales all its channels alike.\n\n"
        "Sorted rows show *how many* channels were turned up. Only sorting by index keeps every "
        "channel in its place.",
    ),
    Passage(
        "The opened block",
        "The channels with the highest and lowest gates, before and after scaling. Each pair "
        "shares one scale.\n\n"
        "A sigmoid's gate never exceeds 1, so no channel grows: *turned up* means that it shrinks "
        "less than at 0.5."
        " Doubled gates can make it grow.\n\n"
        "Look at a second image before you give a channel a meaning.\n\n"
        "The page **Open a gate** follows one of them through the block's arithmetic.",
    ),
)
PIXELS = (
    Passage(
        "The attribution",
        "Where the logit of **one class** came from. For another class the map changes; the "
        "gates stay.\n\n"
        "Signed maps are symmetric about 0: {high} is evidence for the class, {low} evidence "
        "against it. Grad-CAM is as coarse as its stage's grid; Occlusion as its square.\n\n"
        "Integrated Gradients promises that its map sums to the logit's rise from the baseline. "
        "The **completeness error** is the difference. A small error means the integral "
        "converged, not that the map is correct.\n\n"
        "The same methods explain **one gate**. Then erase the marked pixels: unless the gate "
        "moves further than with the same shape erased at any of 40 other places, which is 1 in "
        "41 by chance, the map is no proof.",
    ),
    Passage(
        "Where did it look?",
        "Methods *side by side*. Places where several methods agree are worth a second look. "
        "Methods differ by their questions, or by chance: below a map drawn at random is its "
        "correlation with the map of another seed. **Score these maps** masks the pixels that "
        "each map marks, and the pixels that control maps mark: a map that does not clearly beat "
        "the controls is no evidence on this image.\n\n"
        "*Stage by stage* draws the same map at every depth, and before and after a block's "
        "gates.\n\n"
        "*Through the gates* splits the logit's rise into the effect of pixels with the gates "
        "held, and the effect of pixels by moving the gates. The two parts sum to the rise, up "
        "to an error behind the help mark of the bars (the aim is 1 % of the total change), and "
        "may have opposite signs.",
    ),
)
HEALTHY = Passage(
    "Healthy gates",
    "All gates at 0.65: broken? The mean alone does not show it. Gates should differ **between "
    "channels** and **between images**, and Explore measures both over the gallery. *Constant* "
    "gates scale all channels alike, gates *near the middle* recalibrate weakly, *saturated* gates "
    "no longer react (as SE_5_2 in the paper, section 7.2), and gates that are the *same for every "
    "image* are usual in early blocks. With few images this stays *undecided*.",
)
LIMITS = Passage(
    "What no picture shows",
    "- **A gate is not importance.** The next layer may weigh a channel with gate 0.1 more than "
    "one with 0.9.\n"
    "- **A gate is no cause.** Only changing a gate and running the network again shows its "
    "effect on the answer. *Change the gates* does this by hand, *Does it matter?* for one "
    "block, a stage or all. Later gates react to the change.\n"
    "- **A sure answer may be wrong.** Probabilities are shares among the network's classes, "
    "whatever the image shows. A network with one class, or with independent classes, says yes "
    "or no to each.\n"
    "- **An attribution is one method's answer.** Two methods that disagree may answer different "
    "questions, or differ by chance: no single map is the truth.",
)


def show(passage: Passage, *, width: int | Literal["stretch"] = "stretch") -> None:
    """Show one passage of the page, with the names of the palette's colours."""
    palette = current_palette()
    st.subheader(passage.heading, anchor=False)
    if passage.equation:
        st.latex(passage.equation)
    st.markdown(passage.words.format(low=palette.low_name, high=palette.high_name), width=width)
