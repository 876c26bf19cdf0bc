"""Captum's algorithms: loaded for the first method that runs, and not with a page that offers
it.
"""

import sys
import warnings
from typing import Any


def load_captum() -> Any:
    """Return the module ``captum.attr``, whose classes rows of the catalogues name.

    The first call takes more than a second. Make it before a device's turn, so that nobody else
    waits.
    """
    if "captum" not in sys.modules:
        # In a notebook tqdm asks for widgets, to draw bars that nothing here shows.
        warnings.filterwarnings("ignore", message="IProgress not found")
    import captum.attr

    return captum.attr
