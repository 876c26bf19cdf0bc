from collections.abc import Callable
from functools import partial

import pytest
import torch
from PIL import Image
from timm.layers.eca import EcaModule
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn

from se_viz import capture_gates, edit_gates
from se_viz.devices.choice import line_of
from se_viz.errors import EditError, NoSEBlocksError, OvertakenError, TooLittleMemoryError
from se_viz.experiments.variants import run_variants
from se_viz.networks import Network
from tests.support.reused import TwiceApart

pytestmark = pytest.mark.slow

FIRST = "layer1.0.bn3.1"
MIDDLE = "layer3.2.bn3.1"
LAST = "layer4.2.bn3.1"


@pytest.fixture
def photo() -> Image.Image:
    """Return coloured noise of the network's own size."""
    noise = torch.randint(
        0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8
    )
    return Image.fromarray(noise.numpy())


@pytest.fixture
def twice() -> Network:
    """Return a network whose one SE block is used twice in a pass."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return Network.from_model(TwiceApart(), input_size=64)


def alone(
    network: Network, photo: Image.Image, path: str, edit: Callable[[Tensor], Tensor]
) -> Tensor:
    """Run one image alone with one edit."""
    with torch.no_grad(), edit_gates(network.model, {path: edit}):
        return network.model(network.preprocess(photo))[0]


def test_each_variant_is_the_edit_alone(network: Network, photo: Image.Image):
    """Rows of a batch do not meet in an evaluated network: twenty variants in two passes are
    twenty passes.
    """
    edits = [
        (path, lambda gates, factor=factor: factor * gates)
        for path in (FIRST, MIDDLE, LAST)
        for factor in torch.linspace(0, 1.5, 7).tolist()
    ]
    answers = run_variants(network, photo, [{path: edit} for path, edit in edits])
    expected = torch.stack([alone(network, photo, path, edit) for path, edit in edits])
    # The bound that is promised: adding in another order costs some 1e-6 of a logit's size.
    torch.testing.assert_close(answers.edited, expected, rtol=1e-5, atol=1e-5)
    assert len({round(float(row[0]), 5) for row in answers.edited}) > len(edits) // 2


def test_what_changes_nothing_moves_nothing(network: Network, photo: Image.Image):
    """Each variant is compared with the plain image of its own pass, so that rounding does not
    look like an effect.
    """
    answers = run_variants(network, photo, [{MIDDLE: lambda gates: gates}] * 20)
    assert torch.equal(answers.live, answers.edited)


def test_a_variant_may_change_several_blocks(network: Network, photo: Image.Image):
    """A stage is more than one block; the pair equals two edits of the same pass."""
    answers = run_variants(network, photo, [dict.fromkeys([FIRST, LAST], torch.zeros_like)])
    with torch.no_grad(), edit_gates(network.model, dict.fromkeys([FIRST, LAST], torch.zeros_like)):
        expected = network.model(network.preprocess(photo))
    torch.testing.assert_close(answers.edited, expected, rtol=1e-5, atol=1e-5)


def test_no_variants_are_no_answers(network: Network, photo: Image.Image):
    """An empty selection is no error of the library's."""
    assert run_variants(network, photo, []).edited.shape == (0, 5)


@pytest.mark.parametrize("use", ["se", "se#2"])
def test_the_uses_of_a_block_are_told_apart(twice: Network, photo: Image.Image, use: str):
    """Only the named use changes; the expectation is the network written out by hand."""
    answers = run_variants(twice, photo, [{use: torch.zeros_like}])
    net = twice.model
    images = twice.preprocess(photo)
    assert isinstance(net, TwiceApart)
    with torch.no_grad():
        maps = net.start(images)
        maps = (0 * maps if use == "se" else net.se(maps)).tanh()
        maps = 0 * maps if use == "se#2" else net.se(maps)
        expected = net.end(maps.mean((2, 3)))
    torch.testing.assert_close(answers.edited, expected, rtol=1e-5, atol=1e-6)


