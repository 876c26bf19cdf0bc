"""Answers by what lies inside the network: feature maps, gates, and the ways through them."""

from se_viz.attribution.gates import GateAttribution, attribute_gates
from se_viz.attribution.layers import (
    attribute_layer,
    attribute_layers,
    enlarge,
    explain_refusal,
    find_focus,
    sum_up,
)
from se_viz.attribution.paths import Trace, trace_paths
from se_viz.attribution.question import Layer, LayerAttribution
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import (
    AttributeLayer,
    AttributeLayers,
    AttributeToGates,
    TracePaths,
    WeighChannels,
)
from se_viz.engine.views import DETAIL, Sight


def attribute_one(question: AttributeLayer, work: Work) -> Sight:
    """Return what one feature map shows."""
    return _see(
        attribute_layer(
            work.network,
            work.inputs,
            question.target,
            question.method,
            layer=question.layer,
            baseline=question.baseline,
            **work.callbacks,
        )
    )


def attribute_several(question: AttributeLayers, work: Work) -> tuple[Sight | str, ...]:
    """Return what each feature map shows, from the one pass that all share, or the sentence why it
    cannot.
    """
    # First: one feature map that cannot be explained must not end all others.
    refusals = {layer: explain_refusal(work.network, layer) for layer in question.layers}
    layers = [layer for layer in question.layers if not refusals[layer]]
    maps = attribute_layers(
        work.network, work.inputs, question.target, question.method, layers=layers, watch=work.watch
    )
    sights = {layer_map.layer: _see(layer_map) for layer_map in maps}
    return tuple(sights.get(layer, refusals[layer]) for layer in question.layers)


def weigh_channels(question: WeighChannels, work: Work) -> LayerAttribution:
    """Return the Grad-CAM of a block's output, with the values of each channel."""
    layer = Layer("after", question.block)
    return attribute_layer(
        work.network, work.inputs, question.target, layer=layer, watch=work.watch
    )


def attribute_to_gates(question: AttributeToGates, work: Work) -> GateAttribution:
    """Attribute a class to the gates of a block."""
    return attribute_gates(
        work.network,
        work.inputs,
        question.target,
        question.method,
        block=question.block,
        baseline=question.baseline,
        **work.callbacks,
    )


def trace(question: TracePaths, work: Work) -> Trace:
    """Follow the way from a baseline to the image."""
    return trace_paths(
        work.network, work.inputs, question.target, baseline=question.baseline, **work.callbacks
    )


def _see(layer_map: "LayerAttribution") -> Sight:
    focus = find_focus(enlarge(layer_map.map, (DETAIL,) * layer_map.map.ndim))
    return Sight(layer_map.map, sum_up(layer_map), layer_map.seconds, focus)
