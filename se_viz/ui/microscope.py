"""One gate opened on a page: the block drawn step by step, with the numbers of one channel and one image."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch
from PIL import Image
from streamlit.components.v2 import component
from torch.nn.functional import adaptive_avg_pool2d

from se_viz.analysis import Analysis
from se_viz.errors import ExcitationError, SeVizError
from se_viz.gates import Excitation, GateRecord, GateSite, open_gate
from se_viz.gates.gains import plain_record
from se_viz.gates.tables import label_blocks
from se_viz.line import Watch
from se_viz.runtime import line_of
from se_viz.ui.cases import BY_NAME, Case, case_of
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.loaded import borrow_network
from se_viz.ui.waiting import waiting
from se_viz.ui.words import as_markdown, code

_DIGITS, _INPUTS, _THUMB, _PHOTO = 6, 8, 16, 256

_HERE = Path(__file__).parent
_block = component(
    "se_viz_microscope",
    html='<div class="microscope" tabindex="0" role="region" aria-label="The block, step by step"></div>',
    css=(_HERE / "microscope.css").read_text(encoding="utf-8"),
    js=(_HERE / "microscope.js").read_text(encoding="utf-8"),
)


def describe_channel(record: GateRecord, channel: int) -> str:
    """Say how a channel's gate compares with those of its block."""
    gates = record.gate[0]
    place = 1 + int((gates > gates[channel]).sum())
    if record.gain != 1:
        gate = f"{gates[channel] / record.gain:.3f}, multiplier {record.gain:g} x gate = {gates[channel]:.3f}"
        return f"Gate {gate}, rank {place} of {len(gates)} from the largest."
    return f"Gate {gates[channel]:.3f}, rank {place} of {len(gates)} from the largest."


def show_steps(choices: Choices, analysis: Analysis, record: GateRecord, channel: int) -> None:
    """Draw the block as the paper does, each step with this channel's numbers; a click on a channel opens it."""
    excitation, problem = None, None
    try:
        with waiting("Opening the gate…") as watch:
            excitation = _excitation(case_of(choices), record, _watch=watch)
    except ExcitationError as error:
        problem = str(error)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    if problem:
        st.info(as_markdown(problem))
    site = next(site for site in choices.network.inspection.sites if site.name == record.name)
    data = lay_out(record, channel, site=site, excitation=excitation)
    palette = current_palette()
    data |= {"photo": _data_uri(choices.photo), "colours": palette.diverging}
    data |= {"names": [palette.low_name, palette.high_name]}
    _block(key="microscope", data=data, on_channel_change=_open_clicked)
    named = f"{label_blocks(analysis.records)[record.name]} is {code(record.name)}."
    if excitation is None:
        st.caption(named)
    else:
        st.caption(f"{_compare(excitation)} {named}", help=_describe_errors(excitation))


def lay_out(record: GateRecord, channel: int, *, site: GateSite, excitation: Excitation | None) -> dict[str, Any]:
    """Return the numbers that are drawn, with six digits; without an excitation only squeeze, gate and map."""
    record = plain_record(record)
    ends = [site.low / site.gain, site.high / site.gain]
    assert record.features is not None
    features = record.features[0]
    data = {
        "channel": channel,
        "channels": len(features),
        "size": list(features.shape[1:]),
        "averaged": site.averaged,
        "map": _numbers(features[channel].flatten()),
        "thumbs": _thumbs(features),
        "z": _numbers(record.squeeze[0]),
        "gates": _numbers(record.gate[0]),
        "gain": site.gain,
        "range": ends if np.isfinite(ends).all() else _ends(record.gate),
    }
    return data | _lay_out_steps(excitation, channel) if excitation else data


def _lay_out_steps(excitation: Excitation, channel: int) -> dict[str, Any]:
    terms = excitation.reduce * excitation.squeeze
    strongest = terms.abs().topk(min(_INPUTS, terms.shape[1])).indices
    weights = excitation.reduce.gather(1, strongest)
    return {
        "delta": excitation.delta,
        "sigma": excitation.sigma,
        "before": _numbers(excitation.before),
        "hidden": _numbers(excitation.hidden),
        "biases": _numbers(excitation.reduce_bias),
        "inputs": [
            list(zip(row.tolist(), _numbers(weight), strict=True))
            for row, weight in zip(strongest, weights, strict=True)
        ],
        "weights": _numbers(excitation.expand[channel]),
        "bias": _numbers(excitation.expand_bias[[channel]])[0],
        "logits": _numbers(excitation.logit),
        "curve": [_numbers(row) for row in excitation.curve],
    }


def _compare(excitation: Excitation) -> str:
    if excitation.exact:
        return "The arithmetic shown equals the captured tensors."
    return (
        "**The arithmetic shown is not all that this block does**: the block holds something "
        "that the formula does not show, or the pass ran in a lower precision."
    )


def _describe_errors(excitation: Excitation) -> str:
    return (
        f"The largest difference among all channels is {excitation.gate_error:.1e} in the gates, "
        f"{excitation.logit_error:.1e} in the logits and {excitation.hidden_error:.1e} in the "
        f"hidden units. Rounding explains up to {excitation.gate_rounding:.1e} in the gates."
    )


def _open_clicked() -> None:
    st.session_state.channel = int(st.session_state.microscope.channel)


@st.cache_data(max_entries=64, max_size="128MB", show_spinner=False, hash_funcs=BY_NAME)
def _excitation(case: Case, record: GateRecord, *, _watch: Watch) -> Excitation:
    with borrow_network(case.network, case.device) as network, line_of(network.device).turn(_watch):
        return open_gate(network.model, record)


def _numbers(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]


def _ends(gates: torch.Tensor) -> list[float]:
    # A gate function without ends: symmetric about 0, so that the colours keep their meaning.
    reach = gates.abs().max().item() or 1.0
    return [-reach, reach]


def _thumbs(features: torch.Tensor) -> dict[str, Any]:
    """Return every channel small and coarse, each on a scale of its own: enough to know it again."""
    side = min(_THUMB, max(features.shape[1:]))
    small = adaptive_avg_pool2d(features, side).flatten(1)
    codes = (127 * small / small.abs().amax(1, keepdim=True).clamp_min(1e-12)).round().to(torch.int8)
    return {"side": side, "codes": base64.b64encode(codes.numpy().tobytes()).decode()}


def _data_uri(photo: Image.Image) -> str:
    file, small = BytesIO(), photo.copy()
    small.thumbnail((_PHOTO, _PHOTO))
    small.save(file, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
