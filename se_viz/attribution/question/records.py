"""What an attribution leaves behind."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.drawing import draw_html
from se_viz.gates.neurons import Neuron


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which pixels one logit came from, or the difference of two, by one method."""

    method: str
    """Key of the method in the catalogue."""
    target: int
    """Index of the class whose logit is explained."""
    map: Float[Tensor, "*sides"]
    """One value a pixel, of the input's own sides; float32 on the CPU."""
    signed: bool
    """Whether negative values speak against the class; if not, all values are at least 0."""
    seconds: float
    """Run time of the method."""
    completeness_error: float | None
    """|sum of attributions - (logit of the image - logit of the baseline)|, in logits; None:
    nothing promised."""
    explained: float | None
    """Logit of the image minus logit of the baseline: what a complete method distributes; None:
    nothing promised."""
    stage: int | None
    """Stage whose output was attributed to, or took part in the map; None where the input alone
    was."""
    against: int | None = None
    """Index of the class whose logit was subtracted; None: none was."""
    baseline: str | None = None
    """Key of the baseline that the image was compared with; None: the method has none, or was
    given another one."""
    options: tuple[tuple[str, Any], ...] = ()
    """Options that the caller has set: with these, the same call gives the same map again."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)


@dataclass(frozen=True, slots=True)
class NeuronAttribution:
    """Which pixels opened one gate, by one method, or what they did to a class through it."""

    method: str
    """Key of the method in the catalogue."""
    neuron: Neuron
    """The gate, or its pre-sigmoid value, that is explained."""
    map: Float[Tensor, "*sides"]
    """One value a pixel, of the input's own sides; float32 on the CPU."""
    signed: bool
    """Whether negative values speak for closing, or against the class; if not, all values are at
    least 0."""
    seconds: float
    """Run time of the method."""
    value: float
    """The gate, or its pre-sigmoid value, for the image."""
    completeness_error: float | None
    """|sum of attributions - (value of the image - value of the baseline)|; None: nothing
    promised."""
    explained: float | None
    """Value of the image minus value of the baseline: what a complete method distributes; None:
    nothing promised."""
    target: Target | None = None
    """The class that the map tells of, in logits that came through the gate; None: it tells of the
    gate alone."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)


@dataclass(frozen=True, slots=True)
class LayerAttribution:
    """What each cell of one feature map, channel by channel, has to do with an answer, by one
    method.
    """

    method: str
    """Key of the method in ``LAYER_METHODS``."""
    target: Target
    """What is explained."""
    baseline: str | None
    """Key of the baseline; None: the method has none, or was given another one."""
    layer: Layer
    """The feature map."""
    values: Float[Tensor, "channels *sides"]
    """Captum's values on the layer's own grid, float32 on the CPU; in logits, or what the method
    gives instead."""
    map: Float[Tensor, "*sides"]
    """The values of all channels as one map, on the same grid; see the method's ``collapse``."""
    signed: bool
    """Whether the map's negative values speak against the class; if not, all are at least 0."""
    seconds: float
    """Run time of the method, without what others ran in between."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)
