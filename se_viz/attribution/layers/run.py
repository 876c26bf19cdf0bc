"""Run one attribution method on one feature map of a network."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.catalogue import LAYER_METHODS, LayerMethod
from se_viz.attribution.layers.passes import LayerTask, run_alone, share
from se_viz.attribution.passes import load_captum
from se_viz.attribution.question import (
    Layer,
    LayerAttribution,
    RefusedError,
    Target,
    check_question,
    check_steps,
    find_spot,
    in_words,
    make_baseline,
    network_dtype,
    run_with_options,
)
from se_viz.devices import Report, Watch, turn_with_gradients
from se_viz.errors import AttributionError
from se_viz.networks import Network


def attribute_layer(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: Target,
    method: str = "grad_cam",
    *,
    layer: Layer,
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
    **options: Any,
) -> LayerAttribution:
    """Explain an answer by one feature map of a network, for one image, with a Captum method.

    ``inputs`` comes from ``network.preprocess``, ``baseline`` is a key of ``BASELINES``.
    ``options`` override the catalogue's, and go to Captum. Captum's hooks hang on an object of this
    call, through which the feature map passes: the model is left as it was, others use it between
    two passes, and layers that write into their input do not spoil what is read. Where memory runs
    out, fewer images go into one pass.

    Raises:
        AttributionError: no such method, class, baseline, block or stage, a method that is not
            right there, an option that Captum refuses.
        TooLittleMemoryError: not even one image fits into a pass.
        BusyError: too many wait for the device.
    """
    arguments = {"baseline": baseline, "watch": watch, "report": report, **options}
    return attribute_layers(network, inputs, target, method, layers=[layer], **arguments)[0]


def attribute_layers(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: Target,
    method: str = "grad_cam",
    *,
    layers: Sequence[Layer],
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
    **options: Any,
) -> list[LayerAttribution]:
    """Explain an answer by several feature maps, one after another, as `attribute_layer` does by
    one.

    A method that asks for one pass of the image makes it for all of them; its time is shared out
    evenly. ``report`` is told of each feature map anew.

    Raises:
        AttributionError: one of the feature maps cannot be explained.
        BusyError: too many wait for the device.
    """
    row = _method(method)
    if not layers:
        return []
    check_question(network, inputs, target)
    # Before the turn: its first import takes more than a second.
    load_captum()
    arguments = {"layers": layers, "baseline": baseline, "watch": watch, "report": report}
    return run_with_options(
        network, inputs, partial(_attribute, network, inputs, target, row, **arguments), options
    )


def _attribute(
    network: Network,
    inputs: Tensor,
    target: Target,
    row: LayerMethod,
    *,
    layers: Sequence[Layer],
    baseline: str,
    watch: Watch,
    report: Report,
    **options: Any,
) -> list[LayerAttribution]:
    # All of them before the first pass: a feature map that is not there ends the call at once.
    spots = [find_spot(network, layer) for layer in layers]
    with turn_with_gradients(network.device, watch) as turn:
        # A copy: methods may ask for its gradient.
        inputs = inputs.detach().to(network_dtype(network), copy=True)
        settings = dict(row.options)
        if row.baseline:
            settings["baselines"] = make_baseline(network, inputs, baseline)
        settings |= options
        check_steps(row.title, settings)
        task = LayerTask(network, row, inputs, target, settings)
        with in_words(row.title, network.device):
            if row.single:
                results = share(task, spots)
            else:
                results = [run_alone(task, spot, turn, report) for spot in spots]
    if not all(values.isfinite().all() for values, _, _ in results):
        raise RefusedError(row.title, "its values for this image are NaN or infinite")
    baseline_key = baseline if row.baseline and "baselines" not in options else None
    return [
        LayerAttribution(
            row.key,
            target,
            baseline_key,
            layer,
            _bring(values[0]),
            _bring(heat),
            row.signed,
            seconds,
        )
        for layer, (values, heat, seconds) in zip(layers, results, strict=True)
    ]


def explain_refusal(network: Network, layer: Layer) -> str:
    """Return the sentence why a feature map cannot be looked at, or an empty one where it can."""
    try:
        find_spot(network, layer)
    except AttributionError as refusal:
        return str(refusal)
    return ""


def _method(key: str) -> LayerMethod:
    if key not in LAYER_METHODS:
        raise AttributionError(
            f"No method {key!r} explains a layer. Choose one of: {', '.join(LAYER_METHODS)}."
        )
    return LAYER_METHODS[key]


def _bring(values: Tensor) -> Tensor:
    return values.detach().float().cpu()
