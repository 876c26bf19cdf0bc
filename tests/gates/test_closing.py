"""Captures end in whatever order, thread, task or generator; none loses a record and none leaves a
hook.
"""

import asyncio
import copy
import gc
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import SqueezeExcitation

from se_viz import GateRecord, capture_gates, edit_gates
from se_viz.errors import CaptureError
from se_viz.gates.hooks import is_watching
from tests.gates.test_hooks import count_hooks, fail

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def build() -> nn.Sequential:
    torch.manual_seed(0)
    convs = [
        nn.Conv2d(3, 8, 3, 2, 1),
        SqueezeExcitation(8, 4),
        nn.Conv2d(8, 8, 3, 2, 1),
        SqueezeExcitation(8, 4),
    ]
    return nn.Sequential(*convs).eval()


def run(model: nn.Module) -> None:
    with torch.no_grad():
        model(IMAGES)


def assert_nothing_is_left(*models: nn.Module) -> None:
    assert not is_watching()
    assert [count_hooks(model) for model in models] == [0] * len(models)


def test_captures_may_end_in_the_order_they_began():
    """Notebooks and exit stacks close what was opened first: the others go on, to their own
    ends.
    """
    first = build()
    second = build()
    captures = [
        capture_gates(first),
        capture_gates(first),
        capture_gates(second),
        edit_gates(second, {"1": torch.zeros_like}),
    ]
    lists = [capture.__enter__() for capture in captures]
    counts = []
    for capture in captures:
        run(first)
        run(second)
        capture.__exit__(None, None, None)
        counts.append([len(records) for records in lists if records is not None])
    assert counts == [[2, 2, 2], [2, 4, 4], [2, 4, 6], [2, 4, 6]]
    assert lists[2] is not None
    assert not lists[2][0].gate.any()
    assert_nothing_is_left(first, second)


def test_a_generator_that_is_dropped_ends_its_capture():
    """A loop over batches may stop early; the collector then closes the generator."""
    model = build()

    def batches() -> Iterator[int]:
        with capture_gates(model) as records:
            while True:
                run(model)
                yield len(records)

    counts = batches()
    assert [next(counts), next(counts)] == [2, 4]
    assert is_watching()
    del counts
    gc.collect()
    assert_nothing_is_left(model)


def test_a_generator_may_end_in_another_context():
    """Frameworks resume a generator in a context of its own, where a token of the first cannot be
    used.
    """
    model = build()

    def once() -> Iterator[list[GateRecord]]:
        with capture_gates(model) as records:
            run(model)
            yield records

    steps = once()
    records = copy_context().run(next, steps)
    assert next(steps, None) is None
    assert len(records) == 2
    assert_nothing_is_left(model)


def test_tasks_of_one_loop_capture_apart():
    """Tasks share a thread; each sees its own passes, and an asynchronous generator may be closed
    by another task.
    """
    model = build()
    second = build()

    async def task(model: nn.Module, passes: int) -> int:
        with capture_gates(model) as records:
            for _ in range(passes):
                run(model)
                await asyncio.sleep(0)
        return len(records)

    async def steps() -> AsyncIterator[list[GateRecord]]:
        with capture_gates(model) as records:
            run(model)
            yield records

    async def main() -> list[int]:
        counts = await asyncio.gather(task(model, 1), task(model, 3), task(second, 2))
        generator = steps()
        records = await anext(generator)
        await asyncio.create_task(generator.aclose())  # pyright: ignore[reportAttributeAccessIssue]
        return [*counts, len(records)]

    assert asyncio.run(main()) == [2, 6, 4, 2]
    assert_nothing_is_left(model, second)


def test_a_capture_may_be_closed_by_another_thread():
    """Web frameworks do so; what its own thread recorded is there."""
    model = build()
    lists = list[list[GateRecord]]()
    capture = capture_gates(model)

    def begin() -> None:
        lists.append(capture.__enter__())
        run(model)

    thread = Thread(target=begin)
    thread.start()
    thread.join()
    capture.__exit__(None, None, None)
    assert len(lists[0]) == 2
    assert_nothing_is_left(model)


def test_passes_in_another_thread_than_the_captures_are_told():
    """An empty list would say that the model has no gates: neither a closing thread nor a worker
    records.
    """
    model = build()
    capture = capture_gates(build())
    thread = Thread(target=capture.__enter__)
    thread.start()
    thread.join()
    with pytest.raises(CaptureError, match="only those of the thread that opened"):
        capture.__exit__(None, None, None)

    async def main() -> None:
        with capture_gates(model):
            await asyncio.to_thread(run, model)

    with pytest.raises(CaptureError, match="inside the thread where it runs"):
        asyncio.run(main())
    assert_nothing_is_left(model)


