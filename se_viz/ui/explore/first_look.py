"""A network at work before the first click: what it did with one sample, computed beforehand.

It needs no PyTorch. `benchmarks.first_look` writes the file, and a test compares it with the
network.
"""

from dataclasses import dataclass
from functools import cache
from itertools import starmap
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from se_viz.charts import GATES, Map, Palette, fit_reach, lay_out_gates, paint_map, to_uri
from se_viz.images import Sample, centre_square, list_samples, open_image
from se_viz.ui.explore.gate_map import paint_gates
from se_viz.ui.session import choose_sample, keys, open_place_on
from se_viz.ui.widgets import current_palette
from se_viz.ui.words import plain

FILE = Path(__file__).with_suffix(".npz")
"""Answer, gates, map and a few channels of one sample."""

_STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
_LINE = 13
"""Height of a row of the gate map, in pixels."""
_STEPS = (
    ("Squeeze", "Each channel of a feature map becomes one number: its mean."),
    ("Excitation", "Two small layers turn all these numbers into one gate a channel, 0 to 1."),
    (
        "Scale",
        "Each channel is multiplied by its gate: the first passes almost whole, the last hardly.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class FirstLook:
    """What a network did with one sample."""

    sample: Sample
    """The sample."""
    photo: Image.Image
    """The square of it that the network sees."""
    network: str
    """The network's name."""
    title: str
    """Its name for people."""
    answers: tuple[tuple[str, float], ...]
    """The five most probable classes and their probabilities."""
    heat: np.ndarray
    """Grad-CAM of the first answer, (height, width), from 0 to its largest value."""
    gates: dict[str, np.ndarray]
    """The columns of a gate table."""
    block: str
    """The block whose channels are shown."""
    shown: tuple[int, ...]
    """These channels, from the highest gate to the lowest."""
    squeezes: np.ndarray
    """Their squeezes, (channels,)."""
    features: np.ndarray
    """Their maps before the gates, (channels, height, width)."""


@cache
def read_first_look() -> FirstLook:
    """Return what the repository holds."""
    with np.load(FILE) as arrays:
        data = dict(arrays)
    sample = next(sample for sample in list_samples() if sample.name == str(data["sample"]))
    return FirstLook(
        sample,
        centre_square(open_image(sample.path, trusted=True), int(data["side"])),
        str(data["network"]),
        str(data["title"]),
        tuple(zip(data["names"].tolist(), data["shares"].tolist(), strict=True)),
        data["heat"].astype(np.float32) / 255,
        {
            "block": np.repeat(data["blocks"], data["channels"]),
            "path": np.repeat(data["paths"], data["channels"]),
            "stage": np.repeat(data["stages"], data["channels"]),
            "channel": np.concatenate([np.arange(count) for count in data["channels"]]),
            "gate": data["gates"],
        },
        str(data["block"]),
        tuple(data["shown"].tolist()),
        data["squeezes"],
        data["features"].astype(np.float32),
    )


def show_first_look() -> None:
    """Show a sample's answer, where it came from, every gate, and one block's three steps."""
    look = read_first_look()
    palette = current_palette()
    st.markdown(
        "Each layer of an image network makes maps, its **channels**. A squeeze-and-excitation "
        "(SE) block multiplies each by a number from 0 to 1, its **gate**, computed anew for every "
        "image. Here is one photo; [try yours](#your-photo)."
    )
    answer, gates = st.columns([2, 3], gap="medium")
    with answer:
        _show_answer(look, palette)
    with gates:
        data = lay_out_gates(look.gates, palette) | {"line": _LINE, "channel": -1}
        paint_gates(data, keys.FIRST_LOOK, _open)
        st.caption(
            f"Each row is a block, each cell a gate: {palette.high_name} above {GATES.middle} "
            f"(the channel is turned up), {palette.low_name} below (down). Click one to open it."
        )
    st.html(f"<style>{_STYLE}</style>{_draw_block(look, palette)}")


def _show_answer(look: FirstLook, palette: Palette) -> None:
    heat = Map(look.heat, signed=False)
    name, share = look.answers[0]
    with st.container(horizontal=True, gap="small"):
        for picture, words in (
            (look.photo, f"The sample {look.sample.title}"),
            (
                paint_map(look.photo, heat, palette, reach=fit_reach([heat]), opacity=0.8),
                f"Where “{name}” came from",
            ),
        ):
            with st.container(width=160, gap="xsmall"):
                st.image(to_uri(picture), alt=words, width="stretch")
                st.caption(words)
    with st.container(gap=None):
        for name, share in look.answers[:3]:
            st.progress(share, text=f"{name} · {share:.1%}")
    st.caption(f"{plain(look.title)}. Photo: {plain(look.sample.credit)}. The map is Grad-CAM.")


def _draw_block(look: FirstLook, palette: Palette) -> str:
    """Return the three steps of a block in HTML, with this image's own channels and numbers."""
    table = look.gates
    gates = table["gate"][table["block"] == look.block][list(look.shown)]
    reach = float(np.abs(look.features).max())
    before = [_tile(features, reach, palette) for features in look.features]
    scaled = look.features * gates[:, None, None]
    after = [_tile(features, reach, palette) for features in scaled]
    colour = palette.diverging[-2][1]
    bars = [
        f'<div class="gate"><i style="height:{gate:.0%};background:{colour}"></i></div>'
        for gate in gates
    ]
    cells = (
        zip(before, (f"{value:.2f}".replace("-", "−") for value in look.squeezes), strict=True),
        zip(bars, (f"{gate:.2f}" for gate in gates), strict=True),
        zip(after, (f"× {gate:.2f}" for gate in gates), strict=True),
    )
    sections = "".join(
        f"<section><strong>{number} · {title}</strong><div>{''.join(starmap(_figure, row))}</div>"
        f"<p>{words}</p></section>"
        for number, ((title, words), row) in enumerate(zip(_STEPS, cells, strict=True), 1)
    )
    return f'<div class="first-look">{sections}</div>'


def _figure(picture: str, words: str) -> str:
    return f"<figure>{picture}<figcaption>{words}</figcaption></figure>"


def _tile(features: np.ndarray, reach: float, palette: Palette) -> str:
    ground = Image.new("RGB", features.shape[::-1], palette.page)
    picture = paint_map(ground, Map(features, signed=True), palette, reach=reach, opacity=1.0)
    return f'<img src="{to_uri(picture)}" alt="">'


def _open() -> None:
    """Choose the sample, and open the block or channel that was clicked."""
    look = read_first_look()
    choose_sample(look.sample)
    if keys.NETWORK.get() in (None, look.network):
        open_place_on(keys.FIRST_LOOK)
