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
        "maps": np.stack([one.map.numpy() for one in attributions]),
        "method": [one.method for one in attributions],
        "title": [METHODS[one.method].title for one in attributions],
        "target": [classes[one.target] for one in attributions],
        "against": ["" if one.against is None else classes[one.against] for one in attributions],
        "baseline": [one.baseline or "" for one in attributions],
        "seconds": [one.seconds for one in attributions],
        "explained": _numbers([one.explained for one in attributions]),
        "completeness_error": _numbers([one.completeness_error for one in attributions]),
        "stage": _numbers([one.stage for one in attributions]),
    }
    file = BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


def _numbers(values: Sequence[int | float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])
