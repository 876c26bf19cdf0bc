from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from threading import Barrier

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.errors import EditError
from se_viz.gates import GateSite, capture_gates, edit_gates, find_gates
from se_viz.gates.surgery import (
    GateEdit,
    add_edit,
    compare_gates,
    compile_edits,
    describe_edit,
    level_gates,
    scale_gates,
    set_gates,
)

pytestmark = pytest.mark.slow

FIRST = "layer1.0.bn3.1"
MIDDLE = "layer3.2.bn3.1"
LAST = "layer4.2.bn3.1"


class Twice(nn.Module):
    """One SE block that a pass goes through twice, at one resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.se = SqueezeExcitation(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(self.se(self.stem(images)).relu()).mean((2, 3))


@pytest.fixture
def sites(se_net: nn.Module) -> tuple[GateSite, ...]:
    return find_gates(se_net, size=64)


def answer(model: nn.Module, images: Tensor, *edits: GateEdit) -> Tensor:
    with torch.no_grad(), edit_gates(model, compile_edits(edits, find_gates(model, size=64))):
        return model(images)


def gates(model: nn.Module, images: Tensor, *edits: GateEdit) -> dict[str, Tensor]:
    with capture_gates(model) as records:
        answer(model, images, *edits)
    # The sites are looked for in a pass of noise, which the capture sees too.
    return {record.block: record.gate for record in records if len(record.gate) == len(images)}


def test_a_block_set_to_one_is_the_network_without_it(se_net: nn.Module, images: Tensor):
    """U times 1 is U: bit for bit what an identity in the block's place gives, for one block and
    for all.
    """
    paths = [site.block for site in find_gates(se_net, size=64)]
    for blocks in ([MIDDLE], paths):
        without = deepcopy(se_net)
        for path in blocks:
            without.set_submodule(path, nn.Identity())
        with torch.no_grad():
            assert torch.equal(answer(se_net, images, set_gates(blocks, 1.0)), without(images))


@pytest.mark.parametrize("path", [FIRST, LAST])
def test_a_gate_set_to_zero_is_what_captum_ablates(se_net: nn.Module, images: Tensor, path: str):
    """LayerFeatureAblation puts 0 in a gate's place and reports how far the logit falls: the same
    two passes.
    """
    gate = se_net.get_submodule(f"{path}.scale_activation")
    count = gates(se_net, images)[path].shape[1]
    # One feature for each channel that is compared, and one for all others, each of which would
    # cost a pass.
    channels = (0, 7, count - 1)
    mask = torch.full((1, count, 1, 1), len(channels))
    mask[0, channels, 0, 0] = torch.arange(len(channels))
    image = images[:1]
    with torch.no_grad():
        fallen = captum.attr.LayerFeatureAblation(se_net, gate).attribute(
            image, target=2, layer_baselines=0.0, layer_mask=mask
        )
    assert isinstance(fallen, Tensor)
    plain = answer(se_net, image)[0, 2]
    for channel in channels:
        edited = answer(se_net, image, set_gates(path, 0.0, channels=[channel]))[0, 2]
        assert torch.equal(fallen[0, channel, 0, 0], plain - edited)
    assert fallen.any()


def test_only_the_named_channels_change(se_net: nn.Module, images: Tensor):
    """NumPy's own assignment into a copy of the captured gates is what an edit has to be."""
    before = gates(se_net, images)[FIRST].numpy()
    edits = {
        "set": (set_gates(FIRST, 0.25, channels=[3, 9]), lambda part: 0.25),
        "scale": (scale_gates(FIRST, 1.5, channels=[3, 9]), lambda part: part * np.float32(1.5)),
        "level": (level_gates(FIRST, channels=[3, 9]), lambda part: part.mean(1, keepdims=True)),
    }
    for edit, change in edits.values():
        expected = before.copy()
        expected[:, [3, 9]] = change(before[:, [3, 9]])
        np.testing.assert_array_equal(gates(se_net, images, edit)[FIRST].numpy(), expected)


def test_a_block_is_levelled_over_its_own_channels_of_one_image(se_net: nn.Module, images: Tensor):
    """Each image keeps its own mean, or one photo would change another's answer."""
    plain = gates(se_net, images)
    level = gates(se_net, images, level_gates(FIRST))
    assert plain[FIRST].mean(1)[0] != plain[FIRST].mean(1)[1]
    for row in range(2):
        # Two orders of adding 64 numbers.
        torch.testing.assert_close(level[FIRST][row], plain[FIRST][row].mean().expand(64))
        assert level[FIRST][row].unique().numel() == 1


def test_later_edits_act_on_what_earlier_ones_left(se_net: nn.Module, images: Tensor):
    """Set to a half, then doubled, is one; doubled, then set to a half, is a half."""
    half = set_gates(MIDDLE, 0.5)
    double = scale_gates(MIDDLE, 2.0)
    assert (gates(se_net, images, half, double)[MIDDLE] == 1.0).all()
    assert (gates(se_net, images, double, half)[MIDDLE] == 0.5).all()


