"""The words of the page *How to read it*: the method in the paper's letters, and what each picture can tell."""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

INTRODUCTION = (
    "A squeeze-and-excitation (SE) block looks at all channels of a feature map and decides, for this image, how much "
    "of each goes on. The three steps and their letters are by [Hu et al.](https://arxiv.org/abs/1709.01507), 2018."
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One heading of the page, and what stands below it."""

    heading: str
    """The heading."""
    words: str
    """Markdown."""
    equation: str = ""
    """LaTeX that stands between the two."""


STEPS = (
    Passage(
        "1 · Squeeze",
        "Each channel $u_c$ becomes one number: its mean over the image. Spatial position is discarded.",
        r"\textstyle z_c = \tfrac{1}{HW} \sum_{i,j} u_c(i, j)",
    ),
    Passage(
        "2 · Excitation",
        r"Two small layers turn all means $z$ into one **gate** $s_c$ a channel. $W_1$ reduces $C$ channels to $C/r$. "
        r"In the paper $r = 16$, $\delta$ is the ReLU, and $\sigma$ the sigmoid, which holds gates between 0 and 1. "
        "*Open a gate* shows what the chosen network uses.",
        r"s = \sigma(W_2\,\delta(W_1\,z))",
    ),
    Passage(
        "3 · Scale",
        "The whole channel is multiplied by its gate: the same at every pixel, another for every image.",
        r"\tilde{x}_c = s_c\,u_c",
    ),
)

PLACE = Passage(
    "Where the block sits",
    "In an SE-ResNet it closes the residual branch, before the addition: $x + s \\cdot F(x)$. A gate of 0 removes "
    "the branch's channel; what came along the shortcut $x$ goes on regardless.",
)
NAMES = Passage(
    "Stages and names",
    "A stage is all blocks at one resolution; in stage $k$ it is $1/2^k$ of the image's side. **SE_4_3** is the "
    "third block of stage 4. From 224 pixels, SE-ResNet-50 makes 56 x 56 in stage 2 (3 blocks), 28 x 28 in stage 3 "
    "(4), 14 x 14 in stage 4 (6) and 7 x 7 in stage 5 (3).",
)

GATES = (
    Passage(
        "The gate map",
        "One row is a block, one cell a channel, and all rows share the scale 0 to 1. **0.5 is the sigmoid of 0**, the "
        "gate of a channel whose logit is 0. Orange lies above it, blue below. Norm-free networks double each gate: "
        "0 to 2, and 1 in the middle.\n\n"
        "Compare a row between two images: in the paper early blocks hardly differ from class to class, later ones do. "
        "A row of one colour has scaled all its channels alike.\n\n"
        "Sorted rows show *how many* channels were turned up. Only sorting by index keeps every channel in its place.",
    ),
    Passage(
        "The opened block",
        "The channels with the highest and lowest gates, before and after scaling. Each pair shares one scale.\n\n"
        "A sigmoid's gate never exceeds 1, so no channel grows: *turned up* means that it shrinks less than at 0.5."
        " Doubled gates can make it grow.\n\n"
        "Look at a second image before you give a channel a meaning.\n\n"
        "The page **Open a gate** follows one of them through the block's arithmetic.",
    ),
)
PIXELS = (
    Passage(
        "The attribution",
        "Where the logit of **one class** came from. For another class the map changes; the gates stay.\n\n"
        "Signed maps are symmetric about 0: orange speaks for the class, blue against. Grad-CAM is as coarse as its "
        "stage's grid; Occlusion as its square.\n\n"
        "Integrated Gradients promises that its map sums to the logit's rise from the baseline. The **completeness "
        "error** is what is missing. A small error means the integral converged, not that the map is correct.\n\n"
        "The same methods explain **one gate**. Then erase what the map marks: unless the gate falls further than with "
        "the same shape erased at any of 40 other places, which is 1 in 41 by chance, the map is no proof.",
    ),
    Passage(
        "Where did it look?",
        "Methods *side by side*. What several agree on is worth a second look; what they differ in says which question "
        "each asks, or is chance: below a map that was drawn at random stands how far it agrees with that of another "
        "seed. **Score these maps** paints over what each map marks, and over what maps mark that know nothing: "
        "one that does not clearly beat those is no evidence on this image.\n\n"
        "*Stage by stage* draws the same map at every depth, and before and after a block's gates.\n\n"
        "*Through the gates* splits the logit's rise: what pixels did while gates were held still, and what they did "
        "by moving gates. The two add up to the rise, but for an error that stands below the bars (the aim is 1 % of "
        "what moves), and may have opposite signs.",
    ),
)
HEALTHY = Passage(
    "Healthy gates",
    "All gates 0.65: broken? The mean does not tell. A block does something if its gates differ **between channels** "
    "and **between images**, and Explore measures both over the gallery. *Constant* gates scale all channels alike, "
    "gates *near the middle* recalibrate weakly, *saturated* ones no longer react (as SE_5_2 in the paper, section "
    "7.2), and gates that are the *same for every image* are usual in early blocks. A few images cannot tell the last.",
)
LIMITS = Passage(
    "What none of them tells",
    "- **A gate is not importance.** The next layer may weigh a channel with gate 0.1 more than one with 0.9.\n"
    "- **A gate is no cause.** Only changing it and running the network again shows what it does to the answer. "
    "*Change the gates* does that by hand, *Does it matter?* for one block, a stage or all. Later gates then "
    "answer to what the change left them.\n"
    "- **A sure answer may be wrong.** Probabilities are shares among the classes that the network knows, "
    "whatever is shown. A network with one class, or with independent ones, says yes or no to each.\n"
    "- **An attribution is one method's answer.** Two methods that disagree may ask different questions, "
    "or differ by chance: no map is the truth that others miss.",
)


def show(passage: Passage, *, width: int | Literal["stretch"] = "stretch") -> None:
    """Show one passage of the page."""
    st.subheader(passage.heading, anchor=False)
    if passage.equation:
        st.latex(passage.equation)
    st.markdown(passage.words, width=width)
