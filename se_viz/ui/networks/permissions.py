"""What visitors may do to the machine that the app runs on; whoever runs it decides.

Why: docs/decisions/035-what-visitors-may-do.md
"""

import os

from se_viz.errors import SettingError
from se_viz.ui.frame import is_private

SETTING = "SE_VIZ_DOWNLOADS"
"""Environment variable: ``on`` or ``off``; unset, ``on`` where this machine alone can reach the
app."""


def may_download() -> bool:
    """Tell whether visitors may fetch weights to this machine's disk, and empty the cache.

    Raises:
        SettingError: the setting is neither ``on`` nor ``off``.
    """
    value = os.environ.get(SETTING, "")
    if value not in ("", "on", "off"):
        raise SettingError(f"{SETTING} is {value!r}. It takes on or off: set it, or unset it.")
    return value == "on" if value else is_private()


def describe_refusal() -> str:
    """Say why visitors may not, who can change it, and how."""
    if os.environ.get(SETTING):
        reason = f"{SETTING} is off"
        step = f"with {SETTING}=on"
    else:
        reason = "other machines may reach this app"
        step = f"with `--server.address localhost`, or with {SETTING}=on for everybody"
    return (
        f"Downloads and emptying the cache are off here, because {reason}. Whoever runs the app "
        f"can fetch networks by `python -m se_viz download NAME`, or start it {step}."
    )
