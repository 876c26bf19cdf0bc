"""One checked forward pass: which SE blocks there are, and that each multiplies by the gate that
is read.

Why: docs/decisions/002-checked-then-drawn.md
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor, nn

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates.capture import read_pair
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.places import Place, choose_blocks, scan_model
from se_viz.gates.products import is_product, multiply, plain
from se_viz.gates.records import GateSite, Inspection
from se_viz.gates.spellings import RANGES


@dataclass(eq=False, slots=True)
class _Check:
    """What one pass tells of each block."""

    sites: list[GateSite] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    silent: dict[Place, Tensor] = field(default_factory=dict)

    def see(self, visit: Visit) -> None:
        try:
            squeeze, gate = read_pair(visit)
        except CaptureError as error:
            self.refused[visit.place.path] = str(error)
            return
        # Now, not when the block is left: it may work in place.
        visit.expected = multiply(visit, gate)
        self.sites.append(_site(visit, squeeze))
        # Zero times any gate is zero: the product proves nothing.
        if not plain(visit.features).any():
            self.silent[visit.place] = visit.features

    def leave(self, visit: Visit, output: object) -> None:
        expected = visit.expected
        path = visit.place.path
        if visit.gate is None:
            self.refused[path] = (
                f"Its gate, the output of {visit.place.row.gate!r}, was not computed."
            )
        elif path not in self.refused and not (
            expected is not None and isinstance(output, Tensor) and is_product(output, expected)
        ):
            self.refused[path] = "Its output is not its input times its gate."


def inspect_gates(model: nn.Module, *, size: int | tuple[int, ...] = 224) -> Inspection:
    """Run a model once on seeded noise, and check every SE block that its classes tell of.

    ``size`` is the side of the image, or its channels, height and width: (80, 200) for 80 bands of
    sound, (1, 32, 64, 64) for a volume. A site is listed if its block ran and put out its input
    times the gate, bit for bit (where the block is quantised, to one step); a block whose input is
    zero everywhere, as in networks that were never trained, is asked again with noise. Blocks that
    are compiled, and modules that are only named like an SE block, are among the refused. The
    model's mode is restored and nothing it learned changes.

    Raises:
        NoSEBlocksError: every SE block is compiled, so that hooks would be ignored.
    """
    scan = scan_model(model)
    check = _Check()
    image = _noise((1, 3, size, size) if isinstance(size, int) else (1, *size), model)
    with evaluating(model), torch.no_grad():
        with listening(Listener(model, scan.blocks, see=check.see, leave=check.leave, stages=True)):
            answer = model(image)
        _ask_silent(check)
    active = {site.block for site in check.sites} | check.refused.keys()
    idle = {place.path: "It does not run in a pass of one image." for place in scan.blocks.values()}
    unreadable = scan.misfits | scan.compiled | scan.unknown
    refused = (
        unreadable
        | {path: words for path, words in idle.items() if path not in active}
        | check.refused
    )
    sites = tuple(site for site in check.sites if site.block not in refused)
    returned = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    return Inspection(sites, refused, scan.attentions, returned)


def find_gates(model: nn.Module, *, size: int | tuple[int, ...] = 224) -> tuple[GateSite, ...]:
    """Find every SE block of a model, in forward order, as `inspect_gates` does, which also says
    what else it has.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows, none that is right, or it is
            compiled.
        CaptureError: a block lacks what its row of `SPELLINGS` names.
    """
    choose_blocks(model)
    inspection = inspect_gates(model, size=size)
    if not inspection.sites:
        path, sentence = next(iter(inspection.refused.items()))
        raise NoSEBlocksError(
            f"{type(model).__name__} has no SE block that can be read. {path}: {sentence} Add or "
            "correct a row in `se_viz.gates.SPELLINGS`."
        )
    return inspection.sites


def _ask_silent(check: _Check) -> None:
    for place, features in check.silent.items():
        again = _Check()
        # The block alone is the model here: its stage is of no interest.
        with listening(
            Listener(place.block, {place.block: place}, see=again.see, leave=again.leave)
        ):
            place.block(_noise(tuple(features.shape), place.block, like=features))
        check.refused |= again.refused


def _site(visit: Visit, squeeze: Tensor) -> GateSite:
    place = visit.place
    function = type(visit.place.gate).__name__
    low, high, closed = RANGES.get(function, (-inf, inf, False))
    return GateSite(
        block=place.path,
        stage=visit.stage(),
        channels=visit.channels,
        function=function,
        form=place.row.form,
        hidden=_hidden(place, visit.channels),
        low=low,
        high=high,
        closed=closed,
        averaged=_averaged(visit, squeeze),
        call=visit.call,
    )


def _hidden(place: Place, channels: int) -> int | None:
    """Return the units between the excitation's layers, if there are two with weights from and to
    all channels.
    """
    layers = [
        layer.weight.shape[:2] for layer in place.block.modules() if isinstance(layer, LAYERS)
    ]
    first = [
        layer.weight.shape[:2] for layer in place.squeeze.modules() if isinstance(layer, LAYERS)
    ]
    units, inputs = first[0] if first else (0, 0)
    return units if inputs == channels and (channels, units) in layers and len(layers) > 1 else None


def _averaged(visit: Visit, squeeze: Tensor) -> bool:
    features = plain(visit.features).double()
    first = 1 if visit.place.row.channels_last else 2
    mean = features.mean(tuple(range(first, first + features.ndim - 2)))
    # The block may add in lower precision and in another order: a few roundings of its largest
    # terms.
    slack = 8 * torch.finfo(squeeze.dtype).eps * features.abs().amax()
    if visit.squeeze is not None and visit.squeeze.is_quantized:
        slack += 0.51 * visit.squeeze.q_scale()
    return bool(((squeeze.double() - mean).abs() <= slack).all())


def _noise(shape: tuple[int, ...], module: nn.Module, *, like: Tensor | None = None) -> Tensor:
    if like is None:
        like = next(
            (value for value in module.parameters() if value.is_floating_point()), torch.zeros(())
        )
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if like.is_quantized:
        return torch.quantize_per_tensor(noise, like.q_scale(), like.q_zero_point(), like.dtype)
    return noise.to(like)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, where norms do not learn, and each part back as it was."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
