"""Each row of the catalogue as one call of Captum: what is prepared for it, and what it is
asked.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from math import ceil
from typing import Any, no_type_check

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from se_viz.attribution.catalogue import METHODS, Method, fit_windows
from se_viz.attribution.passes import Replay, cap_piece, load_captum
from se_viz.attribution.pixels.superpixels import find_superpixels
from se_viz.attribution.question import check_settings, make_baseline, scatter
from se_viz.devices import fit_memory
from se_viz.errors import AttributionError
from se_viz.networks import Network

SMOOTHED = ("saliency", "input_x_gradient", "integrated_gradients")
"""Methods that may be smoothed by noise."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one method is asked."""

    row: Method
    forward: Callable[[Tensor], Tensor]
    inputs: Tensor
    target: int
    seen: Replay | None = None
    """What the network was at the stage that it attributes to, or looks at besides."""


def prepare(
    network: Network, row: Method, inputs: Tensor, *, baseline: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a method: what the catalogue says, what callers override, and what
    is made of the image.

    Raises:
        AttributionError: there is no such baseline, or an option that no method can run with.
    """
    inner = _inner(row, options)
    settings = {**inner.options, **row.options, **options}
    if "strides" in row.options:
        settings = {**settings, **fit_windows(tuple(inputs.shape[1:])), **options}
    _check_names(row, inner, options)
    passes = check_settings(row, settings, inputs)
    if settings.get(row.piece):
        # Captum makes room for whole pieces, however little there is to go into them.
        settings[row.piece] = min(settings[row.piece], passes)
    start = make_baseline(network, inputs, baseline)
    if inner.baseline:
        draws = settings.pop("draws", 0)
        if draws:
            start = scatter(start, draws, seed=settings["seed"])
        settings.setdefault("baselines", start)
    if row.kind == "superpixel":
        count = settings.pop("superpixels")
        if "feature_mask" not in settings:
            settings["feature_mask"] = find_superpixels(network, inputs, count)
    if row.kind == "smooth" and inner.key == "saliency":
        # Captum takes sizes first: noise would then be averaged, and not cancel as in the papers.
        settings.setdefault("abs", False)
    if "noise" in settings:
        # A share of the image's own range, as SmoothGrad's paper has it.
        spread = (inputs.max() - inputs.min()).item()
        settings.setdefault("stdevs", settings.pop("noise") * spread)
    return settings


def _inner(row: Method, options: dict[str, Any]) -> Method:
    """Return the method that is smoothed; of a method that smooths none, itself."""
    if row.kind != "smooth":
        return row
    key = options.get("over", row.options["over"])
    if key not in SMOOTHED:
        raise AttributionError(
            f"{row.title} cannot smooth {key!r}. Choose one of: {', '.join(SMOOTHED)}."
        )
    return METHODS[key]


def _check_names(row: Method, inner: Method, options: dict[str, Any]) -> None:
    """Refuse options that nobody reads, which some of Captum's methods take in silence."""
    names = {"baselines", *row.options, *inner.options}
    for method in (row, inner):
        names.update(signature(getattr(load_captum(), method.algorithm).attribute).parameters)
    for name in options:
        if name not in names - _RESERVED:
            choices = ", ".join({**inner.options, **row.options}) or "none"
            raise AttributionError(
                f"{row.title} cannot run with these options: the method has {choices}, and not "
                f"{name!r}. Change them."
            )


_RESERVED = {"self", "inputs", "target", "kwargs"}
"""What Captum's methods are given here, whatever the options."""


def call(task: Task, settings: dict[str, Any]) -> Tensor:
    """Return what Captum makes of a task, like the inputs or the layer's output.

    The same call, the same values.
    """
    settings = dict(settings)
    if "seed" not in task.row.options:
        return _call(task, settings)
    # GradientShap needs it for a generator of another kind too.
    seed = settings["seed"] if task.row.key == "gradient_shap" else settings.pop("seed")
    with _Draws(seed):
        return _call(task, settings)


def _call(task: Task, settings: dict[str, Any]) -> Tensor:
    if task.row.key == "feature_permutation":
        return _permute(task, settings)
    ask = _algorithm(task, settings).attribute
    if task.row.kind != "rule":
        return ask(task.inputs, target=task.target, **settings)
    with warnings.catch_warnings():
        # That hooks are set: on the copy for DeepLift, and on nothing for guided methods.
        warnings.filterwarnings("ignore", message=".*hooks", category=UserWarning)
        return _average(partial(ask, task.inputs, target=task.target), settings)


def _algorithm(task: Task, settings: dict[str, Any]) -> Any:
    captum = load_captum()
    # Here too, as these load Captum.
    from captum._utils.models.linear_model import SkLearnLasso

    from se_viz.attribution.pixels.shap import GradientShap, PairedKernelShap

    if task.row.key == "gradient_shap":
        return GradientShap(task.forward)
    if task.row.key == "kernel_shap":
        return PairedKernelShap(task.forward)
    algorithm = getattr(captum, task.row.algorithm)
    if task.row.kind == "smooth":
        smoothed = METHODS[settings.pop("over")]
        return algorithm(getattr(captum, smoothed.algorithm)(task.forward))
    if task.row.key == "lime":
        return algorithm(task.forward, SkLearnLasso(alpha=settings.pop("alpha")))
    if task.seen is None:
        return algorithm(task.forward)
    found = algorithm(task.seen, task.seen.tap)
    if task.row.guided:
        # Grad-CAM is of the plain gradient, and what it multiplies is not.
        found.guided_backprop = captum.GuidedBackprop(task.forward)
    return found


def _average(ask: Callable[..., Tensor], settings: dict[str, Any]) -> Tensor:
    """Ask for all baselines at once, or, where they do not fit into memory, in pieces of two or
    more.
    """
    baselines = settings.get("baselines")
    if not isinstance(baselines, Tensor) or len(baselines) < 4:
        return ask(**settings)
    count = len(baselines)

    def ask_in_pieces(most: int) -> Tensor:
        pieces = baselines.tensor_split(min(ceil(count / most), count // 2))
        if len(pieces) == 1:
            return ask(**settings)
        sums = [len(piece) * ask(**{**settings, "baselines": piece}) for piece in pieces]
        return torch.stack(sums).sum(0) / count

    return fit_memory(ask_in_pieces, cap_piece(count, baselines.device) or count, least=2)


def _permute(task: Task, settings: dict[str, Any]) -> Tensor:
    """Exchange patches with the image moved around, which stands in the second half of a batch and
    is not run.
    """
    count = settings.pop("donors")
    sides = task.inputs.shape[2:]
    axes = tuple(range(2, task.inputs.ndim))
    donors = []
    for _ in range(count):
        moves = tuple(int(torch.randint(1, side, ())) if side > 1 else 0 for side in sides)
        donors.append(task.inputs.roll(moves, axes))

    def forward(batch: Tensor) -> Tensor:
        rows = torch.arange(len(batch)) % (2 * count) < count
        values = batch.new_zeros(len(batch), 1)
        values[rows] = task.forward(batch[rows])
        return values

    def exchange(batch: Tensor, patch: Tensor) -> Tensor:
        return torch.where(patch, batch.roll(count, 0), batch)

    algorithm = load_captum().FeaturePermutation(forward, exchange)
    batch = torch.cat([*[task.inputs] * count, *donors])
    values = algorithm.attribute(batch, target=task.target, **settings)
    return values[:count].mean(0, keepdim=True)


_DRAWS = (
    torch.bernoulli,
    torch.multinomial,
    torch.normal,
    torch.randint,
    torch.randn,
    torch.randperm,
    Tensor.random_,
    nn.init.kaiming_uniform_,
    nn.init.uniform_,
)
"""Whatever draws in Captum's methods; its linear models begin with random weights, which are then
replaced."""


class _Draws(TorchFunctionMode):
    """Random numbers of this thread come from a generator of its own: others draw while the turn
    is away.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    # Tests check types at run time, which this would pay for at every operation.
    @no_type_check
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _DRAWS:
            return func(*args, **kwargs)
        # On the CPU, so that the same seed gives the same map on every device.
        device = next(
            (value.device for value in args if isinstance(value, Tensor)), torch.device("cpu")
        )
        args = [value.cpu() if isinstance(value, Tensor) else value for value in args]
        generator = kwargs.get("generator") or self._generator
        return func(*args, **{**kwargs, "generator": generator}).to(device)
