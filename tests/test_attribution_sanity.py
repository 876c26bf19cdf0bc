"""Randomising a copy changes its maps and gates stage by stage, and the network itself not at all."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.order import HEAD, order_weights, split_stages
from se_viz.attribution.run import attribute
from se_viz.attribution.sanity import (
    NOTHING,
    GateLikeness,
    MapLikeness,
    Step,
    check_sanity,
    compare_gates,
    compare_maps,
    describe_steps,
    shuffle_weights,
    tabulate_steps,
)
from se_viz.errors import AttributionError
from se_viz.gates import capture_gates, edit_gates
from se_viz.networks import Network
from se_viz.networks.architectures import build
from se_viz.networks.zoo import find_card


@pytest.fixture
def steps(network: Network, image: Tensor) -> tuple[Step, ...]:
    return check_sanity(network, image, attribute(network, image, 2, "input_x_gradient"))


def test_a_copy_as_it_is_gives_the_same_map_and_gates(network: Network, image: Tensor, steps: tuple[Step, ...]):
    """What differs here would be blamed on the weights: all likenesses are exactly 1, all distances 0."""
    first = steps[0]
    assert first.part == NOTHING
    assert torch.equal(first.map, attribute(network, image, 2, "input_x_gradient").map)
    assert (first.likeness.signed, first.likeness.absolute, first.likeness.structure) == (1, 1, 1)
    assert list(first.gates) == [2, 3, 4, 5]
    assert all((one.ranks, one.distance) == (1, 0) for one in first.gates.values())


def test_a_map_with_options_is_made_again_with_them(network: Network, image: Tensor):
    """Other options would make another map, and the likeness to it would be blamed on the weights."""
    found = attribute(network, image, 2, "integrated_gradients", n_steps=3, baseline="black")
    assert check_sanity(network, image, found)[0].likeness.absolute == 1
    assert not torch.equal(found.map, attribute(network, image, 2, "integrated_gradients", baseline="black").map)


def test_maps_lose_their_likeness_from_the_classifier_back(steps: tuple[Step, ...]):
    """A gradient depends on every weight (arXiv 1810.03292, section 3.1); gates only on those before them."""
    assert [step.part for step in steps] == [NOTHING, HEAD, 5, 4, 3, 2]
    assert all(step.likeness.signed is not None and step.likeness.signed < 0.9 for step in steps[1:])
    assert abs(steps[-1].likeness.signed or 0) < 0.2
    for number, step in enumerate(steps):
        for stage, gates in step.gates.items():
            untouched = number <= 1 or stage < int(step.part)
            assert (gates.distance == 0) == untouched


def test_the_network_itself_is_not_touched(network: Network, image: Tensor):
    """Every session runs on it: weights bit for bit, modes, hooks and frozen parameters stay."""
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    found = attribute(network, image, 2, "grad_cam")
    with torch.inference_mode():
        check_sanity(network, image, found)
    assert all(torch.equal(value, before[name]) for name, value in network.model.state_dict().items())
    assert not network.model.training
    assert not any(value.requires_grad for value in network.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.model.modules())


def test_the_same_seed_gives_the_same_steps(network: Network, image: Tensor):
    """A figure in a lecture must come out again; another seed is another draw."""
    found = attribute(network, image, 2, "saliency")
    one, again, other = (check_sanity(network, image, found, seed=seed)[-1].map for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_passes_of_all_steps_are_told_in_one_row(network: Network, image: Tensor):
    """A bar over the whole must grow and end at its end."""
    told: list[tuple[int, int]] = []
    found = attribute(network, image, 2, "integrated_gradients", n_steps=4)
    check_sanity(network, image, found, report=lambda done, total: told.append((done, total)))
    done = [now for now, _ in told]
    assert len({total for _, total in told}) == 1
    assert done == sorted(done)
    assert done[-1] == told[-1][1]


def test_shuffled_weights_keep_their_values_and_lose_their_places(se_net: nn.Module):
    """Only the named ones, each within itself: sorted they are what they were."""
    names = ["layer2.0.conv1.weight", "layer2.0.bn1.running_var"]
    before = {name: value.clone() for name, value in se_net.state_dict().items()}
    shuffle_weights(se_net, names, seed=0)
    for name, value in se_net.state_dict().items():
        assert torch.equal(value, before[name]) == (name not in names)
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)


def test_every_weight_of_a_resnet_belongs_to_the_stage_it_is_used_in(network: Network, image: Tensor):
    """torchvision keeps stages 2 to 5 in layer1 to layer4, the stem before them and fc behind."""
    parts = split_stages(order_weights(network.model, image), network.inspection.sites)
    tops = {part: {name.split(".")[0] for name in names} for part, names in parts.items()}
    assert tops == {HEAD: {"fc"}, 5: {"layer4"}, 4: {"layer3"}, 3: {"layer2"}, 2: {"conv1", "bn1", "layer1"}}
    counted = [name for names in parts.values() for name in names]
    expected = [name for name in network.model.state_dict() if not name.endswith("num_batches_tracked")]
    assert sorted(counted) == sorted(expected)


@pytest.mark.parametrize(
    "name", ["torchvision/mobilenet_v3_small", "timm/eca_resnext26ts.ch_in1k", "timm/ese_vovnet19b_dw.ra_in1k"]
)
def test_every_used_weight_of_other_families_is_in_one_part(name: str):
    """Flat or nested, plain or ESE: no weight is left as it was at the end, and stages come one after another."""
    model = build(find_card(name), num_classes=3).eval()
    network = Network.from_model(model, input_size=96)
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    parts = split_stages(order_weights(model, image), network.inspection.sites)
    stages = sorted({site.stage for site in network.inspection.sites}, reverse=True)
    assert list(parts) == [HEAD, *stages]
    counted = [name for names in parts.values() for name in names]
    assert len(counted) == len(set(counted))
    assert {name for name, _ in model.named_parameters()} <= set(counted)
    for site in network.inspection.sites:
        own = [name for name in counted if name.startswith(f"{site.block}.")]
        assert set(own) <= set(parts[site.stage])


class Late(nn.Module):
    """A model whose modules are registered in the other order than they run in."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.se, self.stem = nn.Linear(8, 2), SqueezeExcitation(8, 2), nn.Conv2d(3, 8, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits an image."""
        return self.head(self.se(self.stem(images)).mean((2, 3)))


