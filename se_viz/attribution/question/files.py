"""Maps as a file of numbers, for those who want to compute with them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.question.records import Attribution


def npz_bytes(attributions: Sequence[Attribution], classes: Sequence[str]) -> bytes:
    """Return attributions of one image as an ``.npz`` file, one row an attribution in every array.

    ``maps`` is (attributions, height, width) float32; ``method``, ``title``, ``target``,
    ``against`` and ``baseline`` are texts, empty where there is none; ``seconds``, ``explained``,
    ``completeness_error`` and ``stage`` are numbers, NaN where the method promises or has none.
    """
    columns: dict[str, Any] = {
        "maps": np.stack([attribution.map.numpy() for attribution in attributions]),
        "method": [attribution.method for attribution in attributions],
        "title": [METHODS[attribution.method].title for attribution in attributions],
        "target": [classes[attribution.target] for attribution in attributions],
        "against": [
            "" if attribution.against is None else classes[attribution.against]
            for attribution in attributions
        ],
        "baseline": [attribution.baseline or "" for attribution in attributions],
        "seconds": [attribution.seconds for attribution in attributions],
        "explained": _numbers([attribution.explained for attribution in attributions]),
        "completeness_error": _numbers(
            [attribution.completeness_error for attribution in attributions]
        ),
        "stage": _numbers([attribution.stage for attribution in attributions]),
    }
    file = BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


def _numbers(values: Sequence[int | float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])
