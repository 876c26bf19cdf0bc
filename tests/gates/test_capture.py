import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v3_small
from torchvision.ops import SqueezeExcitation

from se_viz.gates import GateRecord, capture_gates, find_gates

UNITS = (3, 4, 6, 3)
"""Residual units of ResNet-50 in stages 2 to 5 (He et al., arXiv 1512.03385, Table 1)."""
PATHS = [
    f"layer{layer}.{unit}.bn3.1" for layer, count in enumerate(UNITS, 1) for unit in range(count)
]
STAGES = [stage for stage, count in enumerate(UNITS, 2) for _ in range(count)]


def watch(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
    """Return the logits, and every SE block's input U and output, seen by hooks of the test's
    own.
    """
    maps: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    for path, block in se_blocks(model).items():

        def keep(_: nn.Module, args: tuple[Tensor], output: Tensor, path: str = path) -> None:
            # The residual addition edits the block's output in place.
            maps[path] = args[0].clone(), output.clone()

        handles.append(block.register_forward_hook(keep))
    with torch.no_grad():
        logits = model(images)
    for handle in handles:
        handle.remove()
    return logits, maps


def se_blocks(model: nn.Module) -> dict[str, SqueezeExcitation]:
    return {
        path: block for path, block in model.named_modules() if isinstance(block, SqueezeExcitation)
    }


def capture(model: nn.Module, images: Tensor) -> list[GateRecord]:
    with capture_gates(model) as records, torch.no_grad():
        model(images)
    return records


def same(first: list[GateRecord], second: list[GateRecord]) -> bool:
    """Compare two captures bit for bit."""
    return len(first) == len(second) and all(
        a.block == b.block and torch.equal(a.squeeze, b.squeeze) and torch.equal(a.gate, b.gate)
        for a, b in zip(first, second, strict=True)
    )


def test_squeeze_and_gate_are_the_papers_formula_bit_for_bit(se_net: nn.Module, images: Tensor):
    """Equations 2 and 3 of arXiv 1709.01507 on U, with the operations PyTorch itself uses: no bit
    may differ.
    """
    _, maps = watch(se_net, images)
    for record in capture(se_net, images):
        block = se_blocks(se_net)[record.block]
        squeeze = maps[record.block][0].mean((2, 3), keepdim=True)
        hidden = F.relu(F.conv2d(squeeze, block.fc1.weight, block.fc1.bias))
        gate = torch.sigmoid(F.conv2d(hidden, block.fc2.weight, block.fc2.bias))
        assert torch.equal(record.squeeze, squeeze.flatten(1))
        assert torch.equal(record.gate, gate.flatten(1))


def test_squeeze_and_gate_agree_with_matrices_in_double_precision(
    se_net: nn.Module, images: Tensor
):
    """The same equations without convolutions or pooling: sums, two matrices and 1 / (1 +
    exp(-x)).
    """
    _, maps = watch(se_net, images)
    for record in capture(se_net, images):
        block = se_blocks(se_net)[record.block]
        features = maps[record.block][0].double()
        first, second = (layer.weight[:, :, 0, 0].double() for layer in (block.fc1, block.fc2))
        assert block.fc1.bias is not None
        assert block.fc2.bias is not None
        squeeze = features.sum((2, 3)) / (features.shape[2] * features.shape[3])
        hidden = (squeeze @ first.T + block.fc1.bias).clamp(min=0)
        gate = 1 / (1 + torch.exp(-(hidden @ second.T + block.fc2.bias)))
        torch.testing.assert_close(record.squeeze, squeeze.float())
        torch.testing.assert_close(record.gate, gate.float())


def test_gate_is_what_the_block_multiplied_by(se_net: nn.Module, images: Tensor):
    """Block input times recorded gate is the block output, by the definition of recalibration."""
    _, maps = watch(se_net, images)
    for record in capture(se_net, images):
        features, output = maps[record.block]
        assert torch.equal(record.gate[:, :, None, None] * features, output)


def test_the_fixture_has_gates_worth_testing(se_net: nn.Module, images: Tensor):
    """Were U zero, or every gate the same, each equality in this file would hold for a wrong
    capture too.
    """
    for record in capture(se_net, images):
        assert record.squeeze.std() > 0.1
        assert record.gate.std() > 0.05
        assert not torch.equal(record.gate[0], record.gate[1])


def test_torchvisions_own_se_networks_are_captured_too(images: Tensor):
    """The block's class counts, not who built the net: MobileNetV3 has hard-sigmoid gates and
    other paths.
    """
    torch.manual_seed(0)
    model = mobilenet_v3_small(weights=None).eval()
    _, maps = watch(model, images)
    records = capture(model, images)
    assert [record.block for record in records] == list(maps)
    assert all(
        torch.equal(r.gate[:, :, None, None] * maps[r.block][0], maps[r.block][1]) for r in records
    )
    assert {site.function for site in find_gates(model)} == {"Hardsigmoid"}


def test_records_come_in_forward_order_with_their_stages(se_net: nn.Module, images: Tensor):
    """Stage 2 is a quarter of the image's side and each later stage half the one before: blocks 3,
    4, 6, 3.
    """
    records = capture(se_net, images)
    assert [record.block for record in records] == PATHS
    assert [record.stage for record in records] == STAGES


def test_an_image_given_by_name_has_the_same_stages(se_net: nn.Module, images: Tensor):
    """The stride is measured against the image, which callers may pass as a keyword."""
    with capture_gates(se_net) as records:
        se_net(x=images)
    assert [record.stage for record in records] == STAGES


def test_records_are_plain_values(se_net: nn.Module, images: Tensor):
    """A record outlives the pass: float32, on the CPU, without gradient, and fit for autograd
    afterwards.
    """
    with torch.inference_mode(), capture_gates(se_net.double(), keep_features=PATHS) as records:
        se_net(images.double())
    for record in records:
        assert record.features is not None
        for value in (record.squeeze, record.gate, record.features):
            assert (value.dtype, value.device.type) == (torch.float32, "cpu")
            assert not value.requires_grad
            assert not value.is_inference()


def test_a_pass_with_gradients_leaves_records_without(se_net: nn.Module, images: Tensor):
    """A record that held the graph would keep every feature map of the pass in memory."""
    with capture_gates(se_net) as records:
        se_net(images).sum().backward()
    assert not any(
        value.requires_grad for record in records for value in (record.squeeze, record.gate)
    )


def test_a_record_is_not_edited_by_what_the_model_does_next(se_net: nn.Module, images: Tensor):
    """On the CPU moving a tensor is no copy, and the next layer may work in place on what was
    recorded.
    """
    before = capture(se_net, images)
    first = PATHS[0]
    gates: list[Tensor] = []
    with capture_gates(se_net, keep_features=[first]) as records:
        se_net.get_submodule(f"{first}.scale_activation").register_forward_hook(
            lambda *call: gates.append(call[2])
        )

        def wipe(_: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
            for value in (gates[0], args[0], output):
                value.data.zero_()

        se_net.get_submodule(first).register_forward_hook(wipe)
        se_net(images)
    assert same(records[:1], before[:1])
    assert records[0].features is not None
    assert records[0].features.abs().sum() > 0


def test_nested_captures_see_the_same_pass(se_net: nn.Module, images: Tensor):
    """Each with block has a list of its own, and the inner one's end does not end the outer one."""
    with capture_gates(se_net) as outer:
        with capture_gates(se_net) as inner:
            se_net(images)
        se_net(images)
    assert len(outer) == 2 * len(inner) == 2 * len(PATHS)
    assert same(outer[: len(PATHS)], inner)


def test_a_part_of_a_model_can_be_captured_inside_its_whole(se_net: nn.Module, images: Tensor):
    """Captures are told apart by the model they were opened on: values agree, paths are relative
    to it.
    """
    model = nn.Sequential(se_net)
    with capture_gates(model) as whole, capture_gates(se_net) as part:
        model(images)
    assert [record.block for record in whole] == [f"0.{path}" for path in PATHS]
    assert [record.block for record in part] == PATHS
    assert all(torch.equal(a.gate, b.gate) for a, b in zip(whole, part, strict=True))


def test_two_passes_give_two_batches(se_net: nn.Module, images: Tensor):
    """The list grows by one record a block and pass; an earlier pass is not overwritten."""
    mirrored = images.flip(3)
    with capture_gates(se_net) as records:
        se_net(images)
        se_net(mirrored)
    assert same(records[: len(PATHS)], capture(se_net, images))
    assert same(records[len(PATHS) :], capture(se_net, mirrored))


def test_features_are_kept_where_asked_for(se_net: nn.Module, images: Tensor):
    """U of all blocks of one image would take 42 MiB at full size, so only the named ones are
    kept.
    """
    block = PATHS[7]
    _, maps = watch(se_net, images)
    with capture_gates(se_net, keep_features=[block]) as records:
        se_net(images)
    features = {record.block: record.features for record in records if record.features is not None}
    assert list(features) == [block]
    assert torch.equal(features[block], maps[block][0])


def test_bfloat16_is_recorded_as_float32(se_net: nn.Module, images: Tensor):
    """Under autocast the gates are bfloat16, which NumPy cannot hold; every bfloat16 is a
    float32.
    """
    with torch.autocast("cpu", torch.bfloat16):
        bare, maps = watch(se_net, images)
        with capture_gates(se_net) as records, torch.no_grad():
            logits = se_net(images)
    assert torch.equal(logits, bare)
    for record in records:
        features, output = maps[record.block]
        assert features.dtype == torch.bfloat16
        assert torch.equal(record.gate, record.gate.bfloat16().float())
        assert torch.equal(record.gate[:, :, None, None].bfloat16() * features, output)
        assert record.gate.numpy().dtype == "float32"


def test_find_gates_lists_every_block(se_net: nn.Module):
    """A quarter of the paper's channels (64, 128, 256, 512), with the paper's sigmoid."""
    sites = find_gates(se_net)
    assert [(site.block, site.stage) for site in sites] == list(zip(PATHS, STAGES, strict=True))
    assert [site.channels for site in sites] == [64 * 2 ** (stage - 2) for stage in STAGES]
    assert {site.function for site in sites} == {"Sigmoid"}
