"""What one channel looks at: its strongest places in the photo, and the images of the gallery that
open its gate.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import ImageOps

from se_viz.charts import CLIPPED, draw_channels, draw_places, draw_strip, gate_span, to_uri
from se_viz.gates.peaks import find_peaks
from se_viz.gates.records import GateRecord
from se_viz.ui.asking import Choices, get_analysis
from se_viz.ui.session import keys
from se_viz.ui.widgets import current_palette, get_gallery, show_figure

_PLACES = 4
_SIDE = 80
_ENDS = 3


@dataclass(frozen=True, slots=True)
class _Sight:
    """One image of the gallery, seen by one channel."""

    subject: Choices
    gate: float
    squeeze: float


def show_sights(choices: Choices, block: str, channel: int) -> None:
    """Show where a channel is strongest in this photo, and on which images its gate and its mean
    are highest.
    """
    place, gallery = st.columns([2, 3], gap="medium")
    with place:
        _show_places(choices, get_analysis(choices, block).record(block), channel)
    with gallery:
        gallery = get_gallery(choices)
        if all(subject.image.digest != choices.image.digest for subject, _ in gallery):
            # Not among the last ones that are kept; this photo is compared all the same.
            gallery = [*gallery, (choices, get_analysis(choices))]
        sights = [_sight(subject, analysis.record(block), channel) for subject, analysis in gallery]
        _show_gallery(choices, sights)
        _show_strip(choices, sights)


def _sight(subject: Choices, record: GateRecord, channel: int) -> _Sight:
    return _Sight(subject, record.gate[0, channel].item(), record.squeeze[0, channel].item())


def _show_places(choices: Choices, record: GateRecord, channel: int) -> None:
    assert record.features is not None
    features = record.features[0, channel]
    if features.ndim != 2:
        _show_shape(record, channel)
        return
    peaks = find_peaks(features, _PLACES)
    title = f"U of channel {channel}, in its own units"
    figure = draw_places(choices.photo, features.numpy(), peaks, current_palette(), title=title)
    show_figure(figure, keys.PLACES, alt=f"Feature map of channel {channel} over the photo")
    height, width = features.shape
    values = (
        ", ".join(f"{number}: {peak.value:.2f}" for number, peak in enumerate(peaks, 1))
        or "none, all are equal"
    )
    st.caption(
        f"The channel before its gate, {height} x {width} cells. Strongest cells: {values}.",
        help=f"A cell's receptive field is larger than its square and grows with depth. {CLIPPED}",
    )


def _show_shape(record: GateRecord, channel: int) -> None:
    """Show a channel of a signal or a volume, before and after its gate."""
    assert record.features is not None
    features, gates = record.features[0].numpy(), record.gate[0].numpy()
    figure = draw_channels(features, gates, [channel], current_palette())
    show_figure(figure, keys.PLACES, alt=f"Channel {channel} before and after its gate")
    cells = " x ".join(map(str, features.shape[1:]))
    st.caption(f"The channel before its gate and after it, {cells} cells.")


def _show_gallery(choices: Choices, sights: list[_Sight]) -> None:
    gain = max(site.gain for site in choices.network.inspection.sites)
    st.markdown(f"**By gate s{'' if gain == 1 else f' x {gain:g}'}**, largest first")
    _show_thumbnails(choices, sorted(sights, key=lambda sight: -sight.gate), "gate")
    st.markdown("**By squeeze z**, the channel's summary before its gate, largest first")
    _show_thumbnails(choices, sorted(sights, key=lambda sight: -sight.squeeze), "squeeze")
    st.caption(
        "Look for images that change places between the rows: a gate depends on all channels of "
        "its block, so a strong channel can be turned down and a weak channel turned up."
    )


def _show_thumbnails(choices: Choices, ranked: list[_Sight], value: str) -> None:
    last = -1
    with st.container(horizontal=True, gap="small"):
        for place in choose_ends(len(ranked), _place_of(choices, ranked)):
            if place > last + 1:
                st.caption(f"… {place - last - 1} more …", width="content")
            last = place
            _show_thumbnail(choices, ranked[place], value)


def choose_ends(count: int, own: int) -> list[int]:
    """Return which places of a ranked list are shown: both of its ends, and always ``own``."""
    if count <= 2 * _ENDS:
        return [*range(count)]
    return sorted({*range(_ENDS), own, *range(count - _ENDS, count)})


def _place_of(choices: Choices, ranked: list[_Sight]) -> int:
    digests = [sight.subject.image.digest for sight in ranked]
    return digests.index(choices.image.digest)


def _show_thumbnail(choices: Choices, sight: _Sight, value: str) -> None:
    mark = "◆ " if sight.subject.image.digest == choices.image.digest else ""
    caption = f"{mark}{getattr(sight, value):.3f}"
    # Inside the page: a file on the server may be gone before the browser asks, when clicks come
    # quickly.
    picture = to_uri(ImageOps.contain(sight.subject.photo, (2 * _SIDE, 2 * _SIDE)))
    st.image(
        picture,
        caption=caption,
        alt=f"{sight.subject.image.name}, {value} {caption}",
        width=_SIDE,
    )


def _show_strip(choices: Choices, sights: list[_Sight]) -> None:
    marked = _place_of(choices, sights)
    sites = choices.network.inspection.sites
    values = [sight.gate for sight in sights]
    span = gate_span(sites, np.array(values))
    names = [sight.subject.image.name for sight in sights]
    figure = draw_strip(values, names, current_palette(), marked=marked, span=span)
    show_figure(figure, keys.GALLERY_GATES, alt="This gate for every image of the gallery")
    own = len(keys.OWN_PHOTOS.get())
    st.caption(
        f"This gate on all {len(sights)} images of the gallery, {own} of them your own; ◆ is this "
        f"{choices.noun}. Upload more in the sidebar: the last six are kept for this session."
    )
