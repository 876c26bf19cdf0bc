"""The numbers that the drawing of a block's steps takes: one channel of one image, and the
channels beside it.
"""

import base64
from typing import Any

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d

from se_viz.charts.grids import spread
from se_viz.gates import Excitation, GateRecord, GateSite
from se_viz.gates.gains import plain_record
from se_viz.gates.records import name_argument

_DIGITS = 6
_INPUTS = 10
_THUMB = 16
_PIECES = 64


def lay_out_steps(
    record: GateRecord, channel: int, *, site: GateSite, excitation: Excitation | None
) -> dict[str, Any]:
    """Return the numbers that are drawn, with six digits.

    Without an excitation only squeeze, gate and map.
    """
    record = plain_record(record)
    ends = [site.low / site.gain, site.high / site.gain]
    assert record.features is not None
    features = record.features[0]
    grid = _draw_grid(features[channel].numpy())
    data = {
        "channel": channel,
        "channels": len(features),
        "size": list(features.shape[1:]),
        "averaged": site.averaged,
        "grid": list(grid.shape),
        "map": _numbers(torch.from_numpy(grid).flatten()),
        "thumbs": _thumbs(features),
        "z": _numbers(record.squeeze[0]),
        "gates": _numbers(record.gate[0]),
        "gain": site.gain,
        "range": ends if np.isfinite(ends).all() else _ends(record.gate),
    }
    return data | _lay_out_steps(excitation, channel) if excitation else data


def _lay_out_steps(excitation: Excitation, channel: int) -> dict[str, Any]:
    terms = excitation.reduce * excitation.squeeze
    strongest = terms.abs().topk(min(_INPUTS, terms.shape[1])).indices
    weights = excitation.reduce.gather(1, strongest)
    return {
        "delta": excitation.delta,
        "sigma": excitation.sigma,
        "before": _numbers(excitation.before),
        "hidden": _numbers(excitation.hidden),
        "biases": _numbers(excitation.reduce_bias),
        "inputs": [
            list(zip(row.tolist(), _numbers(weight), strict=True))
            for row, weight in zip(strongest, weights, strict=True)
        ],
        "weights": _numbers(excitation.expand[channel]),
        "bias": _numbers(excitation.expand_bias[[channel]])[0],
        "argument": name_argument(excitation.sigma),
        "logits": _numbers(excitation.logit),
        "curve": [_numbers(row) for row in excitation.curve],
    }


def _numbers(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]


def _ends(gates: torch.Tensor) -> list[float]:
    # A gate function without ends: symmetric about 0, so that the colours keep their meaning.
    reach = gates.abs().max().item() or 1.0
    return [-reach, reach]


def _draw_grid(values: np.ndarray) -> np.ndarray:
    """Return a channel's map as the rows and columns that are drawn: a signal in few pieces."""
    if values.ndim == 1:
        pieces = adaptive_avg_pool1d(torch.from_numpy(values)[None], min(_PIECES, len(values)))
        return np.repeat(pieces.numpy(), max(1, pieces.shape[1] // 4), axis=0)
    return spread(values)


def _thumbs(features: torch.Tensor) -> dict[str, Any]:
    """Return every channel small and coarse, each on a scale of its own: enough to know it
    again.
    """
    # A signal as one row, a volume as the mean of its slices.
    features = features[:, None] if features.ndim == 2 else features
    features = features.mean(1) if features.ndim == 4 else features
    side = min(_THUMB, max(features.shape[1:]))
    small = adaptive_avg_pool2d(features, side).flatten(1)
    codes = (
        (127 * small / small.abs().amax(1, keepdim=True).clamp_min(1e-12)).round().to(torch.int8)
    )
    return {"side": side, "codes": base64.b64encode(codes.numpy().tobytes()).decode()}
