"""The health of a network's gates over images: what needs a second pass, and limits in words.

Why: docs/decisions/009-dead-channels.md
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from se_viz.devices import Watch
from se_viz.errors import LimitError
from se_viz.experiments.analysis import analyse
from se_viz.gates.health import BlockHealth, Limits, check_health, count_dead
from se_viz.gates.records import GateRecord, GateSite
from se_viz.images import open_image
from se_viz.networks import Network
from se_viz.networks.lenders import Lender


def check_network(
    network: Network,
    records_by_file: Mapping[Path, Sequence[GateRecord]],
    limits: Limits | None = None,
) -> tuple[BlockHealth, ...]:
    """Judge every block by what it did on the images of some files.

    Raises:
        DataError: there is no image.
    """
    records = [record for image in records_by_file.values() for record in image]
    sites = network.inspection.sites
    # Gates and squeezes alone leave open whether a channel is 0 everywhere: these need features.
    unclear = [name for name, dead in count_dead(records, sites).items() if dead is None]
    dead = find_dead(network, map(open_image, records_by_file), unclear)
    return check_health(records, sites, limits=limits, dead=dead)


def find_dead(
    network: Network,
    images: Iterable[Image.Image | Tensor],
    blocks: Sequence[str],
    *,
    whole: bool = False,
    watch: Watch = lambda _: None,
) -> dict[str, int]:
    """Count the channels of some blocks that are zero in every image, from their feature maps.

    One more pass an image, for the blocks of which `count_dead` could not tell; for none there is
    no pass. With ``whole`` images are neither scaled nor cut, see `Network.preprocess`.
    """
    alive = {}
    for image in images if blocks else ():
        analysis = analyse(network, image, keep_features=blocks, whole=whole, watch=watch)
        for record in analysis.records:
            if record.features is not None:
                # Once alive is alive: a channel is dead only if no image has a value there.
                active = record.features[0].flatten(1).any(1)
                alive[record.name] = active | alive.get(record.name, False)
    return {name: int((~channels).sum()) for name, channels in alive.items()}


def lend_records(lenders: Sequence[Lender], sites: Sequence[GateSite]) -> list[GateRecord]:
    """Return the gates of images that lend them as records.

    Squeezes are not kept with them, and are 0.
    """
    return [
        GateRecord(
            site.block,
            site.stage,
            torch.zeros(1, site.channels),
            lender.gates[site.name][None],
            call=site.call,
        )
        for lender in lenders
        for site in sites
    ]


def read_limits(words: Sequence[str]) -> Limits:
    """Return the limits with those replaced that are given as ``name=value``.

    Raises:
        LimitError: there is no such limit, or its value is no number in its range.
    """
    names = [limit.name for limit in fields(Limits)]
    values = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in names:
            raise LimitError(
                f"There is no limit {name!r}. Choose one of {', '.join(names)}, as {names[0]}=0.05."
            )
        if name in values:
            raise LimitError(f"The limit {name} is given twice. Give it once.")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise LimitError(
                f"{value!r} is no number for the limit {name}. Write it as {name}=0.05."
            ) from error
    return Limits(**values)
