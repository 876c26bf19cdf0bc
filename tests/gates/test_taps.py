"""A tap sees one feature map of one model, in the passes of its own object, and changes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from se_viz import capture_gates
from se_viz.errors import CaptureError
from se_viz.gates.taps import Spot, Tapped
from tests.support.reused import Last, Twice, TwiceApart

BLOCK = "layer3.2.bn3.1"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Named(Twice):
    """A block that is given its input by name."""

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit a channel."""
        return self.se(input=self.stem(images)).mean((2, 3))


def whole(answer: Tensor) -> Tensor:
    return answer


def see(model: nn.Module, images: Tensor, spot: Spot) -> tuple[Tensor, Tensor]:
    """Return a tapped model's answer, and what its tap was given."""
    tapped = Tapped(model, [spot], whole)
    outputs = []
    with (
        tapped.taps[0].register_forward_hook(
            lambda _module, _inputs, output: outputs.append(output.clone())
        ),
        torch.no_grad(),
    ):
        answer = tapped(images)
    return answer, outputs[0]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("build", "path", "call"),
    [(Twice, "se", 0), (Twice, "se", 1), (Last, "se", 0), (Named, "se", 0)],
)
def test_a_tap_sees_u_and_x_and_changes_nothing(
    build: Callable[[], nn.Module], path: str, call: int, after: bool
):
    """X~ is gate times U by the paper's eq.

    4, whatever the order of axes and the use; the answer stays to the bit.
    """
    torch.manual_seed(0)
    model = build().eval()
    images = torch.randn(2, 3, 6, 5)
    with (
        capture_gates(model, keep_features=[path, f"{path}#2"] if call else [path]) as records,
        torch.no_grad(),
    ):
        expected = model(images)
    record = next(record for record in records if record.call == call)
    assert record.features is not None
    answer, features = see(model, images, Spot(path, after, call))
    scaled = record.features * record.gate[:, :, None, None]
    torch.testing.assert_close(features, scaled if after else record.features)
    assert torch.equal(answer, expected)


@pytest.mark.parametrize(
    ("build", "path", "call"),
    [(Twice, "se", 0), (TwiceApart, "se", 1), (Last, "se", 0), (Named, "se", 0)],
)
def test_a_tap_sees_gates_and_changes_nothing(build: Callable[[], nn.Module], path: str, call: int):
    """One row an image, whatever the block's own shape of them; what a capture reads of the same
    pass.
    """
    torch.manual_seed(0)
    model = build().eval()
    images = torch.randn(2, 3, 6, 5)
    with capture_gates(model) as records, torch.no_grad():
        expected = model(images)
    record = next(record for record in records if record.call == call)
    answer, gates = see(model, images, Spot(path, call=call, gates=True))
    assert torch.equal(gates, record.gate)
    assert torch.equal(answer, expected)


def test_gates_that_a_tap_returns_are_what_the_block_multiplies_by():
    """With gates of 0 a network that ends in the mean of X~ answers 0; hooks are gone with the
    pass.
    """
    torch.manual_seed(0)
    model = Last().eval()
    tapped = Tapped(model, [Spot("se", gates=True), Spot("se")], whole)

    def close(_module: nn.Module, _inputs: object, gates: Tensor) -> Tensor:
        return torch.zeros_like(gates)

    with tapped.taps[0].register_forward_hook(close), torch.no_grad():
        assert not tapped(torch.randn(2, 3, 6, 5)).any()
    assert sum(len(getattr(module, kind)) for module in model.modules() for kind in HOOKS) == 0


def test_a_use_that_no_pass_makes_of_a_gate_is_said():
    """A map of another use would be a wrong picture."""
    tapped = Tapped(Last().eval(), [Spot("se", call=1, gates=True)], whole)
    with pytest.raises(
        CaptureError, match=r"^se is not used so often in a pass\. Choose one of its uses\.$"
    ):
        tapped(torch.randn(1, 3, 6, 5))


def test_what_is_read_is_not_overwritten_by_the_next_layer(se_net: nn.Module, images: Tensor):
    """A ResNet adds its shortcut to X~ in place: a plain hook's tensor holds the sum, a tap's
    still X~.
    """
    plain: list[Any] = []
    hook = se_net.get_submodule(BLOCK).register_forward_hook(
        lambda _module, _inputs, output: plain.append(output)
    )
    with hook, capture_gates(se_net, keep_features=[BLOCK]) as records, torch.no_grad():
        se_net(images)
    record = next(record for record in records if record.block == BLOCK)
    assert record.features is not None
    scaled = record.features * record.gate[:, :, None, None]
    tapped = Tapped(se_net, [Spot(BLOCK)], whole)
    outputs = list[Any]()
    with (
        tapped.taps[0].register_forward_hook(lambda _m, _i, output: outputs.append(output)),
        torch.no_grad(),
    ):
        tapped(images)
    assert torch.equal(outputs[0], scaled)
    assert not torch.equal(plain[0], scaled)


def test_what_a_tap_returns_is_what_the_model_goes_on_with(images: Tensor):
    """A network of one block ends in the mean of X~: put zeros there, and the answer is 0."""
    torch.manual_seed(0)
    tapped = Tapped(Last().eval(), [Spot("se")], whole)
    to_zeros: Any = lambda _module, _inputs, output: 0 * output  # noqa: E731
    with tapped.taps[0].register_forward_hook(to_zeros):
        assert torch.equal(tapped(images), torch.zeros(2, 8))
    assert tapped(images).abs().min() > 0


def test_others_do_not_pass_through_a_tap(se_net: nn.Module, images: Tensor):
    """One model serves every session: a pass of another thread, in the middle of a tapped one, is
    like any other.
    """
    with torch.no_grad():
        expected = se_net(images)
    tapped = Tapped(se_net, [Spot(BLOCK)], whole)
    answers = list[Tensor]()
    passes = list[int]()

    def meanwhile(_module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> Tensor:
        passes.append(1)
        with ThreadPoolExecutor(1) as pool:
            answers.append(pool.submit(lambda: se_net(images).detach()).result())
        return 0 * output

    with tapped.taps[0].register_forward_hook(meanwhile), torch.no_grad():
        zeroed = tapped(images)
    assert passes == [1]
    assert torch.equal(answers[0], expected)
    assert not torch.equal(zeroed, expected)


def test_nothing_stays_on_the_model_after_an_error(se_net: nn.Module, images: Tensor):
    """An attribution may be stopped in the middle of a pass."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    tapped = Tapped(se_net, [Spot(BLOCK)], whole)
    with tapped.taps[0].register_forward_hook(stop), pytest.raises(KeyboardInterrupt):
        tapped(images)
    assert sum(len(getattr(module, name)) for module in se_net.modules() for name in HOOKS) == 0


def test_a_use_that_no_pass_reaches_is_named():
    """Nothing would be tapped, and the map be that of another place."""
    with pytest.raises(
        CaptureError, match=r"se is not used so often in a pass\. Choose one of its uses"
    ):
        Tapped(Twice().eval(), [Spot("se", call=2)], whole)(torch.ones(1, 3, 4, 4))


def test_what_is_no_feature_map_is_refused(se_net: nn.Module, images: Tensor):
    """The classifier puts out logits: they have no places."""
    with pytest.raises(CaptureError, match=r"fc has \(2, 5\) where a feature map should be"):
        Tapped(se_net, [Spot("fc")], whole)(images)
