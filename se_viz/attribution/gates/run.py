"""Attribution to the gates of one block: one number a channel, by Captum's methods on a network of
gates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn

from se_viz.attribution.catalogue import GATE_METHODS, GATE_ROWS, NO_GRAD_CAM, GateMethod
from se_viz.attribution.passes import Slices, count_up, load_captum, swift_copy
from se_viz.attribution.paths import trace_paths
from se_viz.attribution.question import Target, aim, check_question, make_baseline, network_dtype
from se_viz.devices import Report, Turn, Watch, lay_out, memory_in_words, turn_with_gradients
from se_viz.drawing import draw_html
from se_viz.errors import AttributionError, NoSEBlocksError
from se_viz.gates import GateSite, edit_gates
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class GateAttribution:
    """What the gates of one block did to a logit, by one method."""

    method: str
    """Key of the method."""
    block: str
    """Name of the block's use."""
    values: Float[Tensor, "channels"]
    """One number a channel; float32 on the CPU."""
    bypass: float | None
    """The rise of the logit that no gate of this block carried, in logits; None: the method speaks
    of no rise."""
    error: float | None = None
    """Bypass plus what the gates carried, minus the rise: what a sum of steps leaves of the
    integral, in logits.

    Captum adds both up, with the other sign, as the convergence delta of a layer.
    """

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return draw_html(self)


def attribute_gates(
    network: Network,
    inputs: Float[Tensor, "1 channels *sides"],
    target: Target | int,
    method: str,
    *,
    block: str,
    baseline: str = "mean",
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> GateAttribution:
    """Attribute a logit to the gates of one block, one number a channel.

    Equal to Captum's layer methods on the module that makes the gate, without a hook of Captum on
    the model: the logit is seen as a function of the gates, the image stays, and later gates react.
    Conductance and internal influence follow the image's way from the baseline, as `trace_paths`
    does for this block alone. Other passes on the device run in between; ``watch`` is called with
    how many are before this one, ``report`` with how much is done and about how much there is.

    Raises:
        AttributionError: no such method, class or baseline.
        NoSEBlocksError: there is no such block.
        BusyError: too many wait for the device.
        TooLittleMemoryError: it has too little memory.
    """
    target = aim(target)
    check_question(network, inputs, target)
    if method == "grad_cam":
        raise AttributionError(NO_GRAD_CAM)
    if method not in GATE_METHODS:
        raise AttributionError(
            f"No method {method!r} explains gates. Choose one of: {', '.join(GATE_METHODS)}."
        )
    site = next((site for site in network.inspection.sites if site.name == block), None)
    if site is None:
        names = ", ".join(site.name for site in network.inspection.sites)
        raise NoSEBlocksError(f"There is no SE block {block!r}. Choose among: {names}.")
    if not GATE_METHODS[method].algorithm:
        arguments = {
            "baseline": baseline,
            "sets": {block: [block]},
            "watch": watch,
            "report": report,
        }
        flow = trace_paths(network, inputs, target, **arguments).flows[block]
        values = flow.through if method == "conductance" else flow.mean_slope
        return GateAttribution(method, block, values[block], flow.bypass, flow.error)
    # Before the turn: its first import takes more than a second.
    load_captum()
    with turn_with_gradients(network.device, watch) as turn:
        image = inputs.detach().to(network_dtype(network), copy=True)
        scene = _Scene(network.model, image, target, site)
        start = make_baseline(network, inputs, baseline)
        with memory_in_words(network.device, network.card.title):
            return _ask(scene, GATE_METHODS[method], start, turn=turn, report=report)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What stays while the gates of one block are asked."""

    model: nn.Module
    inputs: Tensor
    target: Target
    site: GateSite


def _ask(
    scene: _Scene, row: GateMethod, start: Tensor, *, turn: Turn, report: Report
) -> GateAttribution:
    # Those with options run it many times.
    if row.options:
        scene = replace(scene, model=swift_copy(scene.model, scene.inputs))
    settings = dict(row.options)
    after, gates = _read(scene)
    slices = Slices(partial(_answer, scene), gates.device, turn, most=GATE_ROWS)
    slices.note = count_up(report, row.cost(gates.shape[1])[0])
    # The gates that were read count too: a bar ends where it said.
    slices.note(1 + row.from_baseline)
    algorithm = getattr(load_captum(), row.algorithm)(slices)
    if not row.from_baseline:
        values = algorithm.attribute(gates.requires_grad_(), **settings)
        values = values.detach()[0].float().cpu()
        return GateAttribution(row.key, scene.site.name, values, None)
    before, start_gates = _read(replace(scene, inputs=start))
    values = algorithm.attribute(gates.requires_grad_(), baselines=start_gates, **settings)
    values = values.detach()[0].float().cpu()
    # Known without an integral: the image with the baseline's gates, less the baseline.
    bypass = slices(start_gates).item() - before
    error = bypass + values.double().sum().item() - (after - before)
    return GateAttribution(row.key, scene.site.name, values, bypass, error)


def _answer(scene: _Scene, gates: Tensor) -> Tensor:
    """Return what is explained as a function of a block's gates, one row of them for each
    answer.
    """
    # A copy: what comes next may work in place, which a leaf does not allow.
    edits = {scene.site.block: _at_use(scene.site, lambda _: gates.clone())}
    with edit_gates(scene.model, edits):
        images = scene.inputs.expand(len(gates), *scene.inputs.shape[1:])
        return scene.target.read(scene.model(lay_out(images)))


@torch.no_grad()
def _read(scene: _Scene) -> tuple[float, Tensor]:
    """Return what is explained, and a block's gates as they are."""
    copies: list[Tensor] = []

    def see(gates: Tensor) -> Tensor:
        copies.append(gates.clone())
        return gates

    with edit_gates(scene.model, {scene.site.block: _at_use(scene.site, see)}):
        value = scene.target.read(scene.model(scene.inputs)).item()
    return value, copies[0]


def _at_use(site: GateSite, edit: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    use = count()
    return lambda gates: edit(gates) if next(use) == site.call else gates
