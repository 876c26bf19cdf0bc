# ruff: noqa: D102 - what a module does is said by its class.
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, edit_gates, find_gates, inspect_gates
from se_viz.errors import CaptureError, EditError, NoSEBlocksError
from se_viz.gates.surgery import compile_edits, set_gates
from tests.support.hand_written import (
    ADDED,
    ECA,
    FUNCTIONS,
    IMAGES,
    NO_GATES,
    PRODUCTS,
    SQUEEZES,
    C,
    Inline,
    NoGate,
    Plain,
    Shared,
    Sound,
    Tokens,
    Told,
    Twice,
    Volume,
    variant,
)


def around(block: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, C, 3, 2, 1), block, nn.Conv2d(C, 4, 1)).eval()


def tellers(model: nn.Module) -> list[Told]:
    """Return the blocks that have told anything, and forget it."""
    return [module for module in model.modules() if isinstance(module, Told) and module.gates]


def forget(model: nn.Module) -> None:
    for module in tellers(model):
        module.gates.clear()
        module.squeezes.clear()


def assert_told(model: nn.Module, images: Tensor, paths: list[str] | None = None) -> None:
    """Compare a captured pass with what the blocks themselves tell of it, bit for bit."""
    with torch.no_grad(), capture_gates(model) as records:
        # What a pass of noise has told.
        forget(model)
        model(images)
    (block,) = tellers(model)
    assert [record.gate for record in records] == [Same(gate) for gate in block.gates]
    assert [record.squeeze for record in records] == [Same(value) for value in block.squeezes]
    names = {id(module): name for name, module in model.named_modules()}
    assert {record.block for record in records} == {*(paths or [names[id(block)]])}
    assert [record.call for record in records] == [*range(len(records))]


