"""A whole network as a row of stages, from its input to its answer: what each SE block is, and
where it sits.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from math import log2
from typing import Any

from se_viz.gates.records import GateSite
from se_viz.gates.tables import label_blocks

_WIDTHS = (28, 42)
_HEIGHTS = (22, 62)
"""Smallest and largest box, in pixels: as wide as its channels are many, as high as its map."""


def lay_out_network(
    sites: Sequence[GateSite],
    *,
    ends: tuple[str, str],
    chosen: Collection[str] = (),
    bypassed: Collection[str] = (),
    opened: str | None = None,
) -> dict[str, Any]:
    """Return all that is drawn of a network: stages in forward order, a box for each use of an SE
    block.

    ``ends`` say what goes in and what comes out. ``chosen`` and ``bypassed`` are paths of blocks to
    mark, ``opened`` is the name of one use. Boxes are wider for more channels and higher for larger
    maps, on logarithmic scales.
    """
    labels = label_blocks(sites)
    widths = _scale([site.channels for site in sites], _WIDTHS)
    heights = _scale([_longest(site) for site in sites], _HEIGHTS)
    boxes = [
        {
            "name": site.name,
            "label": labels[site.name],
            "channels": site.channels,
            "size": _describe_sides(site.sides),
            "width": width,
            "height": height,
            "chosen": site.block in chosen,
            "bypassed": site.block in bypassed,
            "opened": site.name == opened,
        }
        for site, width, height in zip(sites, widths, heights, strict=True)
    ]
    stages = []
    for stage, pairs in groupby(zip(sites, boxes, strict=True), key=lambda pair: pair[0].stage):
        group = [*pairs]
        sizes = dict.fromkeys(box["size"] for _, box in group)
        stages.append(
            {
                "name": f"Stage {stage}",
                "size": " and ".join(size for size in sizes if size),
                "boxes": [box for _, box in group],
            }
        )
    return {"ends": list(ends), "stages": stages}


def _longest(site: GateSite) -> int:
    # A network that was inspected without its sides has those that its strides tell.
    return max(site.sides) if site.sides else 2 ** max(0, 10 - site.stage)


def _describe_sides(sides: Sequence[int]) -> str:
    return " × ".join(map(str, sides))


def _scale(values: Sequence[int], ends: tuple[int, int]) -> list[int]:
    """Return lengths in pixels; all the shortest where the values are the same."""
    logs = [log2(max(1, value)) for value in values]
    low, reach = min(logs), max(logs) - min(logs)
    return [round(ends[0] + (ends[1] - ends[0]) * ((log - low) / (reach or 1))) for log in logs]