def test_a_list_is_the_same_as_one_inside_the_other(
    se_net: nn.Module, images: Tensor, sites: tuple[GateSite, ...]
):
    """`edit_gates` nests, and a list in force is only a shorter way to say so."""
    edits = [
        scale_gates([FIRST, MIDDLE], 0.5),
        level_gates(MIDDLE, channels=range(20)),
        set_gates(LAST, 0.0),
    ]
    together = answer(se_net, images, *edits)
    first, second, third = (compile_edits([edit], sites) for edit in edits)
    with (
        torch.no_grad(),
        edit_gates(se_net, first),
        edit_gates(se_net, second),
        edit_gates(se_net, third),
    ):
        assert torch.equal(se_net(images), together)


def test_a_mapping_gives_each_block_channels_of_its_own(se_net: nn.Module, images: Tensor):
    """A threshold over a stage picks other channels in every block; None means all, and no channel
    means no change.
    """
    edited = gates(se_net, images, set_gates({FIRST: [1], MIDDLE: None, LAST: []}, 0.0))
    plain = gates(se_net, images)
    assert (edited[FIRST] == 0).nonzero()[:, 1].unique().tolist() == [1]
    assert not edited[MIDDLE].any()
    assert (edited[LAST] != 0).equal(plain[LAST] != 0)


def test_a_gate_may_leave_its_range_by_a_factor(
    se_net: nn.Module, images: Tensor, sites: tuple[GateSite, ...]
):
    """What no sigmoid can do is worth a look, as long as it is said."""
    edit = scale_gates(FIRST, 3.0)
    assert gates(se_net, images, edit)[FIRST].max() > 1
    assert (
        describe_edit(edit, sites) == "SE_2_1: all channels multiplied by 3, which may leave 0 to 1"
    )
    assert describe_edit(scale_gates(FIRST, 0.5), sites) == "SE_2_1: all channels multiplied by 0.5"


def test_edits_are_values(se_net: nn.Module):
    """Equal edits share a cached answer, however their channels were given, and one can be looked
    up in a dict.
    """
    assert set_gates(FIRST, 0, channels=[2, 1, 1]) == set_gates({FIRST: (1, 2)}, 0.0)
    assert len({level_gates(FIRST), level_gates([FIRST]), level_gates(FIRST, channels=[0])}) == 2


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (set_gates("layer3.2.bn3.1", 0, channels=range(12)), "SE_4_3: 12 channels set to 0"),
        (set_gates("layer3.2.bn3.1", 0.35, channels=[7]), "SE_4_3: channel 7 set to 0.35"),
        (
            level_gates([f"layer3.{unit}.bn3.1" for unit in range(6)]),
            "Stage 4 (6 blocks): all channels set to their ",
        ),
        (
            set_gates(["layer1.0.bn3.1", "layer2.0.bn3.1"], 1),
            "SE_2_1, SE_3_1: all channels set to 1",
        ),
        (
            set_gates({"layer1.0.bn3.1": [3], "layer4.0.bn3.1": None}, 1),
            "SE_2_1, SE_5_1: 513 channels set to 1",
        ),
        (
            scale_gates([f"layer{n}.0.bn3.1" for n in (1, 2, 3, 4)], 0.5),
            "4 blocks: all channels multiplied by 0.5",
        ),
    ],
    ids=["many", "one", "stage", "blocks", "mixed", "more"],
)
def test_an_edit_reads_as_one_line(sites: tuple[GateSite, ...], edit: GateEdit, sentence: str):
    """Blocks as the paper names them, how many channels, and what happens: 1 + 512 channels are
    513.
    """
    assert describe_edit(edit, sites).startswith(sentence)


def test_a_block_that_is_used_twice_is_edited_twice_and_says_so():
    """Its weights are shared, and so is its path: an edit cannot mean one use alone."""
    twice = Twice().eval()
    sites = find_gates(twice, size=32)
    edit = set_gates("se", 0.0, channels=[1, 2])
    assert describe_edit(edit, sites) == "SE_0_1 (used 2 times): 2 channels set to 0"
    with (
        torch.no_grad(),
        capture_gates(twice) as records,
        edit_gates(twice, compile_edits([edit], sites)),
    ):
        twice(torch.ones(1, 3, 32, 32))
    assert [(record.name, (record.gate == 0).nonzero()[:, 1].tolist()) for record in records] == [
        ("se", [1, 2]),
        ("se#2", [1, 2]),
    ]


def test_the_whole_network_is_called_so(sites: tuple[GateSite, ...]):
    """16 names would be no line."""
    edit = level_gates([site.block for site in sites])
    assert (
        describe_edit(edit, sites)
        == "Whole network (16 blocks): all channels set to their mean, block by block"
    )


def test_what_is_overwritten_leaves_the_list():
    """A slider that is moved sets the same gate again and again: only where it stands now is
    left.
    """
    moved = add_edit([set_gates(FIRST, 0.2, channels=[4])], set_gates(FIRST, 0.3, channels=[4]))
    assert moved == (set_gates(FIRST, 0.3, channels=[4]),)
    assert add_edit(moved, set_gates(FIRST, 1.0)) == (set_gates(FIRST, 1.0),)


