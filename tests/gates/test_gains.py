import pytest
import timm
import torch
from torch import Tensor, nn

from se_viz import (
    Network,
    capture_gates,
    compile_edits,
    edit_gates,
    find_gates,
    open_gate,
    set_gates,
)
from se_viz.charts.scales import Span, gate_span
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import Replacement, gates_of, run_counterfactuals
from se_viz.gates.gains import find_gains, plain_record
from se_viz.images.reading import list_samples, open_image
from se_viz.networks import list_networks
from se_viz.ui.explore.remarks import describe_scale

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network() -> Network:
    """Return a norm-free network of 26 layers; its attention multiplies by 2 beside the block."""
    torch.manual_seed(0)
    model = timm.create_model("nf_seresnet26", num_classes=5)
    for name, value in model.named_parameters():
        # Residual branches begin at 0, where nothing that happens in them can be seen.
        if name.endswith(("skipinit_gain", "conv3.gain")):
            nn.init.ones_(value)
    return Network.from_model(model, input_size=64)


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Return one image of noise."""
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def without_se(model: nn.Module, image: Tensor) -> Tensor:
    """Return the answer with every SE block taken out, and with it the constant beside it."""
    blocks = [
        module
        for module in model.modules()
        if hasattr(module, "attn_gain") and module.attn_last is not None
    ]
    attentions = [(block, block.attn_last, block.attn_gain) for block in blocks]
    try:
        for block in blocks:
            block.attn_last = nn.Identity()
            setattr(block, "attn_gain", 1.0)  # noqa: B010 (a module's attributes are typed as modules)
        with torch.no_grad():
            return model(image)
    finally:
        for block, attention, gain in attentions:
            block.attn_last = attention
            setattr(block, "attn_gain", gain)  # noqa: B010


def test_what_a_network_shows_is_gate_times_gain(network: Network):
    """Gates of a sigmoid times 2: the range is 0 to 2, its middle 1, and each value twice the
    captured one.
    """
    photo = open_image(list_samples()[0].path)
    records = analyse(network, photo).records
    with torch.inference_mode(), capture_gates(network.model) as captured:
        network.model(network.preprocess(photo))
    assert {(site.low, site.high, site.gain) for site in network.inspection.sites} == {
        (0.0, 2.0, 2.0)
    }
    assert gate_span(network.inspection.sites, records[0].gate.numpy()) == Span(0.0, 2.0)
    for record, plain in zip(records, captured, strict=True):
        assert torch.equal(record.gate, 2 * plain.gate)
        assert (record.gain, plain.gain) == (2.0, 1.0)
        assert torch.equal(plain_record(record).gate, plain.gate)


def test_gates_set_to_one_are_the_network_without_se(network: Network, image: Tensor):
    """A multiplier of 1 leaves each channel as it is: the same answer as with block and constant
    taken out.
    """
    expected = without_se(network.model, image)
    blocks = [site.block for site in network.inspection.sites]
    with (
        torch.no_grad(),
        edit_gates(network.model, compile_edits([set_gates(blocks, 1)], network.inspection.sites)),
    ):
        logits = network.model(image)
    with torch.no_grad():
        plain = network.model(image)
    # Multiplied by 0.5 and 2 or not at all: exact in binary.
    assert torch.equal(logits, expected)
    assert not torch.allclose(plain, expected)


def test_all_ones_are_the_network_without_se(network: Network):
    """The page says so of the counterfactual, and it has to hold where a constant stands beside
    the block.
    """
    photo = open_image(list_samples()[0].path)
    analysis = analyse(network, photo)
    (counterfactual,) = run_counterfactuals(
        network, photo, Replacement("ones", "network"), gates_of(analysis)
    )
    expected = (
        without_se(network.model, network.preprocess(photo))
        .softmax(1)[0, counterfactual.predicted]
        .item()
    )
    # A pass of two rows adds in another order than one of one.
    assert counterfactual.probability == pytest.approx(expected, rel=1e-4)


def test_gates_found_by_hand_are_the_blocks_own(network: Network):
    """The library's capture and edits speak of the block alone, whose output is its input times
    the gate.
    """
    assert {(site.low, site.high, site.gain) for site in find_gates(network.model, size=64)} == {
        (0.0, 1.0, 1.0)
    }


def test_a_shown_record_can_be_opened(network: Network):
    """The excitation makes the gate and knows nothing of the constant: its steps must end in the
    sigmoid.
    """
    record = analyse(network, open_image(list_samples()[0].path)).records[0]
    excitation = open_gate(network.model, record)
    assert excitation.exact
    assert torch.allclose(2 * excitation.gate, record.gate[0])


def test_the_caption_says_what_is_multiplied(network: Network):
    """0 to 2 on an axis that is called gate would look like a fault."""
    assert describe_scale(network.inspection.sites, Span(0.0, 2.0)) == (
        "This network multiplies by 2 beside each SE block, so gates are shown as gate x 2: 1 "
        "leaves a channel unchanged, as without the block."
    )


def test_every_norm_free_network_of_the_list_has_its_gain():
    """Thirteen names of timm, counted by their class; the others have no constant."""
    names = {
        card.architecture
        for card in list_networks()
        if card.library == "timm" and "nf" in card.architecture
    }
    free = set()
    with torch.device("meta"):
        for name in sorted(names):
            model = timm.create_model(name)
            blocks = [
                site
                for site, module in model.named_modules()
                if site.endswith(("attn", "attn_last"))
            ]
            gains = find_gains(model, blocks)
            assert set(gains.values()) <= {2.0}
            free |= {name} if gains else set()
    assert len(free) == sum("nfnet" in name or name.startswith("nf_") for name in names)