def test_progress_counts_every_variant_and_others_get_the_turn(
    network: Network, photo: Image.Image
):
    """A bar needs both numbers, and between two passes the device is offered to whoever waits."""
    reports: list[tuple[int, int]] = []
    queues: list[int] = []
    run_variants(
        network,
        photo,
        [{FIRST: torch.zeros_like}] * 31,
        watch=queues.append,
        report=lambda *numbers: reports.append(numbers),
    )
    assert reports == [(15, 31), (30, 31), (31, 31)]
    assert queues == [0, 0, 0]


def test_a_newer_choice_ends_the_work(network: Network, photo: Image.Image):
    """What the watch raises between two passes stops the rest, and the line is free afterwards."""
    reports: list[int] = []

    def watch(_: int) -> None:
        if reports:
            raise OvertakenError("Something else was chosen. Wait a moment.")

    with pytest.raises(OvertakenError, match="chosen"):
        run_variants(
            network,
            photo,
            [{FIRST: torch.zeros_like}] * 40,
            watch=watch,
            report=lambda count, _: reports.append(count),
        )
    assert reports == [15]
    assert line_of(network.device).waiting == 0
    assert run_variants(network, photo, [{LAST: torch.zeros_like}]).edited.shape == (1, 5)


def test_wrong_names_and_shapes_are_refused(network: Network, photo: Image.Image):
    """A misspelt block would change nothing, and one gate would be spread over all channels."""
    with pytest.raises(NoSEBlocksError, match=r"no SE block 'layer9'\. Choose among: layer1"):
        run_variants(network, photo, [{"layer9": torch.zeros_like}])
    with pytest.raises(
        EditError, match=r"returned \(1,\) for \d+ channels\. Return one gate for each"
    ):
        run_variants(network, photo, [{LAST: lambda gates: gates[:1]}])


