"""Whether a block put out its input times its gate: at every place, or at a few, which costs next
to nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from se_viz.gates.listeners import Visit
from se_viz.gates.places import Place

_PLACES = {1: 4, 2: 2, 3: 2}
"""Places looked at along each axis in space, by the number of these axes."""
_ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Input times gate at a few places of one block's map, and what the block put out there."""

    place: Place
    expected: Tensor
    output: Tensor
    step: float = 0.0
    """What the block rounds to, where it is quantised."""

    @property
    def path(self) -> str:
        """Return the block's path."""
        return self.place.path


def multiply(visit: Visit, gate: Tensor) -> Tensor:
    """Return a block's input times (batch, channels) gates, in the block's own order of axes."""
    return _times(visit, plain(visit.features), plain(gate))


def expect(visit: Visit, gate: Tensor) -> Tensor | None:
    """Return the same at a few places, in a copy: what comes next may work in place.

    None where no values are.
    """
    if gate.is_meta or is_functorch_wrapped_tensor(gate):
        return None
    # Whoever counts or changes the functions of the pass must not meet these.
    with torch._C.DisableTorchFunction():
        visit.cuts = _cuts(visit)
        return _times(visit, plain(visit.features.detach()[visit.cuts]), plain(gate.detach()))


def meet(visit: Visit, output: object) -> Product:
    """Return what `expect` gave beside what the block put out at the same places."""
    place = visit.place
    expected = visit.expected
    assert expected is not None
    if not isinstance(output, Tensor) or output.shape[1:] != visit.features.shape[1:]:
        # Something else than the map: there is nothing to compare with.
        return Product(place, expected, expected.new_empty(0))
    with torch._C.DisableTorchFunction():
        some = output.detach()[visit.cuts]
        if output.is_quantized:
            return Product(
                place, requantise(expected, output), some.dequantize(), step=1.01 * output.q_scale()
            )
        return Product(place, expected, some.clone())


def find_wrong(products: Iterable[Product]) -> list[Place]:
    """Return the blocks whose output is not their product, but for rounding.

    Asked of all of them at once.
    """
    wrong: list[Place] = []
    kinds: dict[tuple[object, ...], list[Product]] = defaultdict(list)
    for product in products:
        if product.output.shape != product.expected.shape:
            wrong.append(product.place)
        elif product.expected.is_floating_point():
            kinds[
                product.expected.dtype, product.output.dtype, product.output.device, product.step
            ].append(product)
    for alike in kinds.values():
        # All in one: on a GPU every question waits for the device.
        if not _agree(alike):
            wrong += [product.place for product in alike if not _agree([product])]
    return wrong


def is_product(output: Tensor, expected: Tensor) -> bool:
    """Return whether a whole map is the product: bit for bit, or to one step of what a quantised
    block rounds to.
    """
    if output.shape != expected.shape:
        return False
    if output.is_quantized:
        return bool(
            (
                (output.dequantize() - requantise(expected, output)).abs()
                <= 1.01 * output.q_scale()
            ).all()
        )
    return bool(((output == expected) | (output.isnan() & expected.isnan())).all())


def requantise(values: Tensor, like: Tensor) -> Tensor:
    """Return values as a quantised tensor's steps and range would hold them."""
    return torch.quantize_per_tensor(
        values, like.q_scale(), like.q_zero_point(), like.dtype
    ).dequantize()


def plain(values: Tensor) -> Tensor:
    """Return the numbers that quantised values stand for; any others as they are."""
    return values.dequantize() if values.is_quantized else values


def _times(visit: Visit, features: Tensor, gate: Tensor) -> Tensor:
    spatial = [1] * (features.ndim - 2)
    last = visit.place.row.channels_last
    return features * gate.reshape(
        (len(gate), *spatial, visit.channels) if last else (len(gate), visit.channels, *spatial)
    )


def _cuts(visit: Visit) -> tuple[slice, ...]:
    """Return a few places in space, for all images and channels."""
    first = 1 if visit.place.row.channels_last else 2
    sides = visit.features.shape[first : first + visit.axes]
    most = _PLACES.get(len(sides), 1)
    # From a quarter on: the rim of a map is often zero.
    some = [slice(side // 4, None, max(1, side // most)) for side in sides]
    return (_ALL, *some) if first == 1 else (_ALL, _ALL, *some)


def _agree(alike: list[Product]) -> bool:
    expected = torch.cat([product.expected.flatten() for product in alike])
    output = torch.cat([product.output.flatten() for product in alike])
    if expected.dtype == output.dtype and torch.equal(expected, output):
        return True
    kinds = [expected.dtype, output.dtype]
    # The product is as exact as the coarser of the two kinds.
    coarse = max((torch.finfo(kind) for kind in kinds), key=lambda info: info.eps)
    wide = torch.float64 if torch.float64 in kinds else torch.float32
    atol = max(alike[0].step, coarse.tiny)
    return torch.allclose(
        output.to(wide), expected.to(wide), rtol=coarse.eps, atol=atol, equal_nan=True
    )