class Same:
    """Equal to a tensor of the same values."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and torch.equal(self.values, other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


MADE: dict[str, Callable[[], nn.Module]] = {
    **{
        f"squeeze: {name}": variant("Squeezes", squeeze=lambda _, x, way=way: way(x))
        for name, way in SQUEEZES.items()
    },
    **{
        f"function: {name}": variant("Functions", function=lambda _, y, way=row[0]: way(y))
        for name, row in FUNCTIONS.items()
    },
    **{
        f"product: {name}": variant("Scales", scale=lambda _, x, s, way=way: way(x, s))
        for name, way in PRODUCTS.items()
    },
    **IMAGES,
}


@pytest.mark.parametrize("name", MADE)
def test_a_block_by_hand_is_read_as_it_tells_itself(name: str, images: Tensor):
    """A gate is what it does, however its code looks; a capture before any inspection shows it."""
    assert_told(around(MADE[name]()), images)


@pytest.mark.parametrize("name", MADE)
def test_an_inspection_finds_the_same_blocks(name: str, images: Tensor):
    """What is listed is what a capture records, and a capture after it reads in the small way."""
    model = around(MADE[name]())
    inspection = inspect_gates(model, size=32)
    assert (inspection.refused, inspection.others) == ({}, {})
    assert_told(model, images)
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    uses = [(record.block, record.call, record.stage) for record in records]
    assert [(site.block, site.call, site.stage) for site in inspection.sites] == uses


SIGMOIDS = ("torch.sigmoid", "method", "in place", "twice the sigmoid", "one less the sigmoid")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_range_of_a_gate_is_derived(name: str):
    """Charts are drawn on it, and edits are held to it: it comes from the arithmetic, by hand."""
    way, low, high = FUNCTIONS[name]
    site = find_gates(around(variant("Any", function=lambda _, y: way(y))()), size=32)[0]
    assert (site.low, site.high) == (low, high)
    written_out = name in ("sigmoid written out", "its reciprocal")
    assert (site.function == "Sigmoid") == (written_out or name in SIGMOIDS)


@pytest.mark.parametrize(
    ("make", "pooled", "averaged"),
    [
        (Plain, "mean", True),
        (variant("Sums", squeeze=lambda _, x: x.sum((2, 3)) / 256), "mean", True),
        (variant("Maxima", squeeze=lambda _, x: x.amax((2, 3))), "maximum", False),
        (IMAGES["mean and maximum"], "mean and maximum", True),
        (IMAGES["mean and deviation"], "mean and standard deviation", True),
        (IMAGES["attention to places"], "weighted mean", False),
    ],
)
def test_the_record_says_how_it_was_pooled(
    make: Callable[[], nn.Module], pooled: str, averaged: bool
):
    """A squeeze that is no mean is drawn with its own name."""
    site = find_gates(around(make()), size=32)[0]
    assert (site.pooled, site.averaged) == (pooled, averaged)


def test_a_site_tells_hidden_units_and_class():
    """What the microscope and the tables say of a block does not depend on a row for its class."""
    site = find_gates(around(Plain()), size=32)[0]
    assert (site.form, site.function, site.hidden, site.channels) == ("Plain", "Sigmoid", 4, C)
    site = find_gates(around(ECA()), size=32)[0]
    assert (site.form, site.hidden) == ("ECA", None)


@pytest.mark.parametrize("way", NO_GATES)
def test_what_is_no_gate_is_not_reported(way: str, images: Tensor):
    """A picture of it would be wrong: it has no factor for a whole channel of one sample that was
    learned from a pooled map.
    """
    model = around(NoGate(way))
    inspection = inspect_gates(model, size=32)
    assert (inspection.sites, inspection.refused, inspection.others) == ((), {}, {})
    for use in (find_gates, lambda model: capture_gates(model).__enter__()):
        with pytest.raises(NoSEBlocksError, match="no squeeze-and-excitation block"):
            use(model)


@pytest.mark.parametrize("way", ADDED)
def test_a_product_to_which_its_map_is_added_is_named(way: str):
    """The channel's multiplier is another number then; a reader learns why there is no picture."""
    model = around(NoGate(way))
    inspection = inspect_gates(model, size=32)
    assert (inspection.sites, inspection.refused, list(inspection.others)) == ((), {}, ["1"])
    assert "NoGate adds its input" in inspection.others["1"]
    with pytest.raises(NoSEBlocksError, match=r"What it has is no SE gate: 1 \(NoGate adds"):
        find_gates(model, size=32)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (lambda: nn.Sequential(nn.Conv1d(3, C, 3, 2, 1), Sound()), (3, 40)),
        (lambda: nn.Sequential(nn.Conv1d(3, C, 3, 2, 1), Sound(masked=True)), (3, 40)),
        (lambda: nn.Sequential(nn.Conv3d(3, C, 3, 2, 1), Volume()), (3, 8, 9, 10)),
        (lambda: nn.Sequential(nn.Linear(5, C), Tokens()), (14, 5)),
        (lambda: Sound(), (C, 40)),
        (lambda: Tokens(), (14, C)),
        (lambda: Volume(), (C, 4, 5, 6)),
        (lambda: Plain(), (C, 8, 8)),
    ],
    ids=[
        *("sound", "masked sound", "volume", "tokens"),
        *(f"{name} alone" for name in ("sound", "tokens", "volume", "image")),
    ],
)
def test_maps_of_any_rank_are_read(model: Callable[[], nn.Module], size: tuple[int, ...]):
    """Sound, volumes and tokens have SE blocks too; a block may be the whole model."""
    torch.manual_seed(0)
    network = model().eval()
    inputs = torch.randn(2, *size)
    assert_told(network, inputs)
    sites = find_gates(network, size=size)
    assert [site.channels for site in sites] == [C]
    assert_told(network, inputs)


