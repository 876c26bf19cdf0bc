from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from timm.layers.eca import CecaModule, EcaModule
from timm.layers.squeeze_excite import SqueezeExciteCl
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import GateRecord, capture_gates, gate_jacobian
from se_viz.errors import ExcitationError
from se_viz.gates.jacobian import average_cells, find_pattern, find_strongest

BLOCK = "layer3.2.bn3.1"


def record_of(model: nn.Module, images: Tensor, block: str) -> GateRecord:
    with torch.no_grad(), capture_gates(model) as records:
        model(images)
    return next(record for record in records if record.block == block)


def closed_form(block: nn.Module, squeeze: Tensor) -> np.ndarray:
    """Return sigma'(logit) W2 diag(delta'(a)) W1 of torchvision's block, by NumPy in double
    precision.
    """
    w1, b1, w2, b2 = (value.detach().double().numpy().squeeze() for value in block.parameters())
    before = w1 @ squeeze.double().numpy() + b1
    gate = 1 / (1 + np.exp(-(w2 @ np.maximum(before, 0) + b2)))
    return (gate * (1 - gate))[:, None] * (w2 @ ((before > 0)[:, None] * w1))


@pytest.mark.parametrize("image", [0, 1])
def test_the_jacobian_is_the_closed_form(se_net: nn.Module, images: Tensor, image: int):
    """The chain rule through the paper's formula, by another library, for each image of a batch."""
    record = record_of(se_net, images, BLOCK)
    expected = closed_form(se_net.get_submodule(BLOCK), record.squeeze[image])
    jacobian = gate_jacobian(se_net, record, image=image)
    # float32 sums of as many terms as there are hidden units.
    np.testing.assert_allclose(
        jacobian.numpy(), expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max()
    )


@pytest.mark.parametrize(
    "make", [EcaModule, CecaModule, SqueezeExciteCl], ids=["eca", "padded", "last"]
)
def test_every_form_has_the_jacobian_of_finite_differences(
    make: Callable[[int], nn.Module], images: Tensor
):
    """Other forms have no closed form here; what a small change of one squeeze does to the gates
    tells the same.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        block = make(16).double().eval()
    last = make is SqueezeExciteCl

    def gates(squeeze: Tensor) -> Tensor:
        maps = squeeze[:, :, None, None]
        # The block's output for a map of ones times z is z times its gate.
        out = block(maps.movedim(1, -1)).movedim(-1, 1) if last else block(maps)
        return (out / maps)[:, :, 0, 0].detach()

    squeeze = (
        torch.randn(1, 16, generator=torch.Generator().manual_seed(4), dtype=torch.float64) + 3
    )
    step = 1e-6
    moved = squeeze + step * torch.eye(16, dtype=torch.float64)
    expected = (
        (gates(moved) - gates(moved - 2 * step * torch.eye(16, dtype=torch.float64))) / (2 * step)
    ).T
    record = GateRecord("", 0, squeeze.float(), gates(squeeze).float())
    # The record's squeeze is float32, and the differences are good to the square of the step.
    np.testing.assert_allclose(
        gate_jacobian(block, record).numpy(), expected.numpy(), rtol=1e-3, atol=1e-6
    )


def test_some_rows_are_rows_of_the_whole(se_net: nn.Module, images: Tensor):
    """One channel of a wide block need not pay for all; the numbers must not depend on who asks."""
    record = record_of(se_net, images, BLOCK)
    whole = gate_jacobian(se_net, record)
    rows = gate_jacobian(se_net, record, channels=[5, 0, 17])
    # Another number of rows in a pass adds up in another order.
    torch.testing.assert_close(rows, whole[[5, 0, 17]], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("channels", [[-1], [256], [0, 4000]])
def test_a_channel_that_is_not_there_is_refused(
    se_net: nn.Module, images: Tensor, channels: list[int]
):
    """A negative number would silently count from the end."""
    record = record_of(se_net, images, BLOCK)
    with pytest.raises(ExcitationError, match="has the channels 0 to"):
        gate_jacobian(se_net, record, channels=channels)


def test_two_thousand_channels_come_in_chunks():
    """The widest blocks of ResNets: more rows than one pass takes, each as the closed form has
    it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = nn.Sequential(nn.Conv2d(3, 2048, 1), SqueezeExcitation(2048, 128)).eval()
    record = record_of(
        model, torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)), "1"
    )
    expected = closed_form(model[1], record.squeeze[0])
    jacobian = gate_jacobian(model, record).numpy()
    np.testing.assert_allclose(jacobian, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_nothing_is_left_behind_in_inference_mode(se_net: nn.Module, images: Tensor):
    """Callers run in inference mode, where gradients are off; and no gradient may stay on the
    weights.
    """
    record = record_of(se_net, images, BLOCK)
    with torch.inference_mode():
        assert gate_jacobian(se_net, record, channels=[3]).any()
    assert all(value.grad is None for value in se_net.parameters())
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in se_net.modules()
    )


