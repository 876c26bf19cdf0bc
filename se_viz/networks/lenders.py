"""Gates that images opened in a bundled network, kept beside its weights, to lend them to other
images.

Why: docs/decisions/023-counterfactuals-by-lenders.md
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from se_viz.errors import CheckpointError
from se_viz.gates import GateSite
from se_viz.networks import checkpoints
from se_viz.networks.card import NetworkCard

STEPS = 2**16 - 1
"""Gates from 0 to 1 are kept as whole numbers up to this: half precision would hide which are
nearly 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Lender:
    """An image that lends its gates to others."""

    name: str
    """What to call it."""
    digest: str
    """SHA-256 of its file: a copy is the same image."""
    gates: Mapping[str, Float[Tensor, "..."]]
    """For the name of each use of a block, its gates: (channels,)."""


def write_lenders(lenders: Sequence[Lender], sites: Sequence[GateSite], path: Path) -> str:
    """Write gates from 0 to 1, and return the SHA-256 of the file, which belongs on the network's
    card.
    """
    gates = np.stack(
        [torch.cat([lender.gates[site.name] for site in sites]).numpy() for lender in lenders]
    )
    content = BytesIO()
    np.savez_compressed(
        content,
        gates=np.rint(STEPS * gates).astype(np.uint16),
        names=np.array([lender.name for lender in lenders]),
        digests=np.array([lender.digest for lender in lenders]),
    )
    path.write_bytes(content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def read_lenders(
    card: NetworkCard, sites: Sequence[GateSite], folder: Path | None = None
) -> tuple[Lender, ...]:
    """Return the images whose gates are kept beside a network's weights.

    None where its card names none.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
    """
    if not card.lenders:
        return ()
    path = (folder or checkpoints.FOLDER) / f"{card.name}.lenders.npz"
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != card.lenders:
        raise CheckpointError(
            f"{path.name} in {path.parent} is missing, damaged, or not the file that the card of "
            f"{card.title} names. Restore both files from the same source."
        )
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            gates, names, digests = (arrays[key] for key in ("gates", "names", "digests"))
    except (ValueError, KeyError, BadZipFile) as error:
        raise CheckpointError(f"{path.name} holds no gates ({error}). Restore the file.") from error
    channels = [site.channels for site in sites]
    if gates.shape != (len(names), sum(channels)):
        raise CheckpointError(f"{path.name} holds gates of another network. Restore the file.")
    rows = torch.from_numpy(gates.astype(np.float32) / STEPS)
    return tuple(
        Lender(
            str(name),
            str(digest),
            dict(zip([site.name for site in sites], row.split(channels), strict=True)),
        )
        for name, digest, row in zip(names, digests, rows, strict=True)
    )
