"""One checked forward pass: which SE blocks there are, and that each multiplies by the gate that
is read.

Why: docs/decisions/002-checked-then-drawn.md
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates.capture import read_pair
from se_viz.gates.choice import modules_inside, say_nothing
from se_viz.gates.compiled import find_traced, name_unseen
from se_viz.gates.following import (
    Findings,
    Frame,
    Product,
    conclude,
    explain,
    is_inside,
    keep_findings,
)
from se_viz.gates.hooks import listening
from se_viz.gates.listeners import Listener, Visit
from se_viz.gates.places import Place, Scan, scan_model
from se_viz.gates.products import is_product, multiply, plain
from se_viz.gates.records import GateSite, Inspection
from se_viz.gates.sites import complete_site, describe_site
from se_viz.gates.strides import tensors_in


@dataclass(eq=False, slots=True)
class _Check:
    """What one pass tells of each block."""

    sites: list[tuple[GateSite, Place]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    silent: dict[Place, Tensor] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    """What was found by following the pass."""
    visits: list[Visit] = field(default_factory=list)
    """Those of them whose block has not come to its end."""
    whole: set[nn.Module] = field(default_factory=set)
    parts: set[nn.Module] = field(default_factory=set)
    """Blocks whose output is the product of their input, and those of which another use is not."""
    unequal: dict[str, str] = field(default_factory=dict)
    """Of the same, the path of a block that puts out something else."""

    def see(self, visit: Visit) -> None:
        try:
            squeeze, gate = read_pair(visit)
        except CaptureError as error:
            self.refused[visit.place.path] = str(error)
            return
        # Now, not when the block is left: it may work in place.
        visit.expected = multiply(visit, gate)
        self.sites.append((describe_site(visit, squeeze, gate), visit.place))
        if visit.product:
            self.products.append(Product(visit.place, visit.product.origin.parts))
            self.visits.append(visit)
        # Zero times any gate is zero: the product proves nothing.
        elif not plain(visit.features).any():
            self.silent[visit.place] = visit.features

    def leave(self, visit: Visit, output: object) -> None:
        expected = visit.expected
        path = visit.place.path
        refused = self.unequal if visit.product else self.refused
        if visit.gate is None:
            refused[path] = f"Its gate, the output of {visit.place.row.gate!r}, was not computed."
        elif path not in refused and not (
            expected is not None and isinstance(output, Tensor) and is_product(output, expected)
        ):
            refused[path] = "Its output is not its input times its gate."

    def end(self, frame: Frame, inputs: Any, output: Any) -> None:
        """Note whether a block's own input and output are the map and the product."""
        visits = [
            visit for visit in self.visits if visit.product and visit.product.use.frame is frame
        ]
        self.visits = [visit for visit in self.visits if visit not in visits]
        if len(visits) == 1 and _is_whole(visits[0], inputs, output):
            self.whole.add(frame.module)
        elif visits:
            self.parts.add(frame.module)


def inspect_gates(model: nn.Module, *, size: int | tuple[int, ...] = 224) -> Inspection:
    """Run a model once on seeded noise, and find every SE block by what it does in that pass.

    A gate is one factor for each sample and channel that layers make of a pooled feature map, and
    that multiplies a map; the block is the module whose code multiplies. ``size`` is the side of
    the image, or its channels, height and width: (80, 200) for 80 bands of sound, (1, 32, 64, 64)
    for a volume. A site is listed if its block ran and put out its input times the gate, bit for
    bit (where the block is quantised, to one step); a block of a known class whose input is zero
    everywhere, as in networks that were never trained, is asked again with noise. Blocks that are
    compiled, and modules that are named like an SE block and have no such gate, are among the
    refused. The model's mode is restored and nothing it learned changes.

    Raises:
        NoSEBlocksError: every SE block is compiled, so that hooks would be ignored.
    """
    scan = scan_model(model, by_class=True)
    image = _noise((1, 3, size, size) if isinstance(size, int) else (1, *size), model)
    return _inspect(model, scan, image)


def follow_noise(model: nn.Module) -> bool:
    """Inspect a model with an image of the kind that its first layer takes, and return whether it
    ran.
    """
    try:
        scan = scan_model(model, by_class=True)
        _inspect(model, scan, guess_noise(model))
    except Exception:
        # Whatever a model raises that takes something else.
        return False
    return True


def guess_noise(model: nn.Module) -> Tensor:
    """Return one image of seeded noise, of the kind that the first layer of a model takes."""
    return _noise((1, *_guess_shape(model)), model)