@pytest.mark.parametrize(
    "new",
    [
        set_gates(FIRST, 0.3, channels=[5]),
        set_gates(MIDDLE, 0.3),
        scale_gates(FIRST, 2.0),
        level_gates(FIRST),
    ],
    ids=["other channel", "other block", "factor", "mean"],
)
def test_what_still_matters_stays_in_the_list(new: GateEdit):
    """A factor or a mean needs what was there, and another channel says nothing of this one."""
    old = set_gates(FIRST, 0.2, channels=[4])
    assert add_edit([old], new) == (old, new)


def test_an_edit_that_a_later_one_needs_stays():
    """Only the end of the list may go: the mean in between was taken of the gate that was set
    first.
    """
    edits = [set_gates(FIRST, 0.2, channels=[4]), level_gates(FIRST, channels=[4, 5])]
    new = set_gates(FIRST, 0.3, channels=[4])
    assert add_edit(edits, new) == (*edits, new)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            set_gates("layer9", 0.0),
            r"no SE block 'layer9', which an edit changes\. Remove the edit, or choose the",
        ),
        (set_gates(FIRST, 0.0, channels=[64]), r"has no channel 64\. Choose from 0 to 63\."),
        (set_gates(FIRST, 0.0, channels=[-1, 3]), r"has no channel -1\. Choose from 0 to 63\."),
        (
            set_gates(FIRST, 1.5),
            r"come from Sigmoid and lie in 0 to 1, so none can be set to 1\.5\. Choose a value",
        ),
        (set_gates(FIRST, -0.1), r"so none can be set to -0\.1"),
    ],
    ids=["block", "channel", "negative", "high", "low"],
)
def test_what_does_not_fit_the_network_is_refused(
    sites: tuple[GateSite, ...], edit: GateEdit, message: str
):
    """Before any pass, in a sentence that a page can show."""
    with pytest.raises(EditError, match=message):
        compile_edits([edit], sites)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_only_finite_numbers_can_be_asked_for(value: float):
    """One NaN gate makes every later number NaN, and the page would show nothing."""
    with pytest.raises(EditError, match=r"Give a finite number\."):
        set_gates(FIRST, value)
    with pytest.raises(EditError, match=r"Give a finite number\."):
        scale_gates(FIRST, value)


def test_an_edit_without_channels_is_refused():
    """A selection that missed every point must not stand in the list as if it did something."""
    for empty in ({FIRST: []}, {}, []):
        with pytest.raises(EditError, match=r"changes nothing\. Name at least one block"):
            set_gates(empty, 0.0)


def test_nothing_stays_after_an_error(
    se_net: nn.Module, images: Tensor, sites: tuple[GateSite, ...]
):
    """Edits are borrowed: after a pass that failed the network answers as before, and no hook is
    left.
    """
    before = answer(se_net, images)
    with (
        pytest.raises(RuntimeError),
        edit_gates(se_net, compile_edits([set_gates(FIRST, 0.0)], sites)),
    ):
        se_net(images[:, :1])
    assert torch.equal(answer(se_net, images), before)
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in se_net.modules()
    )


def test_two_sessions_with_different_edits_never_mix(
    se_net: nn.Module, images: Tensor, sites: tuple[GateSite, ...]
):
    """Six threads on one model, each with edits of its own, are answered as if they were alone,
    every time.
    """
    lists = [
        [],
        *(
            [set_gates(FIRST, index / 6), level_gates(LAST, channels=range(index))]
            for index in range(1, 6)
        ),
    ]
    image = images[:1]
    start = Barrier(6)

    def run(edits: list[GateEdit]) -> Tensor:
        with torch.no_grad(), edit_gates(se_net, compile_edits(edits, sites)):
            return se_net(image)

    alone = [run(edits) for edits in lists]
    assert len({tuple(logits[0].tolist()) for logits in alone}) == 6

    def session(index: int) -> bool:
        start.wait()
        return all(torch.equal(run(lists[index]), alone[index]) for _ in range(8))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(session, range(6))) == [True] * 6


def test_the_change_of_a_gate_is_now_minus_before(se_net: nn.Module, images: Tensor):
    """One row a gate, in the order of the pass; before the edited block every difference is
    exactly 0.
    """
    plan = compile_edits([set_gates(MIDDLE, 0.0)], find_gates(se_net, size=64))
    with torch.no_grad(), capture_gates(se_net) as before:
        se_net(images[:1])
    with torch.no_grad(), edit_gates(se_net, plan), capture_gates(se_net) as after:
        se_net(images[:1])
    table = compare_gates(before, after)
    gate, change = (table[column].to_numpy() for column in ("gate", "change"))
    np.testing.assert_array_equal(gate, torch.cat([record.gate[0] for record in before]).numpy())
    expected = [new.gate[0] - old.gate[0] for old, new in zip(before, after, strict=True)]
    np.testing.assert_array_equal(change, torch.cat(expected).numpy())
    rows = np.flatnonzero(table["path"].to_numpy() == MIDDLE)
    assert not change[: rows[0]].any()
    assert (change[rows] == -gate[rows]).all()
    assert change[rows[-1] + 1 :].any()