def test_a_pass_that_raises_leaves_no_records():
    """Half a pass would shift every later one against its images; the passes around it stay."""
    model = build()
    with capture_gates(model) as records:
        run(model)
        with model[2].register_forward_hook(fail), pytest.raises(RuntimeError, match="broken"):
            run(model)
        assert len(records) == 2
        try:
            fail()
        except RuntimeError:
            # An error that is being handled around a pass is not the pass's own.
            run(model)
    assert [record.block for record in records] == ["1", "3"] * 2


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_checkpointing_runs_again_is_no_pass(reentrant: bool):
    """Records are those of the pass; gradients through an edit are those without checkpointing."""

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build()

        def forward(self, images: Tensor) -> Any:
            return checkpoint(self.net[1:], self.net[0](images), use_reentrant=reentrant)

    model = Checkpointed()
    plain = build()
    edits = {"1": torch.square}
    with capture_gates(model) as records, edit_gates(model.net, edits):
        # The network inside is no pass of its own there: an edit acts wherever its block runs.
        model(IMAGES).sum().backward()
    with edit_gates(plain, edits):
        plain(IMAGES).sum().backward()
    assert [record.block for record in records] == ["net.1", "net.3"]
    for weight, plain_weight in zip(model.net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(weight.grad, plain_weight.grad)  # pyright: ignore[reportArgumentType]


def test_a_copy_that_was_made_inside_a_capture_is_captured_once():
    """It has the same hooks as the original had then; run twice, they would count each use of a
    block twice.
    """
    model = build()
    with capture_gates(model) as originals:
        copied = copy.deepcopy(model)
        run(model)
    with capture_gates(copied) as records:
        run(copied)
    assert [(record.name, record.call) for record in records] == [("1", 0), ("3", 0)]
    assert all(
        torch.equal(original.gate, record.gate)
        for original, record in zip(originals, records, strict=True)
    )
    assert_nothing_is_left(model, copied)


def test_a_block_that_is_replaced_inside_a_capture_is_told():
    """What ran in its place was not seen, and the records would be those of one block less."""
    model = build()

    def replace() -> None:
        with capture_gates(model):
            run(model)
            model[1] = nn.Identity()
            run(model)

    with pytest.raises(CaptureError, match=r"in the place of SE blocks that were watched: 1\. "):
        replace()
    assert_nothing_is_left(model)


def test_gates_under_torch_func_are_plain_values():
    """A gradient transform wraps every tensor, and its wrappers die with it."""
    model = build()
    weights = dict(build().named_parameters())
    with capture_gates(model, keep_features=["1"]) as records:
        run(model)
        torch.func.grad(lambda values: torch.func.functional_call(model, values, (IMAGES,)).sum())(
            weights
        )
    for plain, record in zip(records[:2], records[2:], strict=True):
        assert torch.equal(plain.gate, torch.from_numpy(record.gate.numpy()))
        assert torch.equal(plain.squeeze, torch.from_numpy(record.squeeze.numpy()))
    assert records[0].features is not None
    assert records[2].features is not None
    assert torch.equal(records[0].features, torch.from_numpy(records[2].features.numpy()))


def test_one_pass_for_many_is_refused():
    """Under `torch.vmap` a gate has no batch axis: what would be recorded is nobody's."""
    model = build()
    with (
        pytest.raises(CaptureError, match=r"torch\.vmap.* Call the model on a whole batch"),
        capture_gates(model),
    ):
        torch.func.vmap(lambda image: model(image[None]))(IMAGES)


def test_a_pass_on_shapes_alone_is_refused():
    """The device meta holds no values."""
    model = build().to("meta")
    with (
        pytest.raises(CaptureError, match="shapes alone, which have no values"),
        capture_gates(model),
    ):
        model(IMAGES.to("meta"))


def test_a_batch_of_no_image_leaves_records_of_none():
    """The last batch of a filtered data set may be empty."""
    model = build()
    with (
        capture_gates(model) as records,
        edit_gates(model, {"1": torch.zeros_like}),
        torch.no_grad(),
    ):
        model(IMAGES[:0])
    assert [tuple(record.gate.shape) for record in records] == [(0, 8), (0, 8)]
