"""All that is shown side by side as files: a picture, a page, and the numbers."""

from collections.abc import Iterator, Sequence

import streamlit as st

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.question import Attribution, Target, npz_bytes
from se_viz.charts import Tile, to_page, to_png, to_sheet
from se_viz.ui.asking import Choices
from se_viz.ui.session import keys
from se_viz.ui.side_by_side.tiles import Look, describe, describe_reach, paint, reach_of
from se_viz.ui.widgets import name_target


def show_downloads(
    choices: Choices, target: Target, look: Look, maps: Sequence[Attribution]
) -> None:
    """Offer the maps as files; nothing is made before somebody asks for it."""
    heading = (
        f"{name_target(choices, target)} · {choices.network.card.title} · {choices.image.name}"
    )
    palette = look.palette
    offers = {
        "Picture": (
            ".png",
            "image/png",
            lambda: to_png(to_sheet(heading, [*_tiles(choices, maps, look)], palette)),
        ),
        "HTML": (
            ".html",
            "text/html",
            lambda: to_page(heading, [*_tiles(choices, maps, look)], palette),
        ),
        "Maps as NPZ": (
            ".npz",
            "application/octet-stream",
            lambda: npz_bytes(maps, choices.network.classes),
        ),
    }
    with st.container(horizontal=True):
        for label, (suffix, mime, make) in offers.items():
            st.download_button(
                label,
                make,
                file_name=f"attributions-{choices.image.digest[:8]}{suffix}",
                mime=mime,
                key=f"{keys.ATTRIBUTIONS}{suffix}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def _tiles(choices: Choices, maps: Sequence[Attribution], look: Look) -> Iterator[Tile]:
    reach = reach_of(maps, look)
    yield Tile(f"The {choices.noun}", choices.photo, "The network's input.")
    for attribution in maps:
        row = METHODS[attribution.method]
        words_of_map = row.tell(dict(attribution.options), shape=choices.network.card.shape)
        words = " ".join(
            filter(
                None,
                [
                    describe(attribution, look),
                    describe_reach(attribution, look),
                    words_of_map,
                    f"({row.source})",
                ],
            )
        )
        yield Tile(row.title, paint(choices.photo, attribution, look, reach), words)
