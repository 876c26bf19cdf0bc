"""Small multiples: a place for each method, what is drawn in it, and what the colours mean.

Why: docs/decisions/027-small-multiples-are-pictures.md
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from se_viz.attribution.catalogue import METHODS
from se_viz.attribution.question import Attribution
from se_viz.charts import SIGNS, Map, Palette, fit_reach, paint_map, paint_scale, take_sign, to_uri
from se_viz.errors import SeVizError
from se_viz.ui.asking import Choices
from se_viz.ui.session import keys, link_number
from se_viz.ui.side_by_side.answers import Answers, maps_of
from se_viz.ui.widgets import Request, choose_option, current_palette
from se_viz.ui.words import as_markdown

_ACROSS = 4
# Seconds; less would be written as none.
_LEAST = 0.05
# Two maps of one method share what is not chance: below this it is less than half of their
# variance.
_CHANCE = 0.5
# Logits; of less, a share says nothing.
_NOTHING = 0.001


@dataclass(frozen=True, slots=True)
class Look:
    """How maps are drawn."""

    sign: str
    """One of ``SIGNS``."""
    one_scale: bool
    """Whether all maps are drawn on one scale."""
    opacity: float
    """Of the maps over the photo, 0 to 1."""
    palette: Palette
    """Colours of the page's theme."""


def choose_look() -> Look:
    """Offer which signs are drawn, on whose scale, and how strongly."""
    first, second, third = st.columns([4, 3, 3])
    with first:
        sign = choose_option("Show evidence", SIGNS, key=keys.MAP_SIGN)
    with second:
        scale = choose_option(
            "Colour scale", {"own": "Each map's own", "shared": "One for all"}, key=keys.MAP_SCALE
        )
    link_number(keys.MAP_OPACITY, low=0.0, high=1.0, default=0.8)
    opacity = third.slider(
        "Opacity of the maps", 0.0, 1.0, 0.8, 0.05, key=keys.MAP_OPACITY, persist_state="session"
    )
    return Look(sign, scale == "shared", opacity, current_palette())


class Wall:
    """The input and a place for each method, which holds it in grey until there is a map."""

    def __init__(self, choices: Choices, look: Look, waits: Mapping[Request, str]) -> None:
        """Lay the places out; ``waits`` says for each request how long it takes."""
        self._photo = choices.photo
        self._noun = choices.noun
        self._look = look
        self._waits = {request.method: words for request, words in waits.items()}
        self._places: dict[str, tuple[DeltaGenerator, DeltaGenerator]] = {}
        self._drawn: dict[str, float | None] = {}
        grid = st.container()
        cells = [cell for _ in range(0, len(waits) + 1, _ACROSS) for cell in grid.columns(_ACROSS)]
        cells[0].markdown(f"**The {self._noun}**", help="The network's input.")
        alt = f"The {self._noun} as the network's input"
        cells[0].image(to_uri(self._photo), width="stretch", alt=alt)
        for cell, request in zip(cells[1:], waits, strict=False):
            row = METHODS[request.method]
            words = row.tell(dict(request.options), shape=choices.network.card.shape)
            cell.markdown(f"**{row.title}**", help=f"{words} ({row.source})")
            # Two elements and no container: of a run that is cut short Streamlit still sends
            # pictures that the browser knows, and an element that it takes for their container ends
            # the page.
            self._places[row.key] = cell.empty(), cell.empty()

    def wait(self, methods: Iterable[str]) -> None:
        """Say in the places of these methods that they are not done."""
        grey = self._photo.convert("L")
        grey.thumbnail((96, 96))
        for method in methods:
            _fill(
                self._places[method],
                grey,
                f"Will take {self._waits[method]}.",
                f"The {self._noun} without colours: no map yet",
            )

    def show(self, answers: Answers) -> None:
        """Draw what is not drawn yet.

        On one scale for all, a new map may change that of the others.
        """
        reach = reach_of(maps_of(answers), self._look)
        for method, attribution in answers.items():
            if isinstance(attribution, SeVizError):
                self._places[method][0].info(as_markdown(attribution))
                self._places[method][1].empty()
            elif self._drawn.get(method, -1.0) != reach:
                self._drawn[method] = reach
                picture = paint(self._photo, attribution, self._look, reach)
                alt = f"{METHODS[method].title}, a map"
                _fill(
                    self._places[method],
                    picture,
                    describe(attribution, self._look),
                    alt,
                    describe_reach(attribution, self._look),
                )

    def note(self, attribution: Attribution, words: str) -> None:
        """Add something to what stands below a map."""
        reach = describe_reach(attribution, self._look)
        self._places[attribution.method][1].caption(
            f"{describe(attribution, self._look)} {words}", help=reach or None
        )


