import pytest

from se_viz.errors import EditError
from se_viz.gates.edit_text import read_edits, write_edits
from se_viz.gates.surgery import GateEdit, level_gates, scale_gates, set_gates


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ((), ""),
        ((set_gates("layer4.2.se", 0),), "set0@layer4.2.se"),
        ((set_gates("a", 0.25, channels=[7, 3, 8, 9]),), "set0.25@a:3,7-9"),
        ((scale_gates("a", 1.5, channels=[0, 1]),), "scale1.5@a:0-1"),
        ((level_gates({"a.0": [2], "b_1.se": None}),), "level@a.0:2!b_1.se"),
        ((set_gates("a", 1), scale_gates("b", 2)), "set1@a;scale2@b"),
        ((scale_gates("a", 1e-05),), "scale1e-05@a"),
        ((scale_gates("a", -1e20),), "scale-1e+20@a"),
    ],
)
def test_edits_are_one_line_of_text(edits: tuple[GateEdit, ...], text: str):
    """A link holds them: written by hand here, and the same edits come back."""
    assert write_edits(edits) == text
    assert read_edits(text) == edits


def test_no_number_is_rounded():
    """An edit that came back another one would change other gates than the sender saw."""
    edits = (scale_gates("a", 0.1 + 0.2), set_gates("a", 1 / 3))
    assert read_edits(write_edits(edits)) == edits


def test_half_of_a_wide_block_is_a_short_text():
    """An address has to stay short: neighbours are named as a run."""
    edit = set_gates("layer4.2.se", 0, channels=range(1024))
    assert len(write_edits([edit])) < 32


@pytest.mark.parametrize(
    "text",
    [
        "zero@a",
        "set@a",
        "level1@a",
        "set0@",
        "set0@a:",
        "set0@a:x",
        "set0@a:-1",
        "set0@a;;set0@b",
        "setnan@a",
        "setinf@a",
        "set1_0@a",
        "set\u0663@a",
        "set0@a:\u0663",
        "set0@<b>",
    ],
)
def test_what_is_no_edit_is_refused(text: str):
    """Anybody can write a link."""
    with pytest.raises(EditError, match=r"Write (it|the block's path)"):
        read_edits(text)


@pytest.mark.parametrize("run", ["0-99999999999", "65536", "9-3"])
def test_channels_that_no_block_has_are_refused_before_they_are_listed(run: str):
    """A short text must not fill the memory."""
    with pytest.raises(EditError, match="Name channels from the lowest to the highest"):
        read_edits(f"set0@a:{run}")


def test_an_amount_beyond_all_numbers_is_refused():
    """Python reads 1e999 as infinite, which no gate can become."""
    with pytest.raises(EditError, match="Give a finite number"):
        read_edits("set1e999@a")
