"""SE blocks put into existing networks, in place, with every choice of the paper's ablations."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.insertion.blocks import NoSqueeze, OnePlusTanh, TwiceSigmoid
    from se_viz.insertion.insert import insert_se

__all__ = ["NoSqueeze", "OnePlusTanh", "TwiceSigmoid", "insert_se"]

__getattr__ = import_on_first_use(
    __name__,
    {
        "blocks": ("NoSqueeze", "OnePlusTanh", "TwiceSigmoid"),
        "insert": ("insert_se",),
    },
)
