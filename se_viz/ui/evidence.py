"""Evidence for one gate: which pixels opened it, what erasing them does, and where its channel looks."""

import streamlit as st

from se_viz.analysis import Analysis
from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.records import NeuronAttribution
from se_viz.charts.maps import draw_overlay
from se_viz.charts.scales import CLIPPED, fit_span
from se_viz.errors import OvertakenError, SeVizError
from se_viz.gates.neurons import Neuron
from se_viz.gates.records import GateSite
from se_viz.gates.tables import label_blocks
from se_viz.ui.cases import Case, Work, borrow_inputs, case_of
from se_viz.ui.choices import Choices, current_palette
from se_viz.ui.erasing import show_erasing
from se_viz.ui.figures import show_figure
from se_viz.ui.pickers import choose_option
from se_viz.ui.sights import show_sights
from se_viz.ui.waiting import waiting

_METHODS = {
    "integrated_gradients": "Each pixel's share of the way from a mean-coloured picture to this one.",
    "input_x_gradient": "The slope at each pixel times the pixel's distance from the mean colour; no sum is promised.",
    "saliency": "How fast the value moves when a pixel changes a little, in either direction.",
}
_END = 0.01
# Less than this is no opening or closing worth a word.
_SAME = {"gate": 0.02, "logit": 0.1}


def show_evidence(choices: Choices, analysis: Analysis, block: str, channel: int) -> None:
    """Show which pixels opened a gate, let people erase them, and show what the gate's channel looks at."""
    label = f"Channel {channel} of {label_blocks(analysis.records)[block]}."
    st.header("Which pixels opened this gate?", anchor=False)
    st.caption(label)
    _show_pixels(choices, block, channel)
    st.header("What the channel looks at", anchor=False)
    st.caption(label)
    show_sights(choices, block, channel)


@st.fragment
def _show_pixels(choices: Choices, block: str, channel: int) -> None:
    left, right = st.columns(2)
    with left:
        method = st.selectbox(
            "Method",
            list(_METHODS),
            format_func=lambda key: METHODS[key].title,
            key="gate-method",
            persist_state="session",
        )
    with right:
        level = choose_option("Explain", {"gate": "the gate", "logit": "its logit"}, key="gate-level")
    neuron = Neuron(block, channel, logit=level == "logit")
    pixels, test = st.columns(2, gap="medium")
    try:
        with pixels:
            found = get_gate_map(choices, neuron, method)
            _draw(choices, found)
        with test:
            show_erasing(choices, found)
    except OvertakenError:
        # The newer choice draws this part again at once.
        return
    except SeVizError as error:
        st.error(str(error))


def get_gate_map(choices: Choices, neuron: Neuron, method: str) -> NeuronAttribution:
    """Attribute a gate to the pixels of the chosen photo.

    Raises:
        SeVizError: the method cannot run, or too many wait; the text says what to do.
    """
    with waiting("Asking the pixels…", slow=True) as watch:
        return _gate_map(case_of(choices), neuron, method, _work=Work(choices.photo, watch))


@st.cache_data(max_entries=256, max_size="128MB", show_spinner=False)
def _gate_map(case: Case, neuron: Neuron, method: str, *, _work: Work) -> NeuronAttribution:
    # Here, so that the first page does not wait for Captum.
    from se_viz.attribution.neurons import attribute_neuron

    with borrow_inputs(case, _work) as (network, inputs):
        return attribute_neuron(network, inputs, neuron, method, watch=_work.watch)


def _draw(choices: Choices, found: NeuronAttribution) -> None:
    word = "logit" if found.neuron.logit else "gate"
    title = "closes it ← 0 → opens it" if found.signed else "none → strongest"
    values = found.map.numpy()
    span = fit_span(values, signed=found.signed)
    figure = draw_overlay(choices.photo, values, current_palette(), span=span, opacity=0.85, title=title)
    show_figure(figure, "gate-map", alt=f"{METHODS[found.method].title} for a {word} over the photo")
    sites = {site.name: site for site in choices.network.inspection.sites}
    st.caption(_describe(found, word))
    if remark := _remark(found, sites[found.neuron.block]):
        st.info(remark)


def _describe(found: NeuronAttribution, word: str) -> str:
    words = [_METHODS[found.method]]
    if found.completeness_error is not None and found.explained is not None:
        start = found.value - found.explained
        words.append(
            f"The {word} goes from {start:.3f} to {found.value:.3f}: the map should sum to {found.explained:+.3f} and "
            f"misses by {found.completeness_error:.4f}."
        )
    return " ".join([*words, f"Took {found.seconds:.2f} s.", CLIPPED, f"({METHODS[found.method].source})"])


def _remark(found: NeuronAttribution, site: GateSite) -> str:
    """Say what keeps a map from telling what opened a gate, if anything does."""
    word = "logit" if found.neuron.logit else "gate"
    if not found.neuron.logit and _is_saturated(found.value, site):
        return "This gate is at the end of its range, where hardly any pixel moves it: explain its logit instead."
    if found.explained is None:
        return ""
    if abs(found.explained) < _SAME[word]:
        return f"A mean-coloured picture leaves the {word} where it is: what opens and what closes it here cancel out."
    if found.explained < 0:
        return f"This photo lowers the {word} from where a mean-coloured picture leaves it: look at the blue pixels."
    return ""


def _is_saturated(gate: float, site: GateSite) -> bool:
    margin = _END * (site.high - site.low)
    return gate < site.low + margin or gate > site.high - margin