def test_a_hidden_pattern_is_put_in_order():
    """A matrix of rank one, shuffled: sorted by its vectors, both fall, and it is all of the
    squared entries.
    """
    order = np.random.default_rng(0)
    gate_side = order.permutation(np.arange(1.0, 41))
    squeeze_side = order.permutation(np.arange(1.0, 41) - 15)
    pattern = find_pattern(torch.from_numpy(np.outer(gate_side, squeeze_side)).float())
    assert gate_side[pattern.rows.numpy()].tolist() == sorted(gate_side, reverse=True)
    assert squeeze_side[pattern.columns.numpy()].tolist() == sorted(squeeze_side, reverse=True)
    assert pattern.share == pytest.approx(1.0, abs=1e-5)


def test_the_share_is_that_of_the_first_singular_value():
    """The squares of the singular values sum to the squared entries (Eckart and Young)."""
    values = np.random.default_rng(1).normal(size=(30, 30))
    singular = np.linalg.svd(values, compute_uv=False)
    share = find_pattern(torch.from_numpy(values).float()).share
    assert share == pytest.approx(singular[0] ** 2 / (values**2).sum(), rel=1e-4)


def test_a_jacobian_of_zeros_keeps_its_order():
    """Where every hidden unit is off no gate answers to anything, and there is no vector to sort
    by.
    """
    pattern = find_pattern(torch.zeros(5, 5))
    assert (pattern.rows.tolist(), pattern.columns.tolist(), pattern.share) == (
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],
        0.0,
    )


@pytest.mark.parametrize("size", [6, 7, 8])
def test_cells_hold_the_means_of_their_entries(size: int):
    """Cut by hand at the rounded thirds; where the size does not divide, cells differ by one
    row.
    """
    values = np.random.default_rng(2).normal(size=(size, size)).astype(np.float32)
    cuts = [0, round(size / 3), round(2 * size / 3), size]
    parts = list(pairwise(cuts))
    expected = [[values[a:b, c:d].mean(dtype=np.float64) for c, d in parts] for a, b in parts]
    np.testing.assert_allclose(average_cells(values, 3), expected)


def test_a_small_matrix_is_not_averaged():
    """With fewer rows than cells every entry is its own mean."""
    values = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(average_cells(values, 128), values)


def test_the_strongest_are_the_longest_rows_and_columns():
    """Lengths by NumPy, the longest first; the entries are those of the matrix, where these
    cross.
    """
    jacobian = torch.randn(40, 40, generator=torch.Generator().manual_seed(8))
    strongest = find_strongest(jacobian, 5)
    matrix = jacobian.numpy().astype(np.float64)
    rows, columns = (np.argsort(-np.linalg.norm(matrix, axis=axis))[:5] for axis in (1, 0))
    assert (strongest.rows.tolist(), strongest.columns.tolist()) == (
        rows.tolist(),
        columns.tolist(),
    )
    np.testing.assert_array_equal(strongest.values, jacobian.numpy()[np.ix_(rows, columns)])


def test_a_block_with_few_channels_shows_them_all():
    """There is nothing to leave out."""
    assert find_strongest(torch.eye(3), 24).values.shape == (3, 3)
