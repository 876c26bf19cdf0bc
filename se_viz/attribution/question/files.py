"""Maps as a file of numbers, for those who want to compute with them."""

import json
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


def map_bytes(attribution: Attribution, classes: Sequence[str], **about: Any) -> bytes:
    """Return one attribution as an ``.npz`` file: ``values`` has the input's sides, float32.

    ``class``, ``against``, ``method`` and ``title`` are texts; ``settings`` is JSON, with every
    option of the method, the baseline and the stage; ``explained`` and ``completeness_error`` are
    NaN where the method promises nothing. ``about`` adds texts and numbers of one's own.
    """
    against = attribution.against
    file = BytesIO()
    np.savez_compressed(
        file,
        values=attribution.map.numpy(),
        signed=attribution.signed,
        method=attribution.method,
        title=METHODS[attribution.method].title,
        settings=json.dumps(settings_of(attribution)),
        index=attribution.target,
        explained=_numbers([attribution.explained])[0],
        completeness_error=_numbers([attribution.completeness_error])[0],
        seconds=attribution.seconds,
        **{"class": classes[attribution.target]},
        **({} if against is None else {"against": classes[against]}),
        **about,
    )
    return file.getvalue()


def settings_of(attribution: Attribution) -> dict[str, Any]:
    """Return all that a map depends on beside image, network and class, as plain JSON values."""
    settings = {**METHODS[attribution.method].options, **dict(attribution.options)}
    places = {"baseline": attribution.baseline, "stage": attribution.stage}
    return {**settings, **{name: value for name, value in places.items() if value is not None}}


def _numbers(values: Sequence[int | float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])
