"""The words of *How to read it*: the method in the paper's letters, and what each picture can
tell.
"""

from collections.abc import Callable
from dataclasses import dataclass

from se_viz.charts import Palette
from se_viz.ui.guide.pictures import (
    draw_attribution,
    draw_block,
    draw_channel,
    draw_flows,
    draw_gate_map,
)

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
    scale, ``{ratio}`` for what is known of the chosen network's reduction ratio."""
    anchor: str = ""
    """What links lead to it by."""
    equation: str = ""
    """LaTeX that stands between heading and words."""
    picture: Callable[[Palette], str] | None = None
    """What draws its picture."""


BLOCK = Passage(
    "The block",
    "In an SE-ResNet it closes the residual branch, before the addition: $x + s \\cdot F(x)$. A "
    "gate of 0 removes the branch's channel; what came along the shortcut $x$ goes on regardless.\n"
    "\nThe page **Open a gate** follows one channel through all of it, with the numbers of your "
    "photo.",
    "block",
    picture=draw_block,
)
SQUEEZE = Passage(
    "1 · Squeeze",
    "Each channel $u_c$ becomes one number: its mean over the image. Spatial position is "
    "discarded.",
    "squeeze",
    r"\textstyle z_c = \tfrac{1}{HW} \sum_{i,j} u_c(i, j)",
)
EXCITATION = Passage(
    "2 · Excitation",
    r"Two small layers turn all means $z$ into one **gate** $s_c$ a channel. $W_1$ reduces $C$ "
    r"channels to $C/r$: in the paper $r = 16${ratio}. $\delta$ is the ReLU, and $\sigma$ the "
    "sigmoid, which holds gates between 0 and 1.",
    "excitation",
    r"s = \sigma(W_2\,\delta(W_1\,z))",
)
SCALE = Passage(
    "3 · Scale",
    "The whole channel is multiplied by its gate: the same at every pixel, another for every "
    "image. The paper calls it **recalibration**.",
    "scale",
    r"\tilde{x}_c = s_c\,u_c",
)
STAGES = Passage(
    "Stages and names",
    "A stage is all blocks at one resolution; in stage $k$ it is $1/2^k$ of the image's side. "
    "**SE_4_3** is the third block of stage 4. From 224 pixels, SE-ResNet-50 makes 56 x 56 in "
    "stage 2 (3 blocks), 28 x 28 in stage 3 (4), 14 x 14 in stage 4 (6) and 7 x 7 in stage 5 (3). "
    "There is no stage 1: its first two layers halve the side twice before the first block.",
    "stages",
)

GATE_MAP = Passage(
    "The gate map",
    "One row is a block, one cell a channel, and all rows share the scale 0 to 1. **0.5 is "
    "the sigmoid of 0**. Larger gates are {high}, smaller gates {low}. Norm-free networks double "
    "each gate: 0 to 2, and 1 in the middle.\n\n"
    "Compare a row between two images: in the paper early blocks hardly differ from class to "
    "class, later ones do. A row of one colour scales all its channels alike.\n\n"
    "Sorted rows show *how many* channels were turned up. Only sorting by index keeps every "
    "channel in its place.",
    "gate-map",
    picture=draw_gate_map,
)
OPENED = Passage(
    "The opened block",
    "The channels with the highest and lowest gates, before and after scaling. Each pair "
    "shares one scale, so that only the gate makes the difference.\n\n"
    "A sigmoid's gate never exceeds 1, so no channel grows: *turned up* means that it shrinks "
    "less than at 0.5. Doubled gates can make it grow.\n\n"
    "Look at a second image before you give a channel a meaning.",
    "opened-block",
    picture=draw_channel,
)
ATTRIBUTION = Passage(
    "The attribution",
    "Where the logit of **one class** came from. For another class the map changes; the "
    "gates stay.\n\n"
    "Signed maps are symmetric about 0: {high} is evidence for the class, {low} evidence "
    "against it. Grad-CAM is as coarse as its stage's grid; Occlusion as its square.\n\n"
    "Integrated Gradients promises that its map sums to the logit's rise from the baseline. "
    "The **completeness error** is the difference. A small error means the integral "
    "converged, not that the map is correct.",
    "attribution",
    picture=draw_attribution,
)
FLOWS = Passage(
    "Through the gates",
    "The logit's rise is split into the effect of pixels with the gates held (*past the gates*), "
    "and the effect of pixels by moving the gates (*through the gates*).\n\n"
    "The two parts sum to the rise, up to an error behind the help mark of the bars (the aim is "
    "1 % of the total change), and may have opposite signs.\n\n"
    "Stages do not add up: for each of them only its own gates are held.",
    "through-the-gates",
    picture=draw_flows,
)
PICTURED = (GATE_MAP, OPENED, ATTRIBUTION, FLOWS)
"""Passages with a picture, in the order of the pages."""

ONE_GATE = Passage(
    "The pixels of one gate",
    "The methods that explain a class explain **one gate** too. Then erase the marked pixels: "
    "unless the gate moves further than with the same shape erased at any of 40 other places, "
    "which is 1 in 41 by chance, the map is no proof.",
    "one-gate",
)
SIDE_BY_SIDE = Passage(
    "Methods side by side",
    "Places where several methods agree are worth a second look. Methods differ by their "
    "questions, or by chance: below a map drawn at random is its correlation with the map of "
    "another seed.\n\n"
    "**Score these maps** masks the pixels that each map marks, and the pixels that control maps "
    "mark: a map that does not clearly beat the controls is no evidence on this image.",
    "side-by-side",
)
BY_STAGE = Passage(
    "Stage by stage",
    "The same map at every depth, and before and after a block's gates. Cells get coarser with "
    "depth: look whether the evidence narrows.",
    "stage-by-stage",
)
HEALTHY = Passage(
    "Healthy gates",
    "All gates at 0.65: broken? The mean alone does not show it. Gates should differ **between "
    "channels** and **between images**, and Explore measures both over the gallery. *Constant* "
    "gates scale all channels alike, gates *near the middle* recalibrate weakly, *saturated* gates "
    "no longer react (as SE_5_2 in the paper, section 7.2), and gates that are the *same for every "
    "image* are usual in early blocks. With few images this stays *undecided*.",
    "healthy-gates",
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
    "limits",
)

STEPS = (SQUEEZE, EXCITATION, SCALE)
"""The three steps, in the paper's order."""
MORE = ((ONE_GATE, SIDE_BY_SIDE), (BY_STAGE, HEALTHY))
"""Passages without a picture, two a row."""
PASSAGES = (BLOCK, *STEPS, STAGES, *PICTURED, *MORE[0], *MORE[1], LIMITS)
"""All passages of the page."""
