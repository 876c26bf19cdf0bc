"""Compiled code calls no hooks: a capture runs the model as it was written, or says which blocks
it did not see.
"""

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, edit_gates, inspect_gates
from se_viz.errors import CaptureError, CaptureWarning, EditError, NoSEBlocksError
from se_viz.gates.places import scan_model
from tests.gates.test_hooks import count_hooks

pytestmark = pytest.mark.slow

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two SE blocks in two parts; ``run`` is how the second part is called."""

    def __init__(self, run: Callable[[nn.Module], Callable[[Tensor], Tensor]] | None = None):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), SqueezeExcitation(8, 4))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), SqueezeExcitation(8, 4))
        self.run = run(self.second) if run else None

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of 8 channels."""
        return (self.run or self.second)(self.first(x))


class CompiledInItsClass(Net):
    """A network whose forward is compiled where it is written."""

    @torch.compile(backend="eager")
    def forward(self, x: Tensor) -> Tensor:
        """Return a map of 8 channels."""
        return self.second(self.first(x))


def in_place(module: nn.Module) -> None:
    module.compile(backend="eager")


def forward_alone(module: nn.Module) -> None:
    module.forward = torch.compile(module.forward, backend="eager")


def compiled(function: Any) -> Any:
    return torch.compile(function, backend="eager")


def build(kind: type[Net] = Net, run: Any = None) -> Net:
    torch._dynamo.reset()
    torch.manual_seed(0)
    return kind(run).eval()


def run(model: Any) -> Tensor:
    with torch.no_grad():
        return model(IMAGES)


@pytest.mark.parametrize("compile_", [in_place, forward_alone])
@pytest.mark.parametrize("part", ["", "second.1.scale_activation"])
def test_what_is_compiled_in_place_is_captured_and_edited(
    compile_: Callable[[nn.Module], None], part: str
):
    """The gates are those of the same network uncompiled, and what was compiled is back in its
    place afterwards.
    """
    model = build()
    plain = copy.deepcopy(model)
    compile_(model.get_submodule(part))
    before = {name: dict(module.__dict__) for name, module in model.named_modules()}
    run(model)
    with capture_gates(plain) as expected:
        run(plain)
    with capture_gates(model) as records:
        run(model)
    assert [record.block for record in records] == ["first.1", "second.1"]
    assert all(
        torch.equal(record.gate, plain_record.gate)
        for record, plain_record in zip(records, expected, strict=True)
    )
    edits = {"second.1": torch.zeros_like}
    with edit_gates(model, edits):
        assert not run(model).any()
    assert run(model).any()
    for name, module in model.named_modules():
        attributes = {key: module.__dict__.get(key) for key in ("forward", "_compiled_call_impl")}
        assert attributes == {key: before[name].get(key) for key in attributes}
    assert count_hooks(model) == 0


def test_a_forward_compiled_in_its_class_is_captured():
    """The decorator leaves no sign on the module itself."""
    model = build(CompiledInItsClass)
    run(model)
    with capture_gates(model) as records:
        run(model)
    assert [record.block for record in records] == ["first.1", "second.1"]
    assert "forward" not in model.__dict__


BESIDE = """
import threading, torch
from torchvision.ops import SqueezeExcitation
from se_viz import capture_gates
calls = []
def backend(graph, _):
    def call(*args):
        calls.append(threading.current_thread().name)
        return graph(*args)
    return call
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), SqueezeExcitation(8, 4)).eval()
images = torch.rand(1, 3, 8, 8)
model.compile(backend=backend)
with torch.no_grad(), capture_gates(model) as records:
    model(images)
    other = threading.Thread(target=model, args=(images,), name="other")
    other.start()
    other.join()
print(len(records), *sorted(set(calls)))
"""


def test_other_threads_run_compiled_code_meanwhile():
    """A capture of one session must not slow the passes of others, nor change their last digits.

    In an interpreter of its own: the compiler must not meet the checks of types that tests alone
    have.
    """
    process = subprocess.run(
        [sys.executable, "-c", BESIDE], capture_output=True, text=True, check=False
    )
    assert process.stdout.split() == ["1", "other"], process.stderr


def test_a_part_wrapped_by_compile_is_refused_by_name():
    """Its blocks lie inside another module; those outside of it can still be chosen."""
    model = build()
    model.second = compiled(model.second)
    for blocks in (None, ["second._orig_mod.1"]):
        with pytest.raises(
            NoSEBlocksError,
            match=r"^second is wrapped by `torch\.compile`.*Capture from the model you",
        ):
            capture_gates(model, blocks=blocks).__enter__()
    scan = scan_model(model)
    assert [place.path for place in scan.blocks.values()] == ["first.1"]
    assert list(scan.compiled) == ["second._orig_mod.1"]


