"""One gate opened on a page: the block drawn step by step, with the numbers of one channel and one
image.
"""

import base64
from io import BytesIO
from pathlib import Path

import streamlit as st
from PIL import Image
from streamlit.components.v2 import component

from se_viz.charts import lay_out_steps
from se_viz.engine.questions import OpenGate
from se_viz.errors import ExcitationError, SeVizError
from se_viz.experiments import Analysis
from se_viz.gates import Excitation, GateRecord
from se_viz.gates.tables import label_blocks
from se_viz.ui.asking import Choices, ask
from se_viz.ui.session import keys
from se_viz.ui.widgets import current_palette
from se_viz.ui.words import as_markdown, code

_PHOTO = 256

_HERE = Path(__file__).parent
_block = component(
    "se_viz_microscope",
    html='<div class="microscope" tabindex="0" role="region" aria-label="The block, step by '
    'step"></div>',
    css=(_HERE / "steps.css").read_text(encoding="utf-8"),
    js=(_HERE / "steps.js").read_text(encoding="utf-8"),
)


def describe_channel(record: GateRecord, channel: int) -> str:
    """Say how a channel's gate compares with those of its block."""
    gates = record.gate[0]
    place = 1 + int((gates > gates[channel]).sum())
    if record.gain != 1:
        gate = (
            f"{gates[channel] / record.gain:.3f}, multiplier {record.gain:g} x gate = "
            f"{gates[channel]:.3f}"
        )
        return f"Gate {gate}, rank {place} of {len(gates)} from the largest."
    return f"Gate {gates[channel]:.3f}, rank {place} of {len(gates)} from the largest."


def show_steps(choices: Choices, analysis: Analysis, record: GateRecord, channel: int) -> None:
    """Draw the block as the paper does, each step with this channel's numbers.

    A click on a channel opens it.
    """
    excitation = None
    problem = None
    try:
        excitation = ask(choices, OpenGate(record.name), "Opening the gate…")
    except ExcitationError as error:
        problem = str(error)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    if problem:
        st.info(as_markdown(problem))
    site = next(site for site in choices.network.inspection.sites if site.name == record.name)
    data = lay_out_steps(record, channel, site=site, excitation=excitation)
    palette = current_palette()
    data |= {"photo": _data_uri(choices.photo), "colours": palette.diverging}
    data |= {"names": [palette.low_name, palette.high_name]}
    _block(key=keys.MICROSCOPE, data=data, on_channel_change=_open_clicked)
    words = f"{label_blocks(analysis.records)[record.name]} is {code(record.name)}."
    if excitation is None:
        st.caption(words)
    else:
        st.caption(f"{_compare(excitation)} {words}", help=_describe_errors(excitation))


def _compare(excitation: Excitation) -> str:
    if excitation.exact:
        return "The arithmetic shown equals the captured tensors."
    return (
        "**The arithmetic shown is not all that this block does**: the block holds something that "
        "the formula does not show, or the pass ran in a lower precision."
    )


def _describe_errors(excitation: Excitation) -> str:
    return (
        f"The largest difference among all channels is {excitation.gate_error:.1e} in the gates, "
        f"{excitation.logit_error:.1e} in what the gate function is given and "
        f"{excitation.hidden_error:.1e} in the hidden units. Rounding explains up to "
        f"{excitation.gate_rounding:.1e} in the gates."
    )


def _open_clicked() -> None:
    keys.CHANNEL.set(int(keys.value_of(keys.MICROSCOPE).channel))


def _data_uri(photo: Image.Image) -> str:
    file = BytesIO()
    small = photo.copy()
    small.thumbnail((_PHOTO, _PHOTO))
    small.save(file, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