def test_a_mean_of_what_counts_says_so():
    """Speech of several lengths is averaged over each one's own moments."""
    model = nn.Sequential(nn.Conv1d(3, C, 3, 2, 1), Sound(masked=True)).eval()
    site = find_gates(model, size=(3, 40))[0]
    assert (site.pooled, site.averaged) == ("masked mean", False)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    sides=st.lists(st.integers(2, 9), min_size=1, max_size=3),
    channels=st.integers(3, 12),
    batch=st.integers(1, 3),
    function=st.sampled_from([*FUNCTIONS]),
    last=st.booleans(),
    keep=st.booleans(),
    seed=st.integers(0, 99),
)
def test_sizes_ranks_axes_and_functions_do_not_matter(
    *, sides: list[int], channels: int, batch: int, function: str, last: bool, keep: bool, seed: int
):
    """Every choice that code by hand may take: the gate is what the block tells."""
    torch.manual_seed(seed)
    model = Drawn(len(sides), channels, FUNCTIONS[function][0], last=last, keep=keep)
    images = torch.randn(batch, 3, *sides)
    assert_told(model.eval(), images)
    assert [site.channels for site in find_gates(model, size=(3, *sides))] == [channels]
    assert_told(model, images)


class Drawn(Told):
    """A block of any rank, with channels first or last, whose mean keeps its axes or not."""

    def __init__(
        self, axes: int, channels: int, function: Callable[..., Tensor], *, last: bool, keep: bool
    ) -> None:
        super().__init__()
        self.first = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](3, channels, 1)
        self.fc = nn.Sequential(nn.Linear(channels, 2), nn.ReLU(), nn.Linear(2, channels))
        self.axes = axes
        self.function = function
        self.last = last
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x.movedim(1, -1) if self.last else x
        space = tuple(range(1, self.axes + 1)) if self.last else tuple(range(2, self.axes + 2))
        z = x.mean(space, keepdim=self.keep)
        gate = self.tell(z, self.function(self.fc(z.flatten(1))))
        shape = [len(x), *[1] * self.axes, -1] if self.last else [len(x), -1, *[1] * self.axes]
        return x * gate.view(shape)


def test_a_block_used_twice_and_blocks_in_one_forward_are_numbered(images: Tensor):
    """Each product is a use of the module whose code multiplies."""
    model = around(Twice())
    assert [site.name for site in find_gates(model, size=32)] == ["1", "1#2"]
    block = Plain()
    model = nn.Sequential(nn.Conv2d(3, C, 1), block, nn.Conv2d(C, C, 1), block).eval()
    assert [site.name for site in find_gates(model, size=32)] == ["1", "1#2"]
    assert_told(model, images)


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "copy": deepcopy,
    "data parallel": lambda model: nn.DataParallel(model, device_ids=[]),
    "averaged": lambda model: torch.optim.swa_utils.AveragedModel(model),
    "wrapped": lambda model: nn.ModuleDict({"net": model})["net"],
    "channels last": lambda model: model.to(memory_format=torch.channels_last),
    "double": lambda model: model.double(),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_or_copied_model_is_read(name: str, images: Tensor):
    """What trains models wraps and copies them."""
    model = WRAPPERS[name](around(Inline())).eval()
    images = images.to(next(model.parameters()))
    with torch.no_grad(), capture_gates(model) as records:
        forget(model)
        model(images)
    (block,) = tellers(model)
    assert [record.gate for record in records] == [Same(gate.float()) for gate in block.gates]


def test_hooks_of_others_are_followed_through(images: Tensor):
    """A model may have hooks that change what a block is given; they stay."""
    model = around(Plain())
    model[1].register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    model[1].register_forward_hook(add_one)
    assert_told(model, images)
    find_gates(model, size=32)
    assert_told(model, images)


def add_one(*call: Any) -> Tensor:
    return call[2] + 1


def test_the_output_does_not_change_and_nothing_stays(images: Tensor):
    """State is borrowed: hooks and modes are gone, also after an error in the block."""
    model = around(Inline())
    with torch.no_grad():
        bare = model(images)
        for _ in range(2):
            with capture_gates(model):
                assert torch.equal(model(images), bare)
            find_gates(model, size=32)
    handle = model.get_submodule("1.norm").register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="broken"), capture_gates(model):
        model(images)
    handle.remove()
    assert torch.overrides._get_current_function_mode_stack() == []
    assert sum(len(module._forward_hooks) for module in model.modules()) == 0
    assert_told(model, images)


