"""A training that is watched: the same to the last bit, and its gates in numbers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from se_viz import GateMonitor, GateStatistics, capture_gates, insert_se
from se_viz.errors import CaptureError, CaptureWarning, DataError, NoSEBlocksError, OptionError
from tests.gates.test_hooks import count_hooks
from tests.support.hand_written import C, Inline, Plain

STEPS = 5


class Hand(nn.Module):
    """Blocks of two kinds that are found by what they do, with a stem, dropout and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, C, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(C)
        self.plain = Plain()
        self.inline = Inline()
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(C, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.inline(self.plain(F.relu(self.norm(self.stem(x)))))
        return self.head(self.drop(x.mean((2, 3))))


@pytest.fixture
def hand() -> Hand:
    """Return a network of blocks written by hand, in training mode."""
    torch.manual_seed(3)
    return Hand().train()


def batches(count: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    dice = torch.Generator().manual_seed(7)
    return [
        (torch.randn(4, 3, 32, 32, generator=dice), torch.randint(5, (4,), generator=dice))
        for _ in range(count)
    ]


def train(model: nn.Module, count: int = STEPS, *, autocast: bool = False) -> list[Tensor]:
    """Train, and return losses, every gradient, every weight and what is drawn next."""
    torch.manual_seed(11)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    left: list[Tensor] = []
    for images, labels in batches(count):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        left += [loss.detach().clone()]
        left += [value.grad.clone() for value in model.parameters() if value.grad is not None]
        optimiser.step()
        optimiser.zero_grad()
    return [*left, *model.state_dict().values(), torch.rand(3)]


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "autocast"])
@pytest.mark.parametrize("kind", ["table", "hand"])
def test_a_watched_training_is_the_same_bit_for_bit(kind, autocast, se_net, hand):
    """Whoever adds a monitor to a run wants to see that run, and no other."""
    model = (se_net if kind == "table" else hand).train()
    twin = copy.deepcopy(model)
    rows: list[GateStatistics] = []
    with GateMonitor(model, every=2, to=rows.extend):
        watched = train(model, autocast=autocast)
    alone = train(twin, autocast=autocast)
    assert len(watched) == len(alone)
    assert all(torch.equal(one, other) for one, other in zip(watched, alone, strict=True))
    assert {row.step for row in rows} == {0, 2, 4}
    assert len(rows) == 3 * (16 if kind == "table" else 2)


def test_numbers_are_those_of_the_gates_of_that_pass(se_net):
    """Each statistic by its definition, from the gates that a capture around the same pass
    records.
    """
    se_net.train()
    images, _ = batches(1)[0]
    rows: list[GateStatistics] = []
    with capture_gates(se_net) as records, GateMonitor(se_net, to=rows.extend):
        se_net(images)
    assert len(rows) == len(records) == 16
    for row, record in zip(rows, records, strict=True):
        gate = record.gate.double()
        count = gate.numel()
        assert (row.path, row.stage, row.step) == (record.block, record.stage, 0)
        assert (row.images, row.channels) == tuple(gate.shape)
        assert row.mean == pytest.approx(float(gate.sum()) / count)
        assert row.std == pytest.approx(float(((gate - gate.mean()) ** 2).sum() / count) ** 0.5)
        moved = ((gate - gate.mean(0)) ** 2).sum(0) / (len(gate) - 1)
        assert row.over_images == pytest.approx(float(moved.mean()) ** 0.5)
        assert row.near_low == float((gate <= 0.05).sum()) / count
        assert row.near_high == float((gate >= 0.95).sum()) / count
        assert row.near_middle == float(((gate >= 0.45) & (gate <= 0.55)).sum()) / count
    assert [row.block for row in rows][:4] == ["SE_2_1", "SE_2_2", "SE_2_3", "SE_3_1"]


def test_blocks_found_by_what_they_do_have_the_gates_they_used(hand):
    """They tell their gates themselves, in every pass."""
    rows: list[GateStatistics] = []
    with GateMonitor(hand, every=1, to=rows.extend):
        train(hand, 3)
    for path, block in (("plain", hand.plain), ("inline", hand.inline)):
        means = [row.mean for row in rows if row.path == path]
        assert means == pytest.approx([float(gate.mean()) for gate in block.gates])
    # The range of a sigmoid is known, so that shares near its ends are too.
    assert all(row.near_low is not None for row in rows)