@pytest.mark.parametrize(
    "script", [torch.jit.script, lambda part: torch.jit.trace(part, torch.rand(1, 8, 8, 8))]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*")
def test_a_part_in_torchscript_is_refused_by_name(script: Callable[[nn.Module], Any]):
    """The class of its modules is gone, and with it the row of the table; their names are left."""
    model = build()
    model.second = script(model.second)
    with pytest.raises(
        NoSEBlocksError, match=r"^second\.1 is TorchScript, which calls no hooks\. Capture from"
    ):
        capture_gates(model).__enter__()
    assert list(inspect_gates(model, size=16).refused) == ["second.1"]


def wrong_ways() -> dict[str, Callable[[], tuple[nn.Module, Any]]]:
    """Return models whose second block is not seen, and what is called."""

    def function_in_forward() -> tuple[nn.Module, Any]:
        model = build(run=lambda part: compiled(lambda x: part(x)))
        return model, model

    def function_around() -> tuple[nn.Module, Any]:
        model = build()
        return model, compiled(lambda x: model(x))

    def forward_that_skips() -> tuple[nn.Module, Any]:
        model = build()
        model.second.forward = lambda input: input
        return model, model

    return {way.__name__: way for way in (function_in_forward, function_around, forward_that_skips)}


@pytest.mark.parametrize("way", wrong_ways().values(), ids=wrong_ways())
def test_a_block_that_no_hook_saw_ends_in_an_error(way: Callable[[], tuple[nn.Module, Any]]):
    """An empty list would look like a network without blocks, and an edit without effect like one
    that is of no use.
    """
    model, call = way()
    run(call)
    with (
        pytest.raises(CaptureError, match=r"second\.1|No pass of Net was seen.*torch\.compile"),
        capture_gates(model),
    ):
        run(call)
    with (
        pytest.raises(EditError, match=r"second\.1|No pass of Net was seen.*torch\.compile"),
        edit_gates(model, {"second.1": torch.zeros_like}),
    ):
        run(call)
    assert count_hooks(model) == 0


class ByHand(nn.Module):
    """An SE block that no class names, beside one that torchvision's class names."""

    def __init__(self):
        super().__init__()
        self.known = SqueezeExcitation(3, 4)
        self.linear = nn.Linear(3, 3)
        self.shift = compiled(lambda x: x + self.linear.bias[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, twice recalibrated."""
        x = self.known(x)
        gate = torch.sigmoid(self.linear(x.mean((2, 3))))
        return self.shift(x * gate[:, :, None, None])


def test_a_compiled_function_in_the_code_is_named():
    """Once it has run no pass can be followed, and a block without a known class is not found: that
    is said.
    """
    torch._dynamo.reset()
    model = ByHand().eval()
    run(model)
    inspection = inspect_gates(model, size=16)
    assert [site.block for site in inspection.sites] == ["known"]
    assert inspection.refused["known.fc1"].startswith("known.fc1 has run in a function that")
    with (
        pytest.warns(CaptureWarning, match=r"^known\.fc1 has run.*Load the model anew"),
        capture_gates(model) as records,
    ):
        run(model)
    assert [record.block for record in records] == ["known"]


def test_a_pass_in_which_no_block_was_seen_ends_in_an_error():
    """Nothing was recorded although the model ran, as under a CUDA graph, which replaces
    ``forward``.
    """
    model = build()
    model.forward = lambda x: x
    message = r"The model ran, but no SE block was seen.*first\.1, second\.1.*Use a copy"
    with pytest.raises(CaptureError, match=message), capture_gates(model):
        run(model)


def test_an_early_exit_is_told_in_a_warning():
    """Blocks may be left out on purpose: the records of the others stay, and none is missed
    without a word.
    """
    model = build(run=lambda _: lambda x: x)
    with (
        pytest.warns(CaptureWarning, match=r"second\.1\. The model did not use them"),
        capture_gates(model) as records,
    ):
        run(model)
    assert [record.block for record in records] == ["first.1"]
    with capture_gates(model, blocks=["first.1"]) as records:
        run(model)
    assert len(records) == 1


def test_an_edit_of_a_block_that_did_not_run_is_refused():
    """The answer is that of the unchanged network; nobody may take it for the edit's."""
    model = build(run=lambda _: lambda x: x)
    message = r"second\.1\. The model did not use them"
    with pytest.raises(EditError, match=message), edit_gates(model, {"second.1": torch.zeros_like}):
        run(model)


def test_a_with_block_without_a_pass_says_nothing():
    """Nothing ran, so nothing was missed."""
    model = build()
    with capture_gates(model) as records, edit_gates(model, {"first.1": torch.zeros_like}):
        pass
    assert records == []


@pytest.mark.parametrize("compile_", [in_place, forward_alone])
def test_a_compiled_part_before_the_first_block_does_not_change_stages(
    compile_: Callable[[nn.Module], None],
):
    """The image goes into what is compiled: both strides are measured from it, whichever pass was
    first.
    """
    model = build()
    compile_(model.first[0])
    run(model)
    for _ in range(2):
        with capture_gates(model) as records:
            run(model)
        assert [record.stage for record in records] == [1, 2]
    assert count_hooks(model) == 0


@pytest.mark.parametrize("hide", [compiled, torch.jit.script])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")
def test_a_part_that_no_hook_sees_into_does_not_change_stages(
    hide: Callable[[nn.Module], nn.Module],
):
    """Its first convolution is not seen, and the next one takes in no image."""
    model = build()
    model.first[0] = hide(model.first[0])
    run(model)
    with capture_gates(model) as records:
        run(model)
    assert [record.stage for record in records] == [1, 2]
