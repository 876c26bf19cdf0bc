"""Everything that a browser session remembers: its keys, and the only reads and writes of it.

A `Key` is read or written by code. A plain name belongs to one widget, whose value its call
returns; where several widgets are of a kind, a number or a name follows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

    from se_viz.networks.onnx.guesses import Guess
    from se_viz.replay import Replayed
    from se_viz.ui.session.state import ChosenImage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """One thing that a session remembers."""

    name: str
    """Its name in Streamlit's state, and so the ``key`` of a widget that shows it."""
    default: T
    """What it is before anybody has set it; never changed in place."""

    def get(self) -> T:
        """Return what is remembered."""
        return st.session_state.get(self.name, self.default)

    def set(self, value: T) -> None:
        """Remember a value; before its widget runs, that shows it."""
        st.session_state[self.name] = value

    def pop(self) -> T:
        """Return what is remembered, and forget it."""
        return st.session_state.pop(self.name, self.default)


def value_of(widget: str) -> Any:
    """Return the value, or the event, of a widget or figure that has run; None where none has."""
    return st.session_state.get(widget)


def set_value(widget: str, value: Any) -> None:
    """Set a widget before it runs; while it has not changed, the browser keeps what it shows."""
    st.session_state[widget] = value


# The photo and the network, on all pages.
IMAGE: "Key[ChosenImage | None]" = Key("image", None)
IMAGE_PROBLEM: Key[str | None] = Key("image_problem", None)
"""Why the last file could not be used."""
PHOTO = "photo"
"""Name of a sample in an address."""
OWN_PHOTOS: "Key[tuple[ChosenImage, ...]]" = Key("own_photos", ())
UNREAD_FILE: Key[tuple[str, bytes] | None] = Key("unread_file", None)
"""Name and content of a file that was chosen and is not decoded yet."""
UPLOADS: Key[int] = Key("uploads", 0)
"""How many photos were read: each has an uploader of its own."""
WAY: Key[str] = Key("way", "")
"""What makes inputs of the chosen network of a file, as its card says; empty for photos."""
NETWORK: Key[str | None] = Key("network", None)
NEXT_NETWORK: Key[str | None] = Key("next_network", None)
"""What the picker of networks, which may stand already, is set to in the next run."""
DEVICE: Key[str | None] = Key("device", None)
SOURCE = "source"
CAMERA = "camera"
CARD = "card"

# Where an answer is read that is no list of classes.
PLACE: Key[str] = Key("place", "")
"""The region that is chosen, as its address has it; empty for the whole photo."""
REGION = "region"
"""Name of a region in an address."""
REGION_ACROSS: Key[tuple[int, int]] = Key("region-across", (25, 75))
REGION_DOWN: Key[tuple[int, int]] = Key("region-down", (25, 75))
"""Sides of a rectangle that is drawn by hand, in percent of the square."""
BESIDE: Key[str] = Key("beside", "")
"""Digest of the second image."""

# The address of a page.
LINK: Key[Mapping[str, str]] = Key("link", {})
"""What the address that opened the session holds, and nothing has used yet."""
LINK_TAKEN: Key[bool] = Key("link-taken", False)
LINK_PROBLEMS: Key[tuple[str, ...]] = Key("link-problems", ())
"""Sentences about that address, to be said once."""
ADDRESS: Key[Mapping[str, tuple[Callable[[], object], object]]] = Key("address", {})
"""What this page keeps in its address: how each value is read, and its default."""
PAGE: Key[str] = Key("page", "")
"""Name of the page that is shown, as in the table of pages."""
ADDRESS_NUMBER: Key[int] = Key("address-number", 0)
"""How often the browser was told an address: an older one never replaces a newer one."""
TOOLS = "tools"
PRESENTING: Key[bool] = Key("presenting", False)
"""Whether the page is shown to a class: larger type, no sidebar."""

PAGES: "Key[Mapping[str, StreamlitPage]]" = Key("pages", {})
"""The app's pages by name; empty where a page runs by itself."""

# What is open, on all pages.
BLOCK: Key[str | None] = Key("block", None)
OPEN_ROW = "open-row"
FIRST_BLOCK: Key[str | None] = Key("first-block", None)
"""The block that the app opened by itself."""
CHANNEL: Key[int | None] = Key("channel", None)
FIRST_CHANNEL: Key[int | None] = Key("first-channel", None)
"""The channel that the app opened by itself."""
TARGET: Key[int | None] = Key("target", None)
TARGET_OF: Key[tuple[str, str] | None] = Key("target_of", None)
"""The photo and network that the picker of classes is set for."""
TARGETS: Key[Mapping[tuple[str, str], int]] = Key("targets", {})
"""The class of each photo and network."""
AGAINST: Key[int | None] = Key("against", None)
AGAINST_OF: Key[tuple[str, str] | None] = Key("others_of", None)
AGAINSTS: Key[Mapping[tuple[str, str], int | None]] = Key("others", {})
"""The class that each is held against."""
BASELINE = "baseline"

