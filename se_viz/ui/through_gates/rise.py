"""A trace in a sentence: what rose, and how much of it came through the gates."""

from collections.abc import Mapping, Sequence

from se_viz.attribution.paths import TOLERANCE, Flow, Trace
from se_viz.attribution.question import Target
from se_viz.charts import Span, count_decimals, signed
from se_viz.ui.words import plain

_PICTURES = {
    "mean": "a mean-coloured image",
    "black": "a black image",
    "blur": "the blurred photo",
    "noise": "one draw of noise",
}
_OTHERS = {
    "mean": "its mean values",
    "black": "its lowest value",
    "blur": "its blurred self",
    "noise": "one draw of noise",
}
"""Of inputs that are no photos."""
_NETWORK = "network"
# Logits. Of less than this no part can be told from rounding.
_STILL = 1e-4
# Below this share of what moves by either way, a total is what cancels, and shares of it mean
# nothing.
_TINY = 0.1
# Ranges of two maps within this factor need no word; from the second on it has no decimals.
_ALIKE = 1.5
_WHOLE = 10.0


def name_set(name: str) -> str:
    """Return what people call a set of gates."""
    return "All gates" if name == _NETWORK else name.capitalize()


def say_part(value: float, trace: Trace) -> str:
    """Return logits with their sign, and with as many decimals as the parts of this rise need."""
    return signed(
        value,
        count_decimals(
            part for flow in trace.flows.values() for part in (flow.bypass, flow.carried)
        ),
    )


def is_still(trace: Trace) -> bool:
    """Tell whether nothing moves on the way: then there is nothing to split."""
    return all(
        abs(value) < _STILL
        for flow in trace.flows.values()
        for value in (flow.bypass, flow.carried)
    )


def say_error(trace: Trace) -> str:
    """Say how far the two parts miss the rise, and how far each may be off by itself."""
    doubt = max(flow.doubt for flow in trace.flows.values())
    words = (
        f"the completeness error is up to {_size(trace.miss)} logits ({_percent(trace.miss_share)} "
        f"of the total change), and each part is uncertain by about {_size(doubt)}"
    )
    return (
        f"{words}: more than the {100 * TOLERANCE:g} % aimed at"
        if trace.miss_share > TOLERANCE
        else words
    )


def _size(value: float) -> str:
    return f"{value:.1g}" if value < 1 else f"{value:.1f}"


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def describe_rise(
    trace: Trace, classes: Sequence[str], baseline: str, *, noun: str = "photo"
) -> str:
    """Say what rose, what of it came through all gates, and which stage's gates carried most by
    themselves.
    """
    pictures, end = (_PICTURES, "image") if noun == "photo" else (_OTHERS, noun)
    start = (
        f"From {pictures.get(baseline, 'the baseline')} to this {end} the logit of "
        f"**{_name(trace.target, classes)}**"
    )
    if is_still(trace):
        words = (
            f"moves by less than {_STILL:g}: there is nothing to split. Choose another class, "
            f"{noun} or baseline."
        )
        return f"{start} {words}"
    word = "rises" if trace.rise >= 0 else "falls"
    size = say_part(abs(trace.rise), trace).lstrip("+")
    parts = f"{_describe_network(trace)} {_describe_stages(trace)}"
    return f"{start} {word} by **{size}**. {parts}".strip()


def describe_scales(spans: Mapping[str, Span], *, shared: bool) -> str:
    """Say on which scale two maps are drawn, and by how much their values differ.

    ``spans`` holds the range that each would have by itself, by the name of its way.
    """
    weak, strong = sorted(spans, key=lambda way: (not spans[way].empty, spans[way].high))
    lead = "Both maps share one scale" if shared else "Each map has its own scale"
    if spans[weak].empty:
        return f"{lead}: nothing came {weak}." if not spans[strong].empty else f"{lead}."
    factor = spans[strong].high / spans[weak].high
    if factor < _ALIKE:
        return f"{lead}, and their values are of about the same size."
    times = f"**{factor:.0f}**" if factor >= _WHOLE else f"**{factor:.1f}**"
    if shared:
        return (
            f"{lead}: values {weak} are about {times} times smaller than values {strong}. Choose "
            "*each its own* where that map is pale."
        )
    return f"{lead}: one colour stands for about {times} times less {weak} than {strong}."


def _name(target: Target, classes: Sequence[str]) -> str:
    against = "" if target.against is None else f" against {plain(classes[target.against])}"
    return plain(classes[target.index]) + against


def _describe_network(trace: Trace) -> str:
    flow = trace.flows.get(_NETWORK)
    if flow is None:
        return ""
    past = say_part(flow.bypass, trace)
    through = f"**{say_part(flow.carried, trace)}**"
    if 0 < abs(flow.carried) <= flow.doubt:
        return (
            f"The part through the gates, {through}, is no larger than its uncertainty "
            f"({_size(flow.doubt)}): it cannot be told from 0. Past the gates: {past}."
        )
    if abs(trace.rise) < _TINY * flow.size:
        return (
            f"Two large parts cancel ({past} past the gates, {through} through the gates), so "
            "percentages would be meaningless."
        )
    if flow.carried * trace.rise < 0:
        return f"The gates opposed this: {through} through the gates, {past} past the gates."
    if flow.bypass * trace.rise < 0:
        return (
            f"Only the gates account for this: {through} through the gates, {past} past the gates."
        )
    share = f" ({flow.carried / trace.rise:.0%} of the change)" if trace.rise else ""
    return f"Through the gates: {through}{share}; past the gates: {past}."


def _describe_stages(trace: Trace) -> str:
    stages = {name: flow for name, flow in trace.flows.items() if name != _NETWORK}
    if len(stages) < 2:
        return ""
    most, second = sorted(stages, key=lambda name: -abs(stages[name].carried))[:2]
    lead = abs(stages[most].carried) - abs(stages[second].carried)
    doubt = stages[most].doubt + stages[second].doubt
    if lead < doubt:
        parts = f"{_say(stages[most], trace)} and {_say(stages[second], trace)}"
        return (
            f"Which stage's gates carried most cannot be told: {most} and {second} are too close "
            f"({parts})."
        )
    return f"Of the stages, the gates of {most} carried most: {_say(stages[most], trace)}."


def _say(flow: Flow, trace: Trace) -> str:
    carried = say_part(flow.carried, trace)
    share = flow.carried / trace.rise if trace.rise else -1.0
    if not 0 <= share <= 1 or abs(trace.rise) < _TINY * flow.size:
        return carried
    return f"{carried} ({share:.0%})"
