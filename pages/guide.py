"""How to read it: the method in the paper's words, and what each picture can and cannot tell."""

import streamlit as st

st.title("How to read it")
st.markdown(
    "A squeeze-and-excitation (SE) block looks at all channels of a feature map and decides, for this image, how much "
    "of each goes on. The three steps and their letters are by [Hu et al.](https://arxiv.org/abs/1709.01507), 2018.",
    width=760,
)

squeeze, excitation, scale = st.columns(3, border=True)
with squeeze:
    st.subheader("1 · Squeeze", anchor=False)
    st.latex(r"\textstyle z_c = \tfrac{1}{HW} \sum_{i,j} u_c(i, j)")
    st.markdown("Each channel $u_c$ becomes one number: its mean over the image. Where something was is forgotten.")
with excitation:
    st.subheader("2 · Excitation", anchor=False)
    st.latex(r"s = \sigma(W_2\,\delta(W_1\,z))")
    st.markdown(
        r"Two small layers turn all means $z$ into one **gate** $s_c$ a channel. $\delta$ is the ReLU, $W_1$ keeps one "
        r"value in $r = 16$, and the sigmoid $\sigma$ holds gates between 0 and 1."
    )
with scale:
    st.subheader("3 · Scale", anchor=False)
    st.latex(r"\tilde{x}_c = s_c\,u_c")
    st.markdown("The whole channel is multiplied by its gate: the same at every pixel, another for every image.")

place, names = st.columns([2, 3], gap="medium")
with place:
    st.subheader("Where the block sits", anchor=False)
    st.markdown(
        "In an SE-ResNet it closes the residual branch, before the addition: $x + s \\cdot F(x)$. A gate of 0 removes "
        "the branch's channel; what came along the shortcut $x$ goes on regardless."
    )
with names:
    st.subheader("Stages and names", anchor=False)
    st.markdown(
        "A stage is all blocks at one resolution; in stage $k$ it is $1/2^k$ of the image's side. **SE_4_3** is the "
        "third block of stage 4. From 224 pixels, SE-ResNet-50 makes 56 x 56 in stage 2 (3 blocks), 28 x 28 in stage 3 "
        "(4), 14 x 14 in stage 4 (6) and 7 x 7 in stage 5 (3)."
    )

st.header("The pictures", anchor=False, divider="gray")
gates, pixels, block = st.columns(3, gap="medium")
with gates:
    st.subheader("The gate map", anchor=False)
    st.markdown(
        "One row is a block, one cell a channel, and all rows share the scale 0 to 1. **0.5 is the sigmoid of 0**: the "
        "excitation says nothing. Orange lies above it, blue below.\n\n"
        "Compare a row between two images: in the paper early blocks hardly differ from class to class, later ones do. "
        "A row of one colour has scaled all its channels alike.\n\n"
        "Sorted rows show *how many* channels were turned up. Only sorting by index keeps every channel in its place."
    )
with pixels:
    st.subheader("The attribution", anchor=False)
    st.markdown(
        "Where the logit of **one class** came from. For another class the map changes; the gates stay.\n\n"
        "Signed maps are symmetric about 0: orange speaks for the class, blue against. Grad-CAM is as coarse as its "
        "stage's grid; Occlusion as its square.\n\n"
        "Integrated Gradients promises that its map sums to the logit's rise from the baseline. The **completeness "
        "error** is what is missing. A small one says the sum is right, not that the map is.\n\n"
        "**Where did it look?** holds methods side by side. What several agree on is worth a second look; what they "
        "differ in says which question each asks.\n\n"
        "*Through the gates* splits that rise: what pixels did while gates were held still, and what they did by moving "
        "gates. The two are exact parts of one sum, and may have opposite signs.\n\n"
        "The same methods explain **one gate**. Then erase what the map marks: if the gate falls no further than with "
        "the same shape erased elsewhere, the map is no proof."
    )
with block:
    st.subheader("The opened block", anchor=False)
    st.markdown(
        "The channels with the highest and lowest gates, before and after scaling. Each pair shares one scale.\n\n"
        "No gate exceeds 1, so no channel grows: *turned up* means that it shrinks less than at 0.5.\n\n"
        "Look at a second image before you give a channel a meaning.\n\n"
        "The page **Open a gate** follows one of them through the block's arithmetic."
    )

st.subheader("Healthy gates", anchor=False)
st.markdown(
    "All gates 0.65: broken? The mean does not tell. A block does something if its gates differ **between channels** "
    "and **between images**, and Explore holds each against that over the gallery: *constant* gates only scale, gates "
    "*stuck* at 0.5 say nothing, *saturated* ones no longer react (as SE_5_2 in the paper, section 7.2), and the *same "
    "for every image* are usual in early blocks.",
    width=760,
)

with st.container(border=True):
    st.subheader("What none of them tells", anchor=False)
    st.markdown(
        "- **A gate is not importance.** The next layer may weigh a channel with gate 0.1 more than one with 0.9.\n"
        "- **A gate is no cause.** Only changing it and running the network again shows what it does to the answer. "
        "*Change the gates* does that by hand, *Does it matter?* for one block, a stage or all. Later gates then "
        "answer to what the change left them.\n"
        "- **A sure answer may be wrong.** Probabilities are shares among what the network knows, whatever is shown.\n"
        "- **An attribution is one method's answer.** Two methods that disagree ask different questions."
    )