def _inspect(model: nn.Module, scan: Scan, image: Tensor) -> Inspection:
    check = _Check()
    listener = Listener(model, scan.blocks, see=check.see, leave=check.leave, stages=True)
    listener.end = check.end
    traced = find_traced(model)
    listener.discover = not traced
    listener.skip = modules_inside(model, [*scan.attentions, *scan.misfits])
    with evaluating(model), torch.no_grad():
        with listening(listener):
            answer = model(image)
        _ask_silent(check)
    refused = _say_idle(scan, check) | check.refused
    sure = {place.path for place in scan.blocks.values()} - refused.keys()
    findings = conclude(listener, check.products, sure)
    whole = {listener.paths[block] for block in check.whole - check.parts}
    # What a class says falsely of a block is told by what it does, where it does nothing more.
    found = {
        path: way
        for path, way in findings.found.items()
        if path not in check.unequal and (path not in refused or path in whole)
    }
    wrong = refused.keys() & found.keys() - scan.compiled.keys()
    others = {path: words for path, words in findings.others.items() if path not in refused}
    findings = Findings(found, frozenset(wrong), others)
    if not traced:
        keep_findings(model, findings)
    unknown = explain(scan.unknown, check.products, listener)
    refused = (
        traced
        | _say_unseen(model, scan)
        | unknown
        | check.unequal
        | scan.misfits
        | scan.compiled
        | refused
    )
    refused = {path: words for path, words in refused.items() if path not in wrong | others.keys()}
    followed = [site for site, place in check.sites if place.flow]
    sites = tuple(
        replace(site, whole=site.block in whole) if place.flow else complete_site(site, followed)
        for site, place in check.sites
        if site.block in (found if place.flow else sure)
    )
    returned = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    return Inspection(sites, refused, scan.attentions | others, returned)


def _is_whole(visit: Visit, inputs: Any, output: Any) -> bool:
    first = next(tensors_in(inputs), None)
    if first is None or not isinstance(output, Tensor) or visit.expected is None:
        return False
    features = visit.features
    # The same values in another shape, as where places were flattened, are still the map.
    same = first.data_ptr() == features.data_ptr() and first.shape[:2] == features.shape[:2]
    alike = first.shape == output.shape and output.numel() == visit.expected.numel()
    return same and alike and is_product(output, visit.expected.reshape(output.shape))


def _say_idle(scan: Scan, check: _Check) -> dict[str, str]:
    active = {site.block for site, place in check.sites if not place.flow} | check.refused.keys()
    return {
        place.path: "It does not run in a pass of one image."
        for place in scan.blocks.values()
        if place.path not in active
    }


def _say_unseen(model: nn.Module, scan: Scan) -> dict[str, str]:
    return {
        path: words
        for path, words in name_unseen(model).items()
        # What is named there is told already.
        if not any(is_inside(block, [path]) for block in scan.compiled)
    }


def _guess_shape(model: nn.Module) -> tuple[int, ...]:
    """Return channels and sides of an image that the first layer of a model takes."""
    for module in model.modules():
        if isinstance(module, _ConvNd):
            sides = {1: (256,), 2: (224, 224), 3: (32, 32, 32)}[len(module.kernel_size)]
            return (module.in_channels, *sides)
        if isinstance(module, nn.Linear):
            return (16, module.in_features)
    return (3, 224, 224)


def find_gates(model: nn.Module, *, size: int | tuple[int, ...] = 224) -> tuple[GateSite, ...]:
    """Find every SE block of a model, in forward order, as `inspect_gates` does, which also says
    what else it has.

    Raises:
        NoSEBlocksError: the model has no SE block that se_viz knows, none that is right, or it is
            compiled.
        CaptureError: a block lacks what its row of `SPELLINGS` names.
    """
    scan = scan_model(model, by_class=True)
    if scan.misfits:
        path, sentence = next(iter(scan.misfits.items()))
        raise CaptureError(f"{path}: {sentence} Correct the row in `se_viz.gates.SPELLINGS`.")
    inspection = inspect_gates(model, size=size)
    unseen = inspection.refused.keys() & name_unseen(model).keys()
    if not inspection.sites and unseen:
        raise NoSEBlocksError(inspection.refused[min(unseen)])
    if not inspection.sites and not scan.blocks:
        raise NoSEBlocksError(say_nothing(model, scan_model(model)))
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
