from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.errors import CaptureError, NoSEBlocksError
from se_viz.gates import Spelling, capture_gates, find_gates


def count_hooks(model: nn.Module) -> int:
    """Count every kind of hook that PyTorch keeps on a module."""
    tables = [
        value
        for module in model.modules()
        for name, value in vars(module).items()
        if name.endswith("hooks")
    ]
    return sum(len(table) for table in tables)


def capture(model: nn.Module, images: Tensor) -> Tensor:
    """Return every squeeze and gate of one captured pass in one row, to be compared bit for bit."""
    with capture_gates(model) as records, torch.no_grad():
        model(images)
    assert len(records) == 16
    return torch.cat(
        [value.flatten() for record in records for value in (record.squeeze, record.gate)]
    )


def fail(*_: object) -> None:
    raise RuntimeError("this layer is broken")


def test_the_output_of_the_model_does_not_change(se_net: nn.Module, images: Tensor):
    """Capture looks on: a hook that returned something would replace the block's output."""
    blocks = [site.block for site in find_gates(se_net)]
    with torch.no_grad():
        bare = se_net(images)
        with capture_gates(se_net, keep_features=blocks):
            captured = se_net(images)
    assert torch.equal(captured, bare)


def test_hooks_are_gone_after_success(se_net: nn.Module, images: Tensor):
    """State is borrowed: the model has hooks inside the block only."""
    with capture_gates(se_net):
        se_net(images)
        assert count_hooks(se_net) > 0
    assert count_hooks(se_net) == 0


def test_hooks_are_gone_after_an_error_in_the_with_block(se_net: nn.Module):
    """State is borrowed also by code that fails."""
    with pytest.raises(RuntimeError, match="broken"), capture_gates(se_net):
        fail()
    assert count_hooks(se_net) == 0


def test_hooks_are_gone_after_an_error_in_the_forward_pass(se_net: nn.Module, images: Tensor):
    """A pass that stops half-way must neither leave hooks nor spoil the next capture."""
    before = capture(se_net, images)
    handle = se_net.get_submodule("layer3.2").register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="broken"):
        capture(se_net, images)
    handle.remove()
    assert count_hooks(se_net) == 0
    assert torch.equal(capture(se_net, images), before)


def test_hooks_are_gone_after_a_spelling_that_does_not_fit(
    se_net: nn.Module, monkeypatch: pytest.MonkeyPatch
):
    """A wrong row in the table is said in a sentence, and no hook was set for the child that is
    there.
    """
    wrong = Spelling(SqueezeExcitation, squeeze="fc1", gate="no_such_child")
    monkeypatch.setattr("se_viz.gates.spellings.SPELLINGS", [wrong])
    with (
        pytest.raises(
            CaptureError, match=r"no child 'no_such_child' here.*Correct the row in `se_viz"
        ),
        capture_gates(se_net),
    ):
        pass
    assert count_hooks(se_net) == 0


def test_hooks_of_others_stay(se_net: nn.Module, images: Tensor):
    """Only what capture added is removed."""
    se_net.register_forward_hook(lambda *_: None)
    capture(se_net, images)
    assert count_hooks(se_net) == 1


def test_an_unknown_block_name_is_refused(se_net: nn.Module):
    """A misspelt path would otherwise give a record without features, with no reason."""
    with (
        pytest.raises(
            NoSEBlocksError, match=r"no SE block 'layer9'\. Choose among: layer1\.0\.bn3\.1, "
        ),
        capture_gates(se_net, keep_features=["layer9"]),
    ):
        pass
    assert count_hooks(se_net) == 0


@pytest.mark.parametrize("use", [find_gates, lambda model: capture_gates(model).__enter__()])
@pytest.mark.parametrize(
    "model", [nn.Sequential(nn.Conv2d(3, 8, 1)), nn.Sequential()], ids=["plain", "empty"]
)
def test_a_model_without_se_blocks_is_refused(model: nn.Module, use: Callable[[nn.Module], object]):
    """An empty list would look like a network whose gates do nothing."""
    message = (
        r"Sequential has no squeeze-and-excitation block .*SqueezeExcitation.*add one row to "
        r"`se_viz\.gates"
    )
    with pytest.raises(NoSEBlocksError, match=message):
        use(model)


def test_a_compiled_model_is_refused(se_net: nn.Module):
    """Hooks that come after the first call of a compiled model, or part, are ignored: the list
    would stay empty.
    """
    compiled: Any = torch.compile(se_net)
    for model in (compiled, nn.Sequential(compiled)):
        for use in (find_gates, lambda model: capture_gates(model).__enter__()):
            with pytest.raises(NoSEBlocksError, match="Capture from the model you compiled"):
                use(model)
    assert count_hooks(se_net) == 0


def test_eight_threads_share_one_model(se_net: nn.Module):
    """Hooks belong to the model and sessions are threads: each must get its own image's gates,
    every time.
    """
    threads = 8
    rounds = 12
    inputs = torch.randn(threads, 1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    alone = [capture(se_net, image) for image in inputs]
    start = Barrier(threads)

    def session(index: int) -> list[bool]:
        start.wait()
        return [torch.equal(capture(se_net, inputs[index]), alone[index]) for _ in range(rounds)]

    with ThreadPoolExecutor(threads) as pool:
        verdicts = [verdict for part in pool.map(session, range(threads)) for verdict in part]
    assert verdicts == [True] * (threads * rounds)
    assert count_hooks(se_net) == 0


def test_a_thread_that_only_runs_the_model_is_not_recorded(se_net: nn.Module, images: Tensor):
    """A session sees its own passes, not those of a session beside it; one that has none of its
    own is told.
    """

    def run_elsewhere() -> None:
        thread = Thread(target=se_net, args=(images,))
        thread.start()
        thread.join()

    with capture_gates(se_net) as records:
        se_net(images)
        own = len(records)
        run_elsewhere()
    assert len(records) == own > 0
    with pytest.raises(CaptureError, match="only those of the thread"), capture_gates(se_net):
        run_elsewhere()


def test_find_gates_leaves_the_model_as_it_was(se_net: nn.Module):
    """Its black image must not teach the norms of a model in training, nor end a frozen part's own
    mode.
    """
    se_net.train().get_submodule("layer2").eval()
    modes = [module.training for module in se_net.modules()]
    state = {name: value.clone() for name, value in se_net.state_dict().items()}
    find_gates(se_net, size=64)
    assert [module.training for module in se_net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in se_net.state_dict().items())
    assert count_hooks(se_net) == 0


def test_find_gates_restores_the_mode_after_an_error(se_net: nn.Module):
    """What is borrowed is put back also when the model cannot take an image."""
    se_net.train().get_submodule("layer3").register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="broken"):
        find_gates(se_net, size=64)
    assert all(module.training for module in se_net.modules())
    assert count_hooks(se_net) == 1


def test_a_part_of_the_model_is_refused_instead_of_given_a_wrong_stage(
    se_net: nn.Module, images: Tensor
):
    """The stage is the image's side over the block's: without the image's call there is none, nor
    an earlier one's.
    """
    with capture_gates(se_net) as records:
        se_net(images)
        with pytest.raises(CaptureError, match=r"Call the model that was given to `capture_gates`"):
            se_net.forward(images)
        assert {record.stage for record in records} == {2, 3, 4, 5}
