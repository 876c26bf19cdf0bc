"""Replay bundles: what was computed of one photo, as one file that can be run again and compared.

Names are imported on first use: a bundle of a stranger is opened in a process without PyTorch.

Why: docs/decisions/043-replay-bundles.md
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.replay.comparison import TOLERANCE, Difference, Replayed
    from se_viz.replay.files import MAX_BYTES, bundle_bytes, read_bundle, write_bundle
    from se_viz.replay.records import Answers, Bundle, MapSettings, Settings
    from se_viz.replay.run import (
        check_photo,
        compare_bundles,
        make_bundle,
        replay,
        run_settings,
    )

__all__ = [
    "MAX_BYTES",
    "TOLERANCE",
    "Answers",
    "Bundle",
    "Difference",
    "MapSettings",
    "Replayed",
    "Settings",
    "bundle_bytes",
    "check_photo",
    "compare_bundles",
    "make_bundle",
    "read_bundle",
    "replay",
    "run_settings",
    "write_bundle",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "comparison": ("TOLERANCE", "Difference", "Replayed"),
        "files": ("MAX_BYTES", "bundle_bytes", "read_bundle", "write_bundle"),
        "records": ("Answers", "Bundle", "MapSettings", "Settings"),
        "run": ("check_photo", "compare_bundles", "make_bundle", "replay", "run_settings"),
    },
)
