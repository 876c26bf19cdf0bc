"""Names of networks that users bring: of their file, and of all that makes them."""

import hashlib
import re
from pathlib import Path


def name_network(file: str, content: bytes, choices: tuple[str, ...] = ()) -> str:
    """Name a network by its file and, so that no cache mixes two up, by a hash of all that makes
    it.
    """
    # Of letters and digits only: it becomes the name of a file.
    plain = re.sub(r"\W+", "_", Path(file).stem, flags=re.ASCII).strip("_")[:60] or "weights"
    return f"{plain}-{hashlib.sha256(content + repr(choices).encode()).hexdigest()[:6]}"
