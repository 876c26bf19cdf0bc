"""The attribution methods that explain one gate, as rows of data, and why some do not."""

from se_viz.attribution.catalogue.method import Method
from se_viz.attribution.catalogue.perturbing import TOGETHER
from se_viz.attribution.catalogue.pixels import METHODS, REFUSED, find_method
from se_viz.errors import AttributionError

CONDUCTANCE = Method(
    "conductance",
    "Conductance",
    "Dhamdhere et al., arXiv 1805.12233",
    "What came through this gate of the logit's rise from the baseline to this image, shared out "
    "over the pixels.",
    "NeuronConductance",
    channels="sum",
    kind="path",
    baseline=True,
    piece="internal_batch_size",
    repeats=("n_steps",),
    # The weights of Captum's other rules do not add up to 1 where the steps reach from end to end.
    options={"n_steps": 32, "internal_batch_size": TOGETHER, "method": "gausslegendre"},
)
"""The one method about a gate that explains a class: what its pixels did to the answer through the
gate."""

NEURON_METHODS = {row.key: row for row in (*METHODS.values(), CONDUCTANCE) if not row.staged}
"""Every method that explains a gate, by key, in the order they are offered."""

_NO_STAGE_END = (
    "{} is not run for a gate: it looks at the end of a stage, and a gate is computed before its "
    "own stage ends. Choose {}."
)

NEURON_REFUSED = {
    "grad_cam": _NO_STAGE_END.format("Grad-CAM", "Integrated Gradients"),
    "guided_grad_cam": _NO_STAGE_END.format(
        "Guided Grad-CAM, which multiplies by Grad-CAM,", "Guided Backprop"
    ),
    **{key: words for key, (_, words) in REFUSED.items()},
}
"""Methods that explain no gate, and why."""


def find_neuron_method(key: str) -> Method:
    """Return a method.

    Raises:
        AttributionError: there is none of this name, or it explains no gate.
    """
    if key in NEURON_REFUSED:
        raise AttributionError(NEURON_REFUSED[key])
    return CONDUCTANCE if key == CONDUCTANCE.key else find_method(key)


def say_of_gate(row: Method, word: str) -> str:
    """Say what a method's map shows of what is explained: a ``gate``, or its ``pre-sigmoid
    value``.
    """
    if row is CONDUCTANCE:
        return row.looks_for
    # What rows say of a class's logit holds for any number that a network comes to.
    words = row.looks_for.replace("the class", f"what moves the {word}").replace("logit", word)
    # A gate may as well fall on the way from the baseline.
    return words.replace(f"{word}'s rise", f"{word}'s change")