# Long work: a bar, *Stop*, *Go on*.
STOPPED: Key[Mapping[str, object]] = Key("stopped", {})
"""The work that was stopped last in each part of a page."""
STOP = "stop"
GO_ON = "go-on"

# Explore.
FIRST_LOOK = "first-look"
VALUE = "value"
ORDER = "order"
OPACITY = "opacity"
METHOD = "method"
STAGE = "stage"
LIMIT = "limit"
GATES = "gates"
GATES_SHOWN: Key[tuple[str, str] | None] = Key("gates_shown", None)
"""The network and the photo whose gates were shown last."""
STEPS = "steps"
COMPARED = "compared"
COMPARED_ORDER = "compared-order"
THIS_PHOTO = "this-photo"
OTHER_PHOTO = "other-photo"
DIFFERENCE = "difference"
MOST_OPEN = "most-open"
MOST_CLOSED = "most-closed"
NUMBERS = "numbers"
HEALTH = "health"
BUNDLE = "bundle"
BUNDLE_PHOTO = "bundle-photo"
BUNDLE_FILE = "bundle-file"
BUNDLE_RUN = "bundle-run"
BUNDLE_SAVE = "bundle-save"
BUNDLE_MADE: Key[tuple[object, bytes] | None] = Key("bundle-made", None)
"""The last bundle that was made, and of what."""
BUNDLE_RESULT: "Key[tuple[str, Replayed] | None]" = Key("bundle-result", None)
"""What came of the last bundle that was run again, and its file."""
ATTRIBUTION = "attribution"
DOWNLOAD = "download"
HTML = "html"

# Open a gate.
MICROSCOPE = "microscope"
JACOBIAN_VIEW = "jacobian-view"
INFLUENCE = "influence"
JACOBIAN = "jacobian"
STRONGEST = "strongest"
GATE_METHOD = "gate-method"
GATE_LEVEL = "gate-level"
GATE_MAP = "gate-map"
ERASE_SHARE = "erase-share"
ERASE_FILL = "erase-fill"
PLACES = "places"
GALLERY_GATES = "gallery-gates"

# Change the gates.
EDITS: Key[Mapping[str, Any]] = Key("edits", {})
"""The history of edits of each network."""
PICKED: Key[tuple[str, tuple[int, ...]]] = Key("picked", ("", ()))
"""The channels that were picked last, and the figure they were picked in."""
SURGERY = "surgery"
SURGERY_AMOUNT = "surgery-amount"
SURGERY_GATE = "surgery-gate"
SURGERY_LIVE: Key[float] = Key("surgery-live", 1.0)
"""By what all gates of the open block are multiplied."""
SURGERY_METHOD = "surgery-method"
SURGERY_ORDER = "surgery-order"
SURGERY_RANGE = "surgery-range"
SURGERY_REMOVE = "surgery-remove"
SURGERY_SCOPE = "surgery-scope"
SURGERY_WAY = "surgery-way"
PICK = "pick"
ANSWER = "answer"
ANSWERS = "answers"
MAP_BEFORE = "map-before"
MAP_AFTER = "map-after"
REACTION = "reaction"

# Design a block.
BENCH_SCOPE = "bench-scope"
BENCH_SQUEEZE = "bench-squeeze"
BENCH_EXCITATION = "bench-excitation"
BENCH_RATIO = "bench-ratio"
BENCH_STAGE = "bench-stage"
BENCH_TABLE = "bench-table"
BENCH_MAP = "bench-map"
BENCH_ANSWERS = "bench-answers"
BENCH_GATES = "bench-gates"
BENCH_ORDER = "bench-order"
BENCH_REACTION = "bench-reaction"
DESIGN: Key[tuple[object, ...]] = Key("design", ())
"""The choices of the last design, to tell which of them was changed."""

# Does it matter?
COUNTERFACTUAL = "counterfactual"
SCOPE = "scope"
LENDER = "other"
COUNTERFACTUALS = "counterfactuals"
DEPTH = "depth"
REPLACED_PLACES = "replaced-places"
MEASURE = "measure"
ABLATION = "ablation"
ABLATED: Key[tuple[Any, int] | None] = Key("ablated", None)
"""The ablation that ran last, and how many of its channels are done."""
STOPPED_ABLATIONS: Key[Mapping[Any, int]] = Key("stopped_ablations", {})
"""How many channels of an ablation were done when it was stopped."""
EFFECTS = "effects"
SHUFFLES = "shuffles"
USELESS = "useless"
DECISIVE = "decisive"