def fail(*_: object) -> None:
    raise RuntimeError("this layer is broken")


def test_a_pass_that_an_interrupt_ends_leaves_no_mode(images: Tensor):
    """PyTorch calls no hook when a pass is interrupted, and pages end passes so."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    model = around(Inline())
    model.get_submodule("1.norm").register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt), capture_gates(model):
        model(images)
    assert torch.overrides._get_current_function_mode_stack() == []


def test_threads_capture_from_one_model(images: Tensor):
    """Hooks belong to the model and modes to the thread: each gets its own gates, every time."""
    model = around(Inline())
    find_gates(model, size=32)
    inputs = torch.randn(4, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))

    def capture(image: Tensor) -> Tensor:
        with torch.no_grad(), capture_gates(model) as records:
            model(image)
        return records[0].gate

    alone = [capture(image) for image in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            gates = [*pool.map(capture, inputs)]
            assert gates == [Same(gate) for gate in alone]


@pytest.mark.parametrize("way", ["operator", "einsum", "in place", "copied", "permuted"])
def test_an_edit_is_the_forward_with_the_gate_replaced(way: str, images: Tensor):
    """Values and gradients equal those of a block written by hand with the gate replaced: by the
    input, and by the weights of the excitation.
    """
    scale = PRODUCTS[way]

    def edit(gate: Tensor) -> Tensor:
        return gate * torch.linspace(0, 1, C) + 0.1

    model = around(variant("Scales", scale=lambda _, x, s: scale(x, s))())
    replaced = around(variant("Edited", scale=lambda _, x, s: scale(x, edit(s)))())
    replaced.load_state_dict(model.state_dict())
    answers = []
    for network, changes in ((model, {"1": edit}), (replaced, {})):
        inputs = images.clone().requires_grad_()
        with edit_gates(network, changes):
            output = network(inputs) if changes else None
        output = network(inputs) if output is None else output
        weights = [
            inputs,
            *(network.get_parameter(name) for name in ("1.down.weight", "1.up.bias")),
        ]
        answers.append((output, *torch.autograd.grad(output.square().sum(), weights)))
    for value, other in zip(*answers, strict=True):
        torch.testing.assert_close(value, other)
    with edit_gates(model, {"1": torch.ones_like}), torch.no_grad():
        torch.testing.assert_close(model(images), model[2](model[0](images)))


def test_edits_nest_and_a_capture_sees_them(images: Tensor):
    """An inner edit is given the outer one's gates, and a capture records what multiplies."""
    model = around(Inline())
    find_gates(model, size=32)
    outer = edit_gates(model, {"1": torch.ones_like})
    inner = edit_gates(model, {"1": lambda gate: gate / 4})
    with torch.no_grad(), capture_gates(model) as records, outer, inner:
        model(images)
    assert records[0].gate.unique().tolist() == [0.25]


def test_a_wrong_edit_is_told(images: Tensor):
    """The same sentences as for blocks of a known class."""
    model = around(Plain())
    with (
        pytest.raises(EditError, match=r"The edit of 1 returned 2x3 of float32|returned \(2, 3\)"),
        edit_gates(model, {"1": lambda gate: gate[:, :3]}),
    ):
        model(images)
    with (
        pytest.raises(NoSEBlocksError, match=r"no SE block '7'\. Choose among: 1\."),
        edit_gates(model, {"7": torch.ones_like}),
    ):
        pass


def test_another_way_than_the_one_that_was_inspected_is_told(images: Tensor):
    """A gate that is missing in a later pass must not go unseen."""
    block = Switched()
    model = around(block)
    find_gates(model, size=32)
    block.on = False
    with (
        pytest.raises(CaptureError, match=r"1 \(Switched\) multiplied by 0 gates .* Inspect"),
        capture_gates(model),
    ):
        model(images)


class Switched(Plain):
    """Leaves its product out when it is off."""

    on = True

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.on else x


