"""Where and when networks run: the choice of device, its line, its limits and its memory.

Names are imported on first use: not all of them may cost the start of PyTorch.
"""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.devices.allocator import keep_freed_memory
    from se_viz.devices.choice import (
        available_devices,
        choose_device,
        fit_memory,
        give_way,
        lay_out,
        line_of,
        memory_in_words,
        peak_memory,
        run_halving,
        setting,
        turn_with_gradients,
    )
    from se_viz.devices.driver import Devices, ask_driver
    from se_viz.devices.holdings import Holdings
    from se_viz.devices.line import Line, Report, Turn, Watch
    from se_viz.devices.residents import Residents

__all__ = [
    "Devices",
    "Holdings",
    "Line",
    "Report",
    "Residents",
    "Turn",
    "Watch",
    "ask_driver",
    "available_devices",
    "choose_device",
    "fit_memory",
    "give_way",
    "keep_freed_memory",
    "lay_out",
    "line_of",
    "memory_in_words",
    "peak_memory",
    "run_halving",
    "setting",
    "turn_with_gradients",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "allocator": ("keep_freed_memory",),
        "choice": (
            "available_devices",
            "choose_device",
            "fit_memory",
            "give_way",
            "lay_out",
            "line_of",
            "memory_in_words",
            "peak_memory",
            "run_halving",
            "setting",
            "turn_with_gradients",
        ),
        "driver": ("Devices", "ask_driver"),
        "holdings": ("Holdings",),
        "line": (
            "Line",
            "Report",
            "Turn",
            "Watch",
        ),
        "residents": ("Residents",),
    },
)