# Where did it look?
ATTRIBUTION_VIEW = "attribution-view"
TICK = "tick"
REFUSED = "refused"
ATTRIBUTION_STEPS = "attribution-steps"
ATTRIBUTION_WINDOW = "attribution-window"
ATTRIBUTION_SAMPLES = "attribution-samples"
ATTRIBUTION_SUPERPIXELS = "attribution-superpixels"
MAP_OPACITY = "map-opacity"
MAP_SCALE = "map-scale"
MAP_SIGN = "map-sign"
ATTRIBUTIONS = "attributions"
REPEATS = "repeats"
ATTRIBUTED: Key[Mapping[Any, Any]] = Key("attributed", {})
"""Which maps this session has seen done, each with the error where there was none."""
UNTICKED: Key[tuple[str, ...]] = Key("unticked", ())
"""Titles of the methods that *Stop* has unticked, until they are named once."""
UNREPEATED: Key[frozenset[Any]] = Key("unrepeated", frozenset())
"""Maps that shall not be drawn with another seed."""
SCORES = "scores"
SCORED: Key[object] = Key("scored", None)
"""What people asked to be scored."""
SCORES_TABLE = "scores-table"
SCORE_CURVES = "score-curves"
SENSITIVITY: Key[bool] = Key("sensitivity", False)
CURVE_ROWS: Key[tuple[str, ...]] = Key("curve_rows", ())
"""Titles of the table's rows."""
CURVE_COLOURS: Key[Mapping[str, int]] = Key("curve_colours", {})
PICKED_CURVES: Key[tuple[str, ...]] = Key("picked_curves", ())
SANITY = "sanity"
SANITY_MAP: Key[str | None] = Key("sanity-map", None)
SANITY_STEPS = "sanity-steps"
RANDOMISED: Key[object] = Key("randomised", None)
"""What people asked to be randomised."""
STAGE_METHOD = "stage-method"
STAGE_PLACE = "stage-place"
SIDE = "side"
SIDE_METHOD = "side-method"
MAKERS = "makers"
VECTOR_BLOCK = "vector-block"
VECTOR_CLASS = "vector-class"
VECTOR_GATES = "vector-gates"
VECTOR_MAP = "vector-map"
VECTOR_Z = "vector-z"
PATHS = "paths"
HELD_GATES = "held-gates"
FLOWS = "flows"
FLOW_BLOCKS = "flow-blocks"
FLOW_PAST = "flow-past"
FLOW_SCALE = "flow-scale"
FLOW_THROUGH = "flow-through"
CARRIER = "carrier"
CARRIERS = "carriers"
GATE_ATTRIBUTION = "gate-attribution"

# Two networks.
SECOND: Key[str | None] = Key("second", None)
"""Name of the network that stands second."""
PAIR_ANSWERS = "pair-answers"
PAIR_GATES = "pair-gates"
PAIR_METHOD = "pair-method"
PAIR_EXPLAINED = "pair-explained"
PAIR_SCALE = "pair-scale"
PAIR_FIRST = "pair-first"
PAIR_SECOND = "pair-second"

# How to read it.
GUIDE_PICTURE = "guide-picture"
READ = "read"
"""The passage that a link leads to, as its address has it."""

# What SE buys.
BENEFIT_COST = "benefit-cost"
BENEFIT_COSTS = "benefit-costs"
BENEFIT_DIFFERENCES = "benefit-differences"
BENEFIT_GATES = "benefit-gates"
BENEFIT_FAMILY = "benefit-family"
BENEFIT_SEED = "benefit-seed"
BENEFIT_CURVE = "benefit-curve"

# Networks.
NETWORKS = "networks"
NETWORK_SEARCH = "network-search"
NETWORK_FILTER = "network-filter"
NETWORK_INSIDE = "network-inside"
EMPTY_CACHE = "empty-cache"
OWN_ARCHITECTURE = "own-architecture"
OWN_COUNT: Key[int] = Key("own-count", 0)
"""How many networks this session brought: each has an uploader of its own."""
OWN_ADDED: Key[str | None] = Key("own-added", None)
"""Name of the network that was brought last."""
OWN_FOR_ALL = "own-for-all"
OWN_LABELS = "own-labels"
OWN_MULTI_LABEL = "own-multi-label"
OWN_ONNX = "own-onnx"
OWN_WAY = "own-way"
OWN_ONNX_GUESS: "Key[tuple[str, Guess] | None]" = Key("own-onnx-guess", None)
"""A file that was dropped, by its number, and what it seems to take."""
OWN_LAYOUT = "own-layout"
OWN_SIZE = "own-size"
OWN_PIXELS = "own-pixels"
OWN_NOTE: Key[str] = Key("own-note", "")
"""What is to be said once of the network that was brought last."""
OWN_WEIGHTS = "own-weights"
FORGET = "forget"


def list_names() -> tuple[str, ...]:
    """Return every name of this module: that of each key, and each plain one."""
    return tuple(
        value.name if isinstance(value, Key) else value
        for name, value in globals().items()
        if name.isupper() and isinstance(value, Key | str)
    )