def test_where_memory_runs_out_fewer_go_into_one_pass(network: Network, photo: Image.Image):
    """A device that holds four images answers the same, in smaller passes; one that holds one is
    named.
    """
    answers = run_variants(
        network, photo, [{FIRST: lambda gates, k=k: gates * k} for k in range(6)]
    )
    room = 4

    def refuse(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("the device is full")

    network.model.register_forward_pre_hook(refuse)
    small = run_variants(network, photo, [{FIRST: lambda gates, k=k: gates * k} for k in range(6)])
    torch.testing.assert_close(small.edited, answers.edited, rtol=1e-5, atol=1e-5)
    room = 1
    with pytest.raises(
        TooLittleMemoryError, match=r"^cpu has too little memory left for A tiny SE-ResNet-50"
    ):
        run_variants(network, photo, [{FIRST: torch.zeros_like}])


class Rows(nn.Module):
    """Two blocks that multiply by broadcasting, and a note of how many images each layer was
    given.
    """

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 8, 3, 2)
        self.one = SEModule(8, rd_channels=2)
        self.two = SEModule(8, rd_channels=2)
        self.end = end
        self.rows = dict[str, int]()
        for name in ("start", "one", "two", "end"):
            self.get_submodule(name).register_forward_pre_hook(partial(self._count, name))

    def _count(self, name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
        self.rows[name] = len(inputs[0])

    def forward(self, images: Tensor) -> Tensor:
        """Return eight logits."""
        return self.end(self.two(self.one(self.start(images)).tanh()))


class KnowsItsBatch(nn.Module):
    """An end that keeps what belongs to the first image of a batch of one, whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = 0

    def forward(self, maps: Tensor) -> Tensor:
        """Return the means of as many images as the pass began with."""
        return maps[: self.batch].mean((2, 3))


def rows_of(end: nn.Module) -> tuple[Network, dict[str, int]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = Rows(end)
    if isinstance(end, KnowsItsBatch):
        model.register_forward_pre_hook(lambda _, inputs: setattr(end, "batch", len(inputs[0])))
    return Network.from_model(model, input_size=64), model.rows


class Mean(nn.Module):
    """The mean of each map."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return (batch, channels)."""
        return maps.mean((2, 3))


def shut(channel: int) -> Callable[[Tensor], Tensor]:
    return lambda gates: gates.index_fill(0, torch.tensor([channel]), 0)


def test_before_the_first_changed_block_one_image_runs_for_all(photo: Image.Image):
    """What all rows have in common is computed once; the answers are those of each edit alone."""
    network, rows = rows_of(Mean())
    answers = run_variants(network, photo, [{"two": shut(channel)} for channel in range(8)] * 3)
    assert rows == {"start": 1, "one": 1, "two": 1, "end": 25}
    for channel in range(8):
        expected = alone(
            network,
            photo,
            "two",
            lambda gates, c=channel: gates.index_fill(1, torch.tensor([c]), 0),
        )
        torch.testing.assert_close(answers.edited[channel], expected, rtol=1e-5, atol=1e-6)


def test_rows_begin_at_the_first_block_that_any_of_them_changes(photo: Image.Image):
    """A row that changes a later block, or nothing, begins there with the others."""
    network, rows = rows_of(Mean())
    with_third = Network.from_model(
        nn.Sequential(SEModule(3, rd_channels=2), network.model), input_size=64
    )
    variants = [{"1.two": shut(0)}, {"1.one": shut(1), "1.two": shut(2)}, {}]
    answers = run_variants(with_third, photo, variants * 8)
    # Three blocks, of which one comes before: half as many again as fifteen go into a pass.
    assert rows == {"start": 1, "one": 1, "two": 3, "end": 3}
    torch.testing.assert_close(answers.edited[2], answers.live[2], rtol=0, atol=0)
    first = alone(
        with_third, photo, "1.two", lambda gates: gates.index_fill(1, torch.tensor([0]), 0)
    )
    torch.testing.assert_close(answers.edited[0], first, rtol=1e-5, atol=1e-6)


def test_a_network_that_knows_its_batch_runs_whole_passes(photo: Image.Image):
    """It would answer for one image only: the trial finds that out, and the answers are right all
    the same.
    """
    network, rows = rows_of(KnowsItsBatch())
    answers = run_variants(network, photo, [{"two": shut(channel)} for channel in range(8)])
    assert rows == dict.fromkeys(("start", "one", "two", "end"), 9)
    expected = alone(network, photo, "two", lambda gates: gates.index_fill(1, torch.tensor([3]), 0))
    torch.testing.assert_close(answers.edited[3], expected, rtol=1e-5, atol=1e-6)


def test_a_network_that_was_changed_is_tried_again(photo: Image.Image):
    """Rows that may begin at a block may not once its code has changed: a trial of before would
    give wrong answers.
    """
    network, _ = rows_of(Mean())
    variants = [{"two": shut(channel)} for channel in range(8)] * 3
    run_variants(network, photo, variants)
    end = KnowsItsBatch()
    network.model.set_submodule("end", end)
    network.model.register_forward_pre_hook(lambda _, inputs: setattr(end, "batch", len(inputs[0])))
    answers = run_variants(network, photo, variants)
    expected = alone(network, photo, "two", lambda gates: gates.index_fill(1, torch.tensor([3]), 0))
    torch.testing.assert_close(answers.edited[3], expected, rtol=1e-5, atol=1e-6)


def test_a_block_that_does_not_broadcast_runs_whole_passes(photo: Image.Image):
    """Efficient channel attention expands its gates to the size of its input, which is one image
    there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), SEModule(8, rd_channels=2), EcaModule(8), Mean()
        )
    network = Network.from_model(model, input_size=64)
    answers = run_variants(network, photo, [{"2": shut(channel)} for channel in range(8)])
    expected = alone(network, photo, "2", lambda gates: gates.index_fill(1, torch.tensor([5]), 0))
    torch.testing.assert_close(answers.edited[5], expected, rtol=1e-5, atol=1e-6)


def test_a_capture_around_it_sees_a_row_for_each_variant(network: Network, photo: Image.Image):
    """Records of one image in early blocks and of many in late ones would be of no pass that
    anybody asked for.
    """
    with capture_gates(network.model) as records:
        run_variants(network, photo, [{LAST: torch.zeros_like}] * 2)
    assert {len(record.gate) for record in records} == {3}