def test_weights_are_ordered_by_use_not_by_registration():
    """The order of the state dict is that of a constructor, and nobody has to write it as a pass runs."""
    names = order_weights(Late(), torch.zeros(1, 3, 8, 8))
    expected = ["stem.weight", "stem.bias", "se.fc1.weight", "se.fc1.bias", "se.fc2.weight", "se.fc2.bias"]
    assert names == [*expected, "head.weight", "head.bias"]


def test_likeness_of_maps_is_spearmans_of_values_and_of_sizes():
    """By SciPy; a map turned upside down has the same sizes, and a constant one has no order."""
    generator = np.random.default_rng(0)
    one, other = (torch.from_numpy(generator.normal(size=(20, 20))).float() for _ in range(2))
    found = compare_maps(one, other)
    signed, _ = spearmanr(one.ravel(), other.ravel())
    absolute, _ = spearmanr(one.abs().ravel(), other.abs().ravel())
    assert (found.signed, found.absolute) == pytest.approx((signed, absolute))
    upside = compare_maps(-one, one)
    assert (upside.signed, upside.absolute, upside.structure) == pytest.approx((-1, 1, 1))
    assert compare_maps(torch.zeros(20, 20), one) == MapLikeness(None, None, None)


def test_likeness_of_gates_is_by_order_and_by_distance():
    """By hand: the same order, each gate 0.1 and 0.3 away."""
    found = compare_gates(np.array([0.1, 0.5, 0.6, 0.9]), np.array([0.2, 0.4, 0.9, 1.2]))
    assert found.ranks == pytest.approx(1)
    assert found.distance == pytest.approx(0.2)


def test_edited_gates_are_not_known_to_a_copy(network: Network, image: Tensor):
    """The check would show another network than the one that is edited."""
    found = attribute(network, image, 2, "saliency")
    edits = {"layer1.0.bn3.1": torch.ones_like}
    with edit_gates(network.model, edits), pytest.raises(AttributionError, match=r"Undo the edits first\.$"):
        check_sanity(network, image, found)


def test_first_gates_are_those_of_the_network(network: Network, image: Tensor, steps: tuple[Step, ...]):
    """Distances of the last step, from gates captured on the network itself and on a copy shuffled by hand."""
    with torch.no_grad(), capture_gates(network.model) as before:
        network.model(image)
    parts = split_stages(order_weights(network.model, image), network.inspection.sites)
    for number, names in enumerate(parts.values(), 1):
        shuffle_weights(network.model, names, seed=number)
    with torch.no_grad(), capture_gates(network.model) as after:
        network.model(image)
    for stage, gates in steps[-1].gates.items():
        pairs = [(one.gate, other.gate) for one, other in zip(before, after, strict=True) if one.stage == stage]
        differences = torch.cat([(one - other).abs()[0] for one, other in pairs])
        assert gates.distance == pytest.approx(differences.mean().item(), rel=1e-5)


def step(part: int | str, sizes: float | None) -> Step:
    likeness = MapLikeness(sizes, sizes, sizes)
    return Step(part, torch.zeros(2, 2), likeness, {2: GateLikeness(0.25, 0.1), 3: GateLikeness(None, 0.2)})


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (0.7, "**Map hardly depends on what the network has learned**: with every weight shuffled the sizes of its"),
        (0.4, "**Map depends in part on what the network has learned**"),
        (0.1, "**Map depends on what the network has learned**: with every weight shuffled"),
        (None, "**Map depends on what the network has learned**: from the classifier on it has one value everywhere."),
    ],
)
def test_the_verdict_goes_by_the_last_step(last: float | None, words: str):
    """A map that outlives all weights shows the photo; one that vanished needed them."""
    steps = [step(NOTHING, 1.0), step(HEAD, last), step(2, last)]
    found, gates = describe_steps("Map", steps)
    assert found.startswith(words)
    assert gates.endswith("In the end those of stages 2, 3 have moved by 0.10, 0.20 on average.")


def test_the_table_of_steps_has_a_row_a_measure():
    """Three likenesses of the map and one of each stage's gates, at each step; none is NaN."""
    steps = [step(NOTHING, 1.0), step(HEAD, None)]
    # Without negative values their ranks are those of the sizes, and would hide below them.
    assert tabulate_steps(steps)["measure"].unique().tolist()[:2] == ["ranks of sizes", "structure (SSIM)"]
    steps[1].map[0, 0] = -1
    table = tabulate_steps(steps)
    assert len(table) == 2 * (3 + 2)
    assert table["part"].unique().tolist() == ["nothing", "classifier"]
    gates = table.loc[table["panel"] == "gates"]
    assert list(dict.fromkeys(gates["measure"])) == ["stage 2", "stage 3"]
    assert pd.isna(table[table["part"] == "classifier"]["value"]).tolist() == [True, True, True, False, True]
