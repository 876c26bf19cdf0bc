"""Tables and maps to figures, and figures to files; the only Plotly import."""

from typing import TYPE_CHECKING

from se_viz.lazy import import_on_first_use

if TYPE_CHECKING:
    from se_viz.charts.attributions import SIGNS, Map, fit_reach, paint_map, paint_scale, take_sign
    from se_viz.charts.channel import draw_places, draw_strip
    from se_viz.charts.channel_maps import lay_out_channels
    from se_viz.charts.counterfactuals import draw_counterfactuals
    from se_viz.charts.dress import literal
    from se_viz.charts.effects import draw_effects, draw_shuffles
    from se_viz.charts.export import can_draw, figure_bytes, save_figure, to_html
    from se_viz.charts.frames import frame_photo
    from se_viz.charts.gate_map import lay_out_gates
    from se_viz.charts.gates import ORDERS, draw_gates, name_stage
    from se_viz.charts.grids import depict, magnify, spread
    from se_viz.charts.influence import CELLS, draw_cells, draw_row, draw_strongest
    from se_viz.charts.maps import Figure, draw_channels, draw_overlay
    from se_viz.charts.network_map import lay_out_network
    from se_viz.charts.numbers import count_decimals, signed
    from se_viz.charts.palettes import DARK, LIGHT, Palette
    from se_viz.charts.paths import PAST, THROUGH, draw_flows, sum_cells
    from se_viz.charts.recalibration import draw_makers
    from se_viz.charts.scales import CLIPPED, GATES, Span, fit_span, gate_span, widest
    from se_viz.charts.scores import draw_curves, draw_steps
    from se_viz.charts.se_vector import draw_threshold
    from se_viz.charts.sheets import Tile, to_page, to_png, to_sheet, to_uri
    from se_viz.charts.stages import draw_panel
    from se_viz.charts.steps import lay_out_steps
    from se_viz.charts.surgery import draw_answers, draw_choice, draw_reaction
    from se_viz.charts.trials import (
        COSTS,
        CURVES,
        draw_costs,
        draw_differences,
        draw_training_gates,
    )
    from se_viz.charts.two_networks import draw_depth, draw_pair

__all__ = [
    "CELLS",
    "CLIPPED",
    "COSTS",
    "CURVES",
    "DARK",
    "GATES",
    "LIGHT",
    "ORDERS",
    "PAST",
    "SIGNS",
    "THROUGH",
    "Figure",
    "Map",
    "Palette",
    "Span",
    "Tile",
    "can_draw",
    "count_decimals",
    "depict",
    "draw_answers",
    "draw_cells",
    "draw_channels",
    "draw_choice",
    "draw_costs",
    "draw_counterfactuals",
    "draw_curves",
    "draw_depth",
    "draw_differences",
    "draw_effects",
    "draw_flows",
    "draw_gates",
    "draw_makers",
    "draw_overlay",
    "draw_pair",
    "draw_panel",
    "draw_places",
    "draw_reaction",
    "draw_row",
    "draw_shuffles",
    "draw_steps",
    "draw_strip",
    "draw_strongest",
    "draw_threshold",
    "draw_training_gates",
    "figure_bytes",
    "fit_reach",
    "fit_span",
    "frame_photo",
    "gate_span",
    "lay_out_channels",
    "lay_out_gates",
    "lay_out_network",
    "lay_out_steps",
    "literal",
    "magnify",
    "name_stage",
    "paint_map",
    "paint_scale",
    "save_figure",
    "signed",
    "spread",
    "sum_cells",
    "take_sign",
    "to_html",
    "to_page",
    "to_png",
    "to_sheet",
    "to_uri",
    "widest",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "attributions": (
            "SIGNS",
            "Map",
            "fit_reach",
            "paint_map",
            "paint_scale",
            "take_sign",
        ),
        "channel": (
            "draw_places",
            "draw_strip",
        ),
        "channel_maps": ("lay_out_channels",),
        "counterfactuals": ("draw_counterfactuals",),
        "grids": ("depict", "magnify", "spread"),
        "dress": ("literal",),
        "effects": (
            "draw_effects",
            "draw_shuffles",
        ),
        "export": (
            "can_draw",
            "figure_bytes",
            "save_figure",
            "to_html",
        ),
        "frames": ("frame_photo",),
        "gate_map": ("lay_out_gates",),
        "gates": ("ORDERS", "draw_gates", "name_stage"),
        "influence": (
            "CELLS",
            "draw_cells",
            "draw_row",
            "draw_strongest",
        ),
        "maps": (
            "Figure",
            "draw_channels",
            "draw_overlay",
        ),
        "network_map": ("lay_out_network",),
        "numbers": (
            "count_decimals",
            "signed",
        ),
        "palettes": (
            "DARK",
            "LIGHT",
            "Palette",
        ),
        "paths": (
            "PAST",
            "THROUGH",
            "draw_flows",
            "sum_cells",
        ),
        "recalibration": ("draw_makers",),
        "scales": (
            "CLIPPED",
            "GATES",
            "Span",
            "fit_span",
            "gate_span",
            "widest",
        ),
        "scores": (
            "draw_curves",
            "draw_steps",
        ),
        "se_vector": ("draw_threshold",),
        "sheets": (
            "Tile",
            "to_page",
            "to_png",
            "to_sheet",
            "to_uri",
        ),
        "stages": ("draw_panel",),
        "steps": ("lay_out_steps",),
        "trials": (
            "COSTS",
            "CURVES",
            "draw_costs",
            "draw_differences",
            "draw_training_gates",
        ),
        "surgery": (
            "draw_answers",
            "draw_choice",
            "draw_reaction",
        ),
        "two_networks": ("draw_depth", "draw_pair"),
    },
)
