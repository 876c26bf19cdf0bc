from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from se_viz import capture_gates, edit_gates
from se_viz.errors import EditError, NoSEBlocksError

pytestmark = pytest.mark.slow

FIRST = "layer1.0.bn3.1"
MIDDLE = "layer3.2.bn3.1"
LAST = "layer4.2.bn3.1"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called")


def run(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


def count_hooks(model: nn.Module) -> int:
    return sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)


@pytest.mark.parametrize("path", [FIRST, MIDDLE, LAST])
def test_gates_of_one_are_the_network_without_the_block(
    se_net: nn.Module, images: Tensor, path: str
):
    """U times 1 is U, bit for bit: what is left is the network with an identity in the block's
    place.
    """
    without = deepcopy(se_net)
    without.set_submodule(path, nn.Identity())
    with edit_gates(se_net, {path: torch.ones_like}):
        assert torch.equal(run(se_net, images), run(without, images))
    assert not torch.equal(run(se_net, images), run(without, images))


def test_an_edit_is_what_the_block_multiplies_by(se_net: nn.Module, images: Tensor):
    """Closing one channel leaves a map of zeros there and every other channel as it was."""
    outputs: list[Tensor] = []
    se_net.get_submodule(FIRST).register_forward_hook(lambda *call: outputs.append(call[2].clone()))
    run(se_net, images)
    with edit_gates(se_net, {FIRST: lambda gate: gate.index_fill(1, torch.tensor([5]), 0.0)}):
        run(se_net, images)
    plain, edited = outputs
    assert plain[:, 5].any()
    assert not edited[:, 5].any()
    untouched = [channel for channel in range(plain.shape[1]) if channel != 5]
    assert torch.equal(edited[:, untouched], plain[:, untouched])


def test_an_edit_is_given_the_gates_as_a_capture_records_them(se_net: nn.Module, images: Tensor):
    """(batch, channels) in every spelling, so that one function fits all networks."""
    gates: list[Tensor] = []

    def look(gate: Tensor) -> Tensor:
        gates.append(gate.clone())
        return gate

    with capture_gates(se_net) as records, edit_gates(se_net, {MIDDLE: look}):
        run(se_net, images)
    assert torch.equal(gates[0], next(record.gate for record in records if record.block == MIDDLE))


@pytest.mark.parametrize("first", ["capture", "edit"])
@pytest.mark.parametrize("whole", [False, True], ids=["same", "whole"])
def test_a_capture_records_the_edited_gate(
    se_net: nn.Module, images: Tensor, first: str, whole: bool
):
    """The record is what the block multiplied by, whichever was opened first, and on whichever
    root.
    """
    model = nn.Sequential(se_net) if whole else se_net
    contexts: dict[str, Callable[[], Any]] = {
        "capture": lambda: capture_gates(model),
        "edit": lambda: edit_gates(se_net, {MIDDLE: lambda gate: 0.25 * gate}),
    }
    with capture_gates(se_net) as plain:
        run(se_net, images)
    order = [first, *(contexts.keys() - {first})]
    with contexts[order[0]]() as outer, contexts[order[1]]() as inner:
        run(model, images)
    records = outer if first == "capture" else inner
    place = [record.block for record in plain].index(MIDDLE)
    assert torch.equal(records[place].gate, 0.25 * plain[place].gate)
    assert torch.equal(records[place - 1].gate, plain[place - 1].gate)


def test_edits_nest(se_net: nn.Module, images: Tensor):
    """The inner function is given what the outer one returned, and ends alone."""
    with edit_gates(se_net, {LAST: lambda gate: (0.5 * gate).cos()}):
        once = run(se_net, images)
    with edit_gates(se_net, {LAST: lambda gate: 0.5 * gate}):
        with edit_gates(se_net, {LAST: torch.cos}):
            assert torch.equal(run(se_net, images), once)
        outer = run(se_net, images)
    with edit_gates(se_net, {LAST: lambda gate: 0.5 * gate}):
        assert torch.equal(run(se_net, images), outer)


def test_nothing_stays_afterwards(se_net: nn.Module, images: Tensor):
    """An edit is borrowed: the model answers as before, and no hook is left, after an error too."""
    before = run(se_net, images)

    def fail(_: Tensor) -> Tensor:
        raise RuntimeError("this edit is broken")

    with edit_gates(se_net, {LAST: torch.zeros_like}):
        assert not torch.equal(run(se_net, images), before)
    with pytest.raises(RuntimeError, match="broken"), edit_gates(se_net, {LAST: fail}):
        run(se_net, images)
    assert torch.equal(run(se_net, images), before)
    assert count_hooks(se_net) == 0


def test_no_edits_change_nothing(se_net: nn.Module, images: Tensor):
    """A page without any chosen block asks for this."""
    before = run(se_net, images)
    with edit_gates(se_net, {}):
        assert torch.equal(run(se_net, images), before)