def test_a_changed_model_is_looked_at_again(images: Tensor):
    """What was found belongs to the modules of then."""
    model = nn.Sequential(nn.Conv2d(3, C, 1), Plain(), nn.Identity()).eval()
    assert [site.block for site in find_gates(model, size=32)] == ["1"]
    model[2] = Plain().eval()
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    assert [record.block for record in records] == ["1", "2"]


def test_blocks_of_both_kinds_come_in_their_order(images: Tensor):
    """The table's way and the other one serve one pass."""
    block = SqueezeExcitation(C, 4)
    model = nn.Sequential(nn.Conv2d(3, C, 1), Plain(), block, Inline()).eval()
    for _ in range(2):
        with torch.no_grad(), capture_gates(model) as records:
            model(images)
        assert [record.block for record in records] == ["1", "2", "3"]
        assert [site.block for site in find_gates(model, size=32)] == ["1", "2", "3"]


def test_gradient_checkpointing_edits_the_second_run_too(images: Tensor):
    """Else the way back would go through other gates than the way there."""

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, C, 1)
            self.se = Plain()
            self.on = True

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            if self.on:
                return checkpoint(self.se, x, use_reentrant=False)
            return self.se(x)

    torch.manual_seed(0)
    model = Checkpointed().eval()
    find_gates(model, size=32)
    slopes = []
    for on in (True, False):
        model.on = on
        inputs = images.clone().requires_grad_()
        with capture_gates(model) as records, edit_gates(model, {"se": lambda gate: gate**2}):
            (slope,) = torch.autograd.grad(model(inputs).square().sum(), inputs)
        assert len(records) == 1
        slopes.append(slope)
    torch.testing.assert_close(*slopes)


def test_one_excitation_for_several_places_is_that_of_each_product(images: Tensor):
    """Its gates multiply two maps: an edit of the block edits both."""
    model = around(Shared())
    sites = find_gates(model, size=32)
    assert [site.name for site in sites] == ["1", "1#2"]
    with capture_gates(model) as records, edit_gates(model, {"1": torch.zeros_like}):
        model(images)
    assert [float(record.gate.abs().max()) for record in records] == [0, 0]


class Unet(nn.Module):
    """Excitations of several widths, written in the model's own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.second = nn.Conv2d(8, 16, 3, 2, 1)
        self.gates = nn.ModuleList([nn.Linear(8, 8), nn.Linear(16, 16)])

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip((self.first, self.second), self.gates, strict=True):
            x = layer(x)
            x = x * gate(x.mean((2, 3))).sigmoid()[..., None, None]
        return x


def test_gates_in_the_models_own_forward_have_its_path(images: Tensor):
    """The module whose code multiplies is the model; an edit fits all of its products."""
    torch.manual_seed(0)
    model = Unet().eval()
    sites = find_gates(model, size=32)
    assert [(site.name, site.stage, site.channels) for site in sites] == [("", 1, 8), ("#2", 2, 16)]
    with pytest.raises(EditError, match=r"The model itself has no channel 9\. Choose from 0 to 7"):
        compile_edits([set_gates("", 0, channels=[9])], sites)
    edits = compile_edits([set_gates("", 0, channels=[7])], sites)
    with torch.no_grad(), capture_gates(model) as records, edit_gates(model, edits):
        model(images)
    assert [record.gate[0].eq(0).nonzero().flatten().tolist() for record in records] == [[7], [7]]


def test_a_pass_on_shapes_alone_is_told(images: Tensor):
    """There are no values to record, and nothing breaks on the way there."""
    model = around(Inline()).to("meta")
    find = pytest.raises(CaptureError, match="ran on shapes alone")
    with find, capture_gates(model), torch.no_grad():
        model(images.to("meta"))


def test_a_torchscript_part_is_named():
    """No function inside is seen, so that what it makes of a squeeze is not known."""
    block = Plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        block.set_submodule("up", torch.jit.script(block.up))
    inspection = inspect_gates(around(block), size=32)
    assert list(inspection.refused) == ["1.up"]
    assert "is TorchScript" in inspection.refused["1.up"]
