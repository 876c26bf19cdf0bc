"""Which way a gate's map is read: by the pixels that raise the gate, or by those that lower it.

All words, and what is erased, follow from here.
"""

from se_viz.attribution.catalogue import NEURON_METHODS
from se_viz.attribution.gates import LEAST
from se_viz.attribution.question import NeuronAttribution
from se_viz.charts import Palette
from se_viz.gates.records import GateSite, name_argument

_END = 0.01


def name_level(gate_map: NeuronAttribution, site: GateSite) -> str:
    """Return what is explained: the ``gate``, or its ``pre-sigmoid value``."""
    return name_argument(site.function) if gate_map.neuron.logit else "gate"


def find_sign(gate_map: NeuronAttribution, site: GateSite) -> int:
    """Return 1 where the pixels that raise a gate are the evidence, and -1 where those that lower
    it are.

    That is the sign of what the map shares out, or of its sum. A map that shares out nothing, or
    has no signs, is read by whether the gate is turned up or down.
    """
    if is_still(gate_map) or not gate_map.signed:
        total = gate_map.value - _middle(gate_map, site)
    elif gate_map.explained is None:
        total = gate_map.map.sum().item()
    else:
        total = gate_map.explained
    return -1 if total < 0 else 1


def is_still(gate_map: NeuronAttribution) -> bool:
    """Tell whether the gate is that of a mean-coloured picture, so that there is hardly anything
    to share out.
    """
    explained = gate_map.explained
    return (
        explained is not None
        and abs(explained) < LEAST["logit" if gate_map.neuron.logit else "gate"]
    )


def name_ends(gate_map: NeuronAttribution) -> str:
    """Say what the two ends of the colour scale mean."""
    if not gate_map.signed:
        return "none → strongest"
    if gate_map.target:
        return "lowers the logit ← 0 → raises it"
    # Slopes, and no shares of what there is.
    slopes = "relu" in NEURON_METHODS[gate_map.method].needs
    return "darker opens it ← 0 → brighter opens it" if slopes else "closes it ← 0 → opens it"


def say_what_moved(
    gate_map: NeuronAttribution, site: GateSite, palette: Palette, *, noun: str = "photo"
) -> str:
    """Say which pixels to look at, or what keeps a map from showing what moved a gate."""
    word = name_level(gate_map, site)
    picture = "a mean-coloured picture" if noun == "photo" else "an input of mean values"
    if word == "gate" and not gate_map.target and is_saturated(gate_map.value, site):
        return (
            "This gate is saturated (near-zero gradient): explain its "
            f"{name_argument(site.function)} instead."
        )
    if gate_map.explained is None:
        return ""
    if is_still(gate_map):
        return (
            f"Nothing clear was found: {picture} has the same {word}. Pixels that "
            "raise it and pixels that lower it cancel out."
        )
    if find_sign(gate_map, site) > 0:
        return (
            f"{picture.capitalize()} has a lower {word} than this {noun}: look at the "
            f"{palette.high_name} pixels, which opened it."
        )
    return (
        f"{picture.capitalize()} has a higher {word} than this {noun}: look at the "
        f"{palette.low_name} pixels, which closed it."
    )


def is_saturated(gate: float, site: GateSite) -> bool:
    """Tell whether a gate is at an end of its range, where its function hardly reacts."""
    # A site's range is that of gate x gain, and a method explains the gate alone.
    low = site.low / site.gain
    high = site.high / site.gain
    margin = _END * (high - low)
    return gate < low + margin or gate > high - margin


def _middle(gate_map: NeuronAttribution, site: GateSite) -> float:
    """Return the value at which a gate is turned neither up nor down."""
    return 0.0 if gate_map.neuron.logit else (site.low + site.high) / 2 / site.gain
