"""Captions say what to look for, in two sentences at most; how a number was made is behind a help
mark.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from se_viz.experiments.counterfactuals import KINDS
from se_viz.networks.config import CONFIG
from tests.support.pages import chosen, clean, noise, session
from tests.support.plain import write_plain
from tests.support.sentences import count_sentences

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.slow]

MOST = 2
TICKS = {
    f"tick-{method}": True for method in ("saliency", "smoothgrad", "deep_lift", "guided_backprop")
}
"""Methods drawn at random, methods with remarks, and methods without signs."""
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "Explore": ("explore.py", {}),
    "Explore, squeezes": ("explore.py", {"value": "squeeze"}),
    "Open a gate": ("microscope.py", {}),
    "Open a gate, strongest": ("microscope.py", {"jacobian-view": "strongest"}),
    "Change the gates": ("surgery.py", {}),
    "Design a block": ("bench.py", {}),
    "Design a block, switched": ("bench.py", {"bench-squeeze": "max", "bench-ratio": 32}),
    "Does it matter?": ("counterfactuals.py", {}),
    **{
        f"Does it matter?, {kind}": ("counterfactuals.py", {"counterfactual": kind})
        for kind in KINDS
    },
    "Where did it look?": ("attribution.py", {}),
    "Stage by stage": ("attribution.py", {"attribution-view": "Stage by stage"}),
    "Stage by stage, long methods": (
        "attribution.py",
        {
            "attribution-view": "Stage by stage",
            "stage-method": "conductance",
            "side-method": "feature_ablation",
        },
    ),
    "Through the gates": ("attribution.py", {"attribution-view": "Through the gates"}),
    "Through the gates, conductance": (
        "attribution.py",
        {"attribution-view": "Through the gates", "gate-attribution": "conductance"},
    ),
    "Where did it look?, against": ("attribution.py", {"map-sign": "against", **TICKS}),
    "Does it matter?, exact": ("counterfactuals.py", {"measure": "exact"}),
    "What SE buys": ("benefit.py", {}),
    "Two networks": ("compare.py", {"second": "se_toy", "pair-scale": "own"}),
    "Two networks, of which one is plain": ("compare.py", {"second": "toy"}),
    "Two networks of other classes": ("compare.py", {"second": "resnet"}),
}
"""A page, and what its session has chosen."""


@pytest.fixture(autouse=True, scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """List networks that may stand second."""
    folder = tmp_path_factory.mktemp("listed")
    write_plain(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG, str(folder / "se_viz.toml"))
        yield


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("No full stop", 1),
        ("A gate above 0.5 is open. Look for one.", 2),
        ("Pixels, e.g. of the ear, count. See Hu et al. for more.", 2),
        ("**Bold.** Another one (in brackets). Stop!", 3),
        ("The file layer3.2.bn3 is [there](https://a.example/b.html).", 1),
        ("Computing… Wait.", 2),
    ],
)
def test_sentences_are_counted_as_a_reader_counts_them(text: str, count: int):
    """A counter that took 0.5 for two sentences would forbid numbers; one that saw none would
    allow everything.
    """
    assert count_sentences(text) == count


def long_captions(page: AppTest) -> Iterator[str]:
    """Yield every caption of a page that is longer than it may be."""
    assert page.caption
    return (caption.value for caption in page.caption if count_sentences(caption.value) > MOST)


@pytest.mark.parametrize("name", PAGES)
def test_a_caption_has_two_sentences_at_most(name: str):
    """A reader looks at the picture: what takes longer to read than that is read by nobody."""
    script, state = PAGES[name]
    page = clean(session(script, image=chosen(noise()), **state).run())
    assert list(long_captions(page)) == []


def test_captions_of_scores_and_of_the_sanity_check_have_two_sentences_at_most():
    """Both begin at a click."""
    page = clean(session("attribution.py", image=chosen(noise())).run())
    for label in ("Score these maps", "Randomise a copy"):
        next(button for button in page.button if button.label == label).click()
        page = clean(page.run())
    assert {"score-curves", "sanity-steps"} <= {chart.key for chart in page.get("plotly_chart")}
    assert list(long_captions(page)) == []


def test_captions_of_edited_gates_have_two_sentences_at_most():
    """An edit brings three more pictures, and gates beyond their range one more remark."""
    page = session(
        "surgery.py", image=chosen(noise()), block="layer3.2.bn3.1", **{"surgery-amount": 3.0}
    ).run()
    page.segmented_control(key="surgery-way").set_value("all").run()
    page = clean(page.button(key="surgery-scale").click().run())
    assert any("where no image would put them" in caption.value for caption in page.caption)
    assert list(long_captions(page)) == []