def _fill(
    place: tuple[DeltaGenerator, DeltaGenerator],
    picture: Image.Image,
    words: str,
    alt: str,
    more: str = "",
) -> None:
    # Not as a file on the server: one that is replaced soon would be gone before a browser asks for
    # it.
    place[0].image(to_uri(picture), width="stretch", alt=alt)
    place[1].caption(words, help=more or None)


def reach_of(maps: Sequence[Attribution], look: Look) -> float | None:
    """Return how far one scale for all maps reaches that show anything.

    None where each has its own.
    """
    drawable = [
        attribution for attribution in maps if attribution.signed or look.sign != "against"
    ] or maps
    return fit_reach(map(_map, drawable)) if look.one_scale and drawable else None


def paint(
    photo: Image.Image, attribution: Attribution, look: Look, reach: float | None
) -> Image.Image:
    """Return one map over the photo, on its own scale or on one that reaches as far as said."""
    whole = _map(attribution)
    reach = fit_reach([whole]) if reach is None else reach
    return paint_map(
        photo, take_sign(whole, look.sign), look.palette, reach=reach, opacity=look.opacity
    )


def describe(attribution: Attribution, look: Look) -> str:
    """Say in one sentence how long a method took, its completeness error, and what its map
    lacks.
    """
    words = [f"{attribution.seconds:.1f} s" if attribution.seconds >= _LEAST else "Under 0.1 s"]
    if attribution.completeness_error is not None and attribution.explained is not None:
        words.append(_describe_error(attribution.completeness_error, attribution.explained))
    if _is_zero(attribution):
        words.append("the map is 0 everywhere")
    if look.sign == "against" and not attribution.signed:
        words.append("this method does not separate positive from negative evidence")
    return f"{'; '.join(words)}."


def describe_reach(attribution: Attribution, look: Look) -> str:
    """Say how far the colours of a map reach that has a scale of its own and is not 0."""
    return (
        ""
        if look.one_scale or _is_zero(attribution)
        else f"Colours reach to {fit_reach([_map(attribution)]):.2g}."
    )


def describe_repeat(correlation: float | None) -> str:
    """Say how far a map agrees with the map of another seed.

    The correlation is the share that is not chance.
    """
    if correlation is None:
        return "With another seed it has one value everywhere."
    chance = ": most of what it shows is chance" if correlation < _CHANCE else ""
    return f"With another seed: correlation {correlation:.2f}{chance}."


def _describe_error(error: float, explained: float) -> str:
    if abs(explained) < _NOTHING:
        return (
            f"completeness error {error:.2g} logits, where the logit barely changes from the "
            "baseline"
        )
    wrong = ", too large to read values as shares" if error > abs(explained) / 2 else ""
    return f"completeness error {error / abs(explained):.1%} of {explained:+.2g} logits{wrong}"


def show_legend(maps: Sequence[Attribution], look: Look) -> None:
    """Show the colours of the maps from end to end, with the values where they share one scale."""
    reach = reach_of(maps, look)
    if reach is None or all(map(_is_zero, maps)):
        low = ""
        high = ""
    else:
        low = f", -{reach:.2g}"
        high = f", {reach:.2g}"
    with st.container(horizontal=True, gap="medium"):
        for signed in sorted(
            {attribution.signed and look.sign != "size" for attribution in maps}, reverse=True
        ):
            ends = (f"against{low}", f"for{high}") if signed else ("nothing", f"strongest{high}")
            _show_scale(ends, paint_scale(look.palette, signed=signed, opacity=look.opacity))


def _show_scale(ends: tuple[str, str], scale: Image.Image) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.caption(ends[0], width="content")
        st.image(to_uri(scale), width=scale.width, alt="The colours of the maps")
        st.caption(ends[1], width="content")


def _is_zero(attribution: Attribution) -> bool:
    return not attribution.map.any()


def _map(attribution: Attribution) -> Map:
    return Map(attribution.map.numpy(), attribution.signed)
