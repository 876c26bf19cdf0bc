"""Answers that are no list of classes, read as numbers: of masks, boxes, embeddings, regression."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.readings.adapter import (
        Answering,
        Place,
        Reader,
        model_inside,
        read_elsewhere,
        reader_of,
    )
    from se_viz.readings.kinds import KINDS, WHOLE, Kind, Reading, Region, read_region, split_answer
    from se_viz.readings.readers import Answer, make_reader, usual_colours

__all__ = [
    "KINDS",
    "WHOLE",
    "Answer",
    "Answering",
    "Kind",
    "Place",
    "Reader",
    "Reading",
    "Region",
    "make_reader",
    "model_inside",
    "read_elsewhere",
    "read_region",
    "reader_of",
    "split_answer",
    "usual_colours",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "adapter": (
            "Answering",
            "Place",
            "Reader",
            "model_inside",
            "read_elsewhere",
            "reader_of",
        ),
        "kinds": ("KINDS", "WHOLE", "Kind", "Reading", "Region", "read_region", "split_answer"),
        "readers": ("Answer", "make_reader", "usual_colours"),
    },
)
