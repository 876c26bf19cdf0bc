"""Names that hold Markdown, on the pages that show them."""

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from torch import nn

from se_viz.experiments.analysis import analyse
from se_viz.networks import NetworkCard
from se_viz.networks.weights import save_checkpoint
from se_viz.ui.words import plain
from tests.conftest import serve
from tests.support.pages import PAGES as FOLDER
from tests.support.pages import chosen, clean, figure, get_network, noise, session

pytestmark = pytest.mark.slow

NAMES = (
    "__background__",
    "C++ *juvenile*",
    ":smile: face",
    "<unk> ~~x~~ $x$ <b>x</b>",
    "![a](http://b.c/d.png)",
)
PHOTO_NAMES = ("![x](http://e.f/g.png) *1* :cat:.png",)


@pytest.fixture(scope="module")
def renamed(
    saved: Path, components: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let the app find the small network, whose classes and title hold Markdown and HTML."""
    folder = shutil.copytree(saved, tmp_path_factory.mktemp("renamed") / "checkpoints")
    card = folder / "tiny.json"
    card.write_text(
        json.dumps(json.loads(card.read_text()) | {"classes": NAMES, "title": NAMES[1]})
    )
    # A second network, for the page that compares two.
    shutil.copy(folder / "tiny.safetensors", folder / "twin.safetensors")
    twin = json.loads(card.read_text()) | {"name": "twin", "title": NAMES[4]}
    (folder / "twin.json").write_text(json.dumps(twin))
    with serve(folder):
        yield


def drawn(page: AppTest) -> str:
    """Return all that Streamlit draws as Markdown, in the main part of a page."""
    boxes = [*page.info, *page.warning, *page.error, *page.success]
    texts = [
        *page.markdown,
        *page.caption,
        *page.title,
        *page.header,
        *page.subheader,
        *boxes,
        *page.metric,
    ]
    held = [*page.get("progress"), *page.get("expander"), *page.get("popover")]
    labels = [
        *page.button,
        *page.checkbox,
        *page.toggle,
        *page.slider,
        *page.selectbox,
        *page.text_area,
        *held,
    ]
    written = [str(getattr(one, "value", "")) for one in texts]
    written += [
        str(getattr(one, key, "")) for one in (*labels, *page.metric) for key in ("label", "help")
    ]
    return "\n".join([*written, *(str(getattr(one.proto, "text", "")) for one in held)])


def raw_names(written: str) -> list[str]:
    """Return the names that are drawn as Markdown, and not as they are."""
    for one in (*NAMES, *PHOTO_NAMES):
        written = written.replace(plain(one), "")
    return [one for one in (*NAMES, *PHOTO_NAMES, "![x](") if one in written]


PAGES = [
    ("explore.py", {}),
    ("microscope.py", {}),
    ("surgery.py", {}),
    ("bench.py", {"bench-squeeze": "none", "bench-scope": "block"}),
    ("counterfactuals.py", {}),
    ("counterfactuals.py", {"counterfactual": "ones", "scope": "stage"}),
    ("attribution.py", {"attribution-view": "Side by side"}),
    ("attribution.py", {"attribution-view": "Stage by stage"}),
    ("attribution.py", {"attribution-view": "Through the gates"}),
    ("compare.py", {}),
    ("benefit.py", {}),
    ("networks.py", {}),
    ("guide.py", {}),
]
"""Every page with each of its views."""


@pytest.mark.parametrize(("name", "state"), PAGES)
def test_names_reach_pages_escaped(renamed: None, name: str, state: dict[str, str]):
    """A class may be called anything; its name stands in bars, headings, captions, buttons and
    verdicts.
    """
    page = clean(session(name, image=chosen(noise(), PHOTO_NAMES[0]), **state).run())
    written = drawn(page)
    assert raw_names(written) == []
    if name not in ("benefit.py", "guide.py", "microscope.py"):
        assert any(plain(one) in written for one in NAMES)


def test_every_page_is_walked():
    """A page that is added is walked too."""
    assert {name for name, _ in PAGES} == {path.name for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("classes", [NAMES[1:2], NAMES], ids=["one logit", "multi-label"])
def test_independent_answers_are_said_and_escaped(
    bundled: Path, session_model: nn.Module, card: NetworkCard, classes: tuple[str, ...]
):
    """One logit is a yes or no, several independent ones any number of labels, whatever these are
    called.
    """
    model = copy.deepcopy(session_model)
    classifier = model.get_submodule("fc")
    assert isinstance(classifier, nn.Linear)
    model.fc = nn.Linear(classifier.in_features, len(classes))
    save_checkpoint(model, replace(card, classes=classes, multi_label=len(classes) > 1), bundled)
    network = get_network("tiny", "cpu")
    answer = network.name_answer(analyse(network, noise()).logits)
    pages = {
        name: drawn(clean(session(name, image=chosen(noise())).run())) for name, _ in PAGES[:5]
    }
    assert [(name, raw) for name, written in pages.items() if (raw := raw_names(written))] == []
    assert f"Answer: **{plain(answer)}**" in pages["explore.py"]
    assert f"**{plain(answer)}**" in pages["surgery.py"]
    assert "softmax" not in pages["explore.py"]
    assert "sum to 1" not in pages["surgery.py"]


def test_figures_show_tags_as_they_are(renamed: None):
    """Plotly draws <b> as bold, and links too."""
    page = clean(session("surgery.py", image=chosen(noise())).run())
    texts = [note["text"] for note in figure(page, "answers")["layout"]["annotations"]]
    assert "&lt;unk&gt; ~~x~~ $x$ &lt;b&gt;x&lt;/b&gt;" in texts
    assert not [text for text in texts if "<b>x" in text]