def test_shut_gates_are_seen_to_be_shut(hand):
    """What a run is watched for: gates that saturate."""
    rows: list[GateStatistics] = []
    nn.init.constant_(hand.plain.up.bias, -20.0)
    with GateMonitor(hand, to=rows.extend):
        train(hand, 1)
    plain, inline = rows
    assert plain.near_low == 1.0
    assert "saturated" in plain.health
    assert inline.near_low == 0.0


def test_passes_without_gradients_and_in_evaluation_mode_do_not_count(hand):
    """A validation in between moves no step, and its gates are no training's."""
    rows: list[GateStatistics] = []
    images, _ = batches(1)[0]
    with GateMonitor(hand, every=2, to=rows.extend):
        for _ in range(4):
            hand.train()(images)
            with torch.no_grad():
                hand(images)
            hand.eval()(images)
    assert [row.step for row in rows] == [0, 0, 2, 2]


def test_frozen_norms_are_counted_where_that_is_said(hand):
    """Fine-tuning with frozen norms runs in evaluation mode."""
    rows: list[GateStatistics] = []
    hand.eval()
    with GateMonitor(hand, every=2, to=rows.extend, eval_mode=True):
        train(hand, 3)
    assert {row.step for row in rows} == {0, 2}
    with (
        pytest.warns(CaptureWarning, match="3 in evaluation mode"),
        GateMonitor(hand, to=rows.extend),
    ):
        train(hand, 3)


def test_a_step_of_several_passes_is_looked_at_once(hand):
    """Gradients that add up over passes make one step; its number is the loop's."""
    rows: list[GateStatistics] = []
    numbers = [100]
    with GateMonitor(hand, every=2, to=rows.extend, step=lambda: numbers[-1]):
        for number in (100, 101, 102):
            numbers.append(number)
            for images, _ in batches(3):
                hand(images)
    assert [row.step for row in rows] == [100, 100, 102, 102]


def test_between_two_looks_one_hook_hangs_on_the_model_alone(se_net):
    """Everything else costs time in passes that nobody looks at."""
    se_net.train()
    with GateMonitor(se_net, every=2, to=print):
        assert count_hooks(se_net) == 1
        se_net(batches(1)[0][0])
        assert count_hooks(se_net) == 1
    assert count_hooks(se_net) == 0


def test_a_pass_that_fails_leaves_nothing_and_the_next_is_seen(hand):
    """A batch that does not fit in memory is often skipped, and training goes on."""
    rows: list[GateStatistics] = []
    images, _ = batches(1)[0]
    with GateMonitor(hand, every=1, to=rows.extend):
        hand(images)
        with pytest.raises(RuntimeError, match="channels"):
            hand(images[:, :2])
        # A part of the model by itself is nobody's pass, also after one that failed.
        hand.plain(torch.randn(2, C, 4, 4))
        hand(images)
        assert count_hooks(hand) == 1
    assert [row.step for row in rows] == [0, 0, 2, 2]
    assert count_hooks(hand) == 0


def test_two_monitors_and_a_capture_see_the_same_pass(hand):
    """Each has records of its own, in whatever order they were opened."""
    first: list[GateStatistics] = []
    second: list[GateStatistics] = []
    images, _ = batches(1)[0]
    with (
        GateMonitor(hand, every=1, to=first.extend),
        capture_gates(hand) as records,
        GateMonitor(hand, every=2, to=second.extend),
    ):
        hand(images)
        hand(images)
    assert [row.step for row in first] == [0, 0, 1, 1]
    assert second == first[:2]
    assert [row.mean for row in first] == pytest.approx(
        [float(record.gate.mean()) for record in records]
    )


class Twice(nn.Module):
    """A model that calls itself once more on a smaller image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, C, 3, padding=1)
        self.block = Plain()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both passes."""
        out = self.block(self.stem(x)).mean((2, 3))
        return out + self(x[..., ::4, ::4]) if x.shape[-1] > 16 else out