def test_gradients_pass_through_an_edit(se_net: nn.Module, images: Tensor):
    """The slope along the edit's strength is the one that two passes a small step apart show."""
    se_net.double()
    strength = torch.tensor(0.8, dtype=torch.double, requires_grad=True)

    def answer(factor: Tensor) -> Tensor:
        with edit_gates(se_net, {MIDDLE: lambda gate: factor * gate}):
            return se_net(images.double())[0, 2]

    (slope,) = torch.autograd.grad(answer(strength), strength)
    with torch.no_grad():
        step = torch.tensor(1e-5, dtype=torch.double)
        difference = (answer(strength + step) - answer(strength - step)) / (2 * step)
    assert slope.abs() > 1e-4
    torch.testing.assert_close(slope, difference, rtol=1e-6, atol=1e-9)  # of the step: its square


def test_an_unknown_block_is_refused(se_net: nn.Module):
    """A misspelt path would leave the network as it is, and its reader in error."""
    message = r"no SE block 'layer9'\. Choose among: layer1\.0\.bn3\.1, "
    with (
        pytest.raises(NoSEBlocksError, match=message),
        edit_gates(se_net, {"layer9": torch.ones_like}),
    ):
        pass
    assert count_hooks(se_net) == 0


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (lambda gate: gate[:, :3], r"returned \(2, 3\) of float32 on cpu"),
        (lambda gate: gate.double(), r"returned \(2, 512\) of float64 on cpu"),
        (lambda gate: gate[:, :, None, None], r"returned \(2, 512, 1, 1\) of float32"),
        (lambda _: 1.0, "returned a float"),
    ],
    ids=["shape", "precision", "map", "number"],
)
def test_another_shape_or_precision_is_refused(
    se_net: nn.Module, images: Tensor, edit: Any, kind: str
):
    """Broadcasting would let a wrong shape through, and promotion would change every later
    layer.
    """
    message = kind + r".*needs \(2, 512\) of float32 on cpu\. Return a tensor like the one"
    with pytest.raises(EditError, match=message), edit_gates(se_net, {LAST: edit}):
        run(se_net, images)


def test_threads_edit_one_model_apart(se_net: nn.Module):
    """Sessions share the model: each is answered with its own edit, every time, and one without
    any is not edited.
    """
    threads = 6
    rounds = 8
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    start = Barrier(threads)

    def answer(index: int) -> Tensor:
        edits = {MIDDLE: lambda gate: index / threads * gate} if index else {}
        with edit_gates(se_net, edits), capture_gates(se_net) as records:
            return torch.cat(
                [run(se_net, image).flatten(), *(record.gate.flatten() for record in records)]
            )

    alone = [answer(index) for index in range(threads)]
    assert len({tuple(values.tolist()) for values in alone}) == threads

    def session(index: int) -> bool:
        start.wait()
        return all(torch.equal(answer(index), alone[index]) for _ in range(rounds))

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(session, range(threads))) == [True] * threads
    assert count_hooks(se_net) == 0


@pytest.mark.parametrize("path", [FIRST, LAST])
def test_rows_of_gates_spread_one_image_over_a_batch(se_net: nn.Module, images: Tensor, path: str):
    """Three rows for one image answer as three edits of it do, and what comes before the block
    runs once.
    """
    factors = [0.0, 0.4, 1.0]
    batches: list[int] = []
    se_net.get_submodule("conv1").register_forward_hook(lambda *call: batches.append(len(call[2])))
    with edit_gates(
        se_net, {path: lambda gate: torch.tensor(factors)[:, None] * gate}, spread=True
    ):
        together = run(se_net, images[:1])
    assert batches == [1]
    for factor, row in zip(factors, together, strict=True):
        with edit_gates(se_net, {path: lambda gate, factor=factor: factor * gate}):
            # Another number of images is added up in another order.
            torch.testing.assert_close(run(se_net, images[:1])[0], row, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "spread", "edit"),
    [
        (1, False, lambda gate: gate.repeat(3, 1)),
        (2, True, lambda gate: gate.repeat(2, 1)),
        (1, True, lambda gate: gate[:, :1]),
        (1, True, lambda gate: gate.sum()),
    ],
    ids=["not asked for", "several images", "another width", "no rows"],
)
def test_rows_are_refused_where_they_mean_nothing(
    se_net: nn.Module, images: Tensor, batch: int, spread: bool, edit: Callable[[Tensor], Tensor]
):
    """Spread by accident, a batch would answer for images that nobody gave."""
    with (
        edit_gates(se_net, {FIRST: edit}, spread=spread),
        pytest.raises(EditError, match=r"returned .*; the block needs"),
    ):
        run(se_net, images[:batch])
