"""What functions of PyTorch do to a map and to what was pooled from it, by their names."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_SPELLED = {
    "__get__": "",
    "__rsub__": "rsub",
    "__rmul__": "mul",
    "__imul__": "mul",
    "__mul__": "mul",
    "__radd__": "add",
    "__iadd__": "add",
    "__add__": "add",
    "__sub__": "sub",
    "__isub__": "sub",
    "__truediv__": "div",
    "__itruediv__": "div",
    "__rdiv__": "rdiv",
    "__rtruediv__": "rdiv",
    "__matmul__": "matmul",
    "multiply": "mul",
    "subtract": "sub",
    "divide": "div",
    "true_divide": "div",
    "negative": "neg",
    "__neg__": "neg",
    "concat": "cat",
    "concatenate": "cat",
    "mul_scalar": "mul",
    "absolute": "abs",
}
_names: dict[Any, str] = {}


_WINDOW = 3
"""The most places that a pooling takes together to make maps smaller."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRODUCTS = _words("mul einsum addcmul")
SUMS = _words("add sub maximum max minimum addcmul cat")
POOLS = frozenset(
    f"{kind}{axes}d"
    for kind in ("adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "max_pool", "lp_pool")
    for axes in (1, 2, 3)
) | {f"max_pool{axes}d_with_indices" for axes in (1, 2, 3)}
_SECOND = _words(
    "mean sum nanmean nansum amax amin max min std var median logsumexp prod std_mean var_mean"
)
_THIRD = _words("norm vector_norm")
REDUCTIONS = _SECOND | _THIRD
PERMUTATIONS = _words("permute transpose swapaxes swapdims movedim moveaxis t T mT H adjoint rot90")
CONTRACTIONS = _words("matmul mm bmm addmm baddbmm mv einsum tensordot inner")
_CONVOLUTIONS = frozenset(
    f"conv{middle}{axes}d{end}"
    for middle in ("", "_transpose")
    for axes in (1, 2, 3)
    for end in ("", "_relu")
)
FIRST_AXIS = _CONVOLUTIONS | _words(
    """
    batch_norm instance_norm group_norm pixel_shuffle pixel_unshuffle interpolate upsample
    grid_sample deform_conv2d prelu
    """
)
LAST_AXIS = _words("linear embedding embedding_bag bilinear linear_relu")
MIXING = CONTRACTIONS | _CONVOLUTIONS | _words("linear bilinear linear_relu")
"""Functions by which each value depends on several."""
BY_FIRST = _words("expand_as view_as reshape_as type_as to broadcast_to")
"""Functions whose other tensors tell a shape or a kind only."""
LAYOUT = PERMUTATIONS | _words(
    """
    view reshape flatten unflatten squeeze unsqueeze expand expand_as view_as reshape_as
    contiguous clone detach to float half double bfloat16 type type_as cpu cuda chunk split
    tensor_split unbind select narrow __getitem__ repeat tile repeat_interleave cat stack
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout broadcast_to data pad
    flip roll index_select interpolate upsample requires_grad alias ravel dequantize
    quantize_per_tensor hsplit split_with_sizes copy positive swapaxes fill unsafe_chunk
    """
)
"""Functions that leave values as they are, but for dropout, which does so in evaluation."""
IGNORED = _words(
    """
    shape size dim ndim dtype device is_cuda grad_fn requires_grad is_contiguous stride numel
    layout is_floating_point is_complex item is_quantized is_nested storage_offset data_ptr
    element_size is_sparse __len__ __bool__ __int__ __float__ tolist numpy is_meta names grad
    is_leaf q_scale q_zero_point is_inference nelement __hash__ is_mkldnn _version __format__
    __repr__ empty zeros ones arange
    zeros_like ones_like empty_like rand_like randn_like full_like new_zeros new_ones new_full
    new_empty new_tensor full rand randn set_grad_enabled _set_grad_enabled
    """
)

_KINDS = {
    "sum": "sum",
    "nanmean": "mean",
    "nansum": "sum",
    "amax": "maximum",
    "max": "maximum",
    "amin": "minimum",
    "min": "minimum",
    "std": "standard deviation",
    "var": "variance",
    "vector_norm": "norm",
    "logsumexp": "log of the sum of exponentials",
    "prod": "product",
}


def name_of(func: Any) -> str:
    """Return what a function is called, whether it is a method, an operator or works in place."""
    name = _names.get(func)
    return name if name is not None else _names.setdefault(func, _name(func))


def _name(func: Any) -> str:
    name = str(getattr(func, "__name__", func)).split(".")[0]
    if name == "__get__":
        return str(getattr(func.__self__, "__name__", ""))
    name = _SPELLED.get(name, name)
    name = name if name.endswith("__") else name.rstrip("_")
    return _SPELLED.get(name, name)


def tensors_among(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among the arguments of a function, also those in a list."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (item for item in value if isinstance(item, Tensor))


def name_statistic(name: str, place: int, *, masked: bool) -> str:
    """Return what a function pools to: the mean, the maximum, ...; ``place`` is that among
    several outputs.
    """
    if name in ("std_mean", "var_mean"):
        kind = ("standard deviation" if name == "std_mean" else "variance", "mean")[place]
    elif "avg_pool" in name:
        kind = "mean"
    elif "max_pool" in name:
        kind = "maximum"
    elif name in MIXING:
        kind = "weighted mean"
    else:
        kind = _KINDS.get(name, name)
    return f"masked {kind.replace('sum', 'mean')}" if masked and kind in ("sum", "mean") else kind


def reduced_axes(
    name: str, args: Sequence[Any], kwargs: dict[str, Any], axes: int
) -> tuple[int, ...] | None:
    """Return the axes that a reduction takes together; None where it is all, or no reduction."""
    place = 2 if name in _THIRD else 1
    given = args[place] if len(args) > place else kwargs.get("dim", kwargs.get("axis"))
    if isinstance(given, int) and not isinstance(given, bool):
        given = (given,)
    if not isinstance(given, (list, tuple)) or not all(isinstance(axis, int) for axis in given):
        return None
    return tuple(axis % axes for axis in given)


def move_axis(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], axis: int, axes: int
) -> int | None:
    """Return where a permutation puts an axis, by what it makes of the shape 2, 3, 4, ..."""
    trial = torch.empty(tuple(range(2, axes + 2)), device="meta")
    try:
        moved = func(trial, *args[1:], **kwargs)
    except (RuntimeError, TypeError, IndexError):
        return None
    return tuple(moved.shape).index(axis + 2) if axis + 2 in moved.shape else None


def may_pool_whole(
    name: str, args: Sequence[Any], kwargs: dict[str, Any], features: Tensor
) -> bool:
    """Return whether a pooling that leaves one place is meant to: windows of two or three places
    with a stride make any map smaller, of whatever size it happens to be.
    """
    if name.startswith("adaptive"):
        return True
    stride = args[2] if len(args) > 2 else kwargs.get("stride")
    return stride is None or max(features.shape[2:], default=0) > _WINDOW


def pools_by_layer(
    name: str, args: Sequence[Any], kwargs: dict[str, Any], features: Tensor
) -> bool:
    """Return whether a convolution keeps channels apart, and sees all places of each at once."""
    groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
    weight = args[1] if len(args) > 1 else kwargs.get("weight")
    return (
        name in _CONVOLUTIONS
        and groups == features.shape[1] > 1
        and isinstance(weight, Tensor)
        and weight.shape[2:] == features.shape[2:]
        and max(features.shape[2:]) > _WINDOW
    )


def layer_shape(tensors: Sequence[Tensor]) -> tuple[int, int] | None:
    """Return outputs and inputs of the layer with the weight among a function's arguments."""
    weights = [value for value in tensors[1:] if value.ndim >= 2]
    if not weights:
        return None
    return weights[0].shape[0], weights[0].shape[1]


def is_weight(value: Tensor) -> bool:
    """Return whether a tensor is a weight of a module."""
    return isinstance(value, nn.Parameter)