def test_a_model_that_calls_itself_is_seen_to_its_end():
    """The inner pass ends first, and the outer one still has gates to tell."""
    model = Twice().train()
    rows: list[GateStatistics] = []
    with GateMonitor(model, every=1, to=rows.extend):
        model(batches(1)[0][0])
    assert rows
    assert count_hooks(model) == 0


def test_checkpointed_blocks_are_seen_once_a_pass(hand):
    """Gradient checkpointing runs parts again on the way back, which is no pass."""
    from torch.utils.checkpoint import checkpoint

    rows: list[GateStatistics] = []
    whole = nn.Sequential(hand.stem, hand.plain)

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = whole

        def forward(self, x: Tensor) -> Any:
            return checkpoint(self.whole, x, use_reentrant=False)

    model = Checkpointed().train()
    with GateMonitor(model, every=1, to=rows.extend):
        for images, _ in batches(2):
            model(images).sum().backward()
    assert [row.step for row in rows] == [0, 1]


def test_a_network_that_was_given_blocks_is_watched():
    """The monitor's first use: a network of torchvision that SE blocks were put into."""
    from torchvision.models import resnet18

    model = insert_se(resnet18(num_classes=5)).train()
    rows: list[GateStatistics] = []
    with GateMonitor(model, every=2, to=rows.extend):
        train(model, 2)
    assert len(rows) == 8
    assert all(0 < row.mean < 1 for row in rows)


def test_a_model_without_gates_says_so_at_its_first_pass():
    """Hours later would be too late."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    with (
        pytest.raises(NoSEBlocksError, match="no squeeze-and-excitation block"),
        GateMonitor(model, to=print),
    ):
        model(torch.randn(2, 3, 8, 8))
    assert count_hooks(model) == 0


class Whims(nn.Module):
    """A network that leaves its block out after some passes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, C, 3)
        self.block = Plain()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return a map, from the third pass on as the stem made it."""
        self.passes += 1
        x = self.stem(x)
        return x if self.passes > 2 else self.block(x)


def test_what_goes_wrong_later_is_a_warning_and_training_goes_on():
    """Nobody wants to lose a night of training to a look at it."""
    model = Whims().train()
    rows: list[GateStatistics] = []
    images = torch.randn(2, 3, 8, 8)
    with GateMonitor(model, every=1, to=rows.extend):
        model(images)
        model(images)
        with pytest.warns(CaptureWarning, match="no SE block was seen"):
            model(images)
    assert [row.step for row in rows] == [0, 1]


def test_a_full_disk_ends_no_training(hand):
    """The rows of that pass are lost, and its owner is told."""

    def write(rows: tuple[GateStatistics, ...]) -> None:
        if rows[0].step:
            raise DataError("gates.csv cannot be written: No space left on device. Make room.")

    with (
        pytest.warns(CaptureWarning, match="No space left"),
        GateMonitor(hand, every=2, to=write),
    ):
        train(hand, 3)


def _compile(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


@pytest.mark.parametrize(
    "compiled",
    [_compile, lambda model: torch.compile(model, backend="eager")],
    ids=["in place", "wrapped"],
)
def test_compiled_models_are_refused(hand, compiled: Callable[[nn.Module], nn.Module]):
    """A step that runs as written is not the step that would have been."""
    with (
        pytest.raises(CaptureError, match=r"Train without `torch\.compile`"),
        GateMonitor(compiled(hand), to=print),
    ):
        pass


def test_wrong_arguments_are_told_in_a_sentence(hand):
    """Before anything is trained."""
    with pytest.raises(OptionError, match=r"every is 0\. Give a whole number"):
        GateMonitor(hand, every=0, to=print)
    with pytest.raises(OptionError, match=r"to a int\. Give a path"):
        GateMonitor(hand, to=3)
    with pytest.raises(CaptureError, match="DistributedDataParallel"):
        GateMonitor(nn.DataParallel(hand), to=print)


def test_a_monitor_that_saw_nothing_says_so(hand):
    """As where the loop calls another model than the one that is watched."""
    with (
        pytest.warns(CaptureWarning, match="No training pass of Hand"),
        GateMonitor(hand, to=print),
    ):
        copy.deepcopy(hand)(batches(1)[0][0])
