"""Randomising a copy changes its maps and gates stage by stage, and the network itself not at
all.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.scores.sanity import (
    NETWORKS,
    NOTHING,
    PAIRS,
    SIZES,
    GateLikeness,
    MapLikeness,
    Peers,
    SanityStep,
    check_sanity,
    compare_gates,
    compare_maps,
    compare_networks,
    describe_steps,
    shuffle_weights,
    tabulate_steps,
)
from se_viz.attribution.scores.weight_order import HEAD, order_weights, split_stages
from se_viz.errors import AttributionError
from se_viz.gates import capture_gates, edit_gates
from se_viz.networks import Network
from se_viz.networks.architectures import build
from se_viz.networks.zoo import find_card

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def steps(session_network: Network) -> tuple[SanityStep, ...]:
    """Return the check of one map, made once: two dozen networks take their time."""
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))[:1]
    return check_sanity(
        session_network, image, attribute(session_network, image, 2, "input_x_gradient")
    )


def test_a_copy_as_it_is_gives_the_same_map_and_gates(
    network: Network, image: Tensor, steps: tuple[SanityStep, ...]
):
    """What differs here would be blamed on the weights: all likenesses are exactly 1, all
    distances 0.
    """
    first = steps[0]
    assert first.part == NOTHING
    assert torch.equal(first.map, attribute(network, image, 2, "input_x_gradient").map)
    assert (first.likeness.signed, first.likeness.absolute, first.likeness.structure) == (1, 1, 1)
    assert list(first.gates) == [2, 3, 4, 5]
    assert all((likeness.ranks, likeness.distance) == (1, 0) for likeness in first.gates.values())


def test_a_map_with_options_is_made_again_with_them(shallow: Network, image: Tensor):
    """Other options would make another map, and the likeness to it would be blamed on the
    weights.
    """
    attribution = attribute(shallow, image, 2, "integrated_gradients", n_steps=3, baseline="black")
    assert check_sanity(shallow, image, attribution)[0].likeness.absolute == 1
    assert not torch.equal(
        attribution.map, attribute(shallow, image, 2, "integrated_gradients", baseline="black").map
    )


def test_maps_lose_their_likeness_from_the_classifier_back(steps: tuple[SanityStep, ...]):
    """A gradient depends on every weight (arXiv 1810.03292, section 3.1); gates only on those
    before them.
    """
    assert [step.part for step in steps] == [NOTHING, HEAD, 5, 4, 3, 2]
    assert all(
        step.likeness.signed is not None and step.likeness.signed < 0.9 for step in steps[1:]
    )
    assert abs(steps[-1].likeness.signed or 0) < 0.2
    for number, step in enumerate(steps):
        for stage, gates in step.gates.items():
            untouched = number <= 1 or stage < int(step.part)
            assert (gates.distance == 0) == untouched


def test_the_network_itself_is_not_touched(shallow: Network, image: Tensor):
    """Every session runs on it: weights bit for bit, modes, hooks and frozen parameters stay."""
    before = {name: value.clone() for name, value in shallow.model.state_dict().items()}
    attribution = attribute(shallow, image, 2, "grad_cam")
    with torch.inference_mode():
        check_sanity(shallow, image, attribution)
    assert all(
        torch.equal(value, before[name]) for name, value in shallow.model.state_dict().items()
    )
    assert not shallow.model.training
    assert not any(value.requires_grad for value in shallow.model.parameters())
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in shallow.model.modules()
    )


def test_the_same_seed_gives_the_same_steps(shallow: Network, image: Tensor):
    """A figure in a lecture must come out again; another seed is another draw."""
    attribution = attribute(shallow, image, 2, "saliency")
    first, again, reseeded = (
        check_sanity(shallow, image, attribution, seed=seed)[-1].map for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, reseeded)


def test_the_passes_of_all_steps_are_told_in_one_row(shallow: Network, image: Tensor):
    """A bar over the whole must grow and end at its end."""
    reports: list[tuple[int, int]] = []
    attribution = attribute(shallow, image, 2, "integrated_gradients", n_steps=4)
    check_sanity(shallow, image, attribution, report=lambda *numbers: reports.append(numbers))
    counts = [count for count, _ in reports]
    assert len({total for _, total in reports}) == 1
    assert counts == sorted(counts)
    assert counts[-1] == reports[-1][1]


def test_shuffled_weights_keep_their_values_and_lose_their_places(se_net: nn.Module):
    """Only the named ones, each within itself: sorted they are what they were."""
    names = ["layer2.0.conv1.weight", "layer2.0.bn1.running_var"]
    before = {name: value.clone() for name, value in se_net.state_dict().items()}
    shuffle_weights(se_net, names, seed=0)
    for name, value in se_net.state_dict().items():
        assert torch.equal(value, before[name]) == (name not in names)
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)


def test_every_weight_of_a_resnet_belongs_to_the_stage_it_is_used_in(
    network: Network, image: Tensor
):
    """torchvision keeps stages 2 to 5 in layer1 to layer4, the stem before them and fc behind."""
    parts = split_stages(order_weights(network.model, image), network.inspection.sites)
    tops = {part: {name.split(".")[0] for name in names} for part, names in parts.items()}
    assert tops == {
        HEAD: {"fc"},
        5: {"layer4"},
        4: {"layer3"},
        3: {"layer2"},
        2: {"conv1", "bn1", "layer1"},
    }
    counted = [name for names in parts.values() for name in names]
    expected = [
        name for name in network.model.state_dict() if not name.endswith("num_batches_tracked")
    ]
    assert sorted(counted) == sorted(expected)


@pytest.mark.parametrize(
    "name",
    [
        "torchvision/mobilenet_v3_small",
        "timm/eca_resnext26ts.ch_in1k",
        "timm/ese_vovnet19b_dw.ra_in1k",
    ],
)
def test_every_used_weight_of_other_families_is_in_one_part(name: str):
    """Flat or nested, plain or ESE: no weight is left as it was at the end, and stages come one
    after another.
    """
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
        self.head = nn.Linear(8, 2)
        self.se = SqueezeExcitation(8, 2)
        self.stem = nn.Conv2d(3, 8, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return two logits an image."""
        return self.head(self.se(self.stem(images)).mean((2, 3)))


def test_weights_are_ordered_by_use_not_by_registration():
    """The order of the state dict is that of a constructor, and nobody has to write it as a pass
    runs.
    """
    names = order_weights(Late(), torch.zeros(1, 3, 8, 8))
    expected = [
        "stem.weight",
        "stem.bias",
        "se.fc1.weight",
        "se.fc1.bias",
        "se.fc2.weight",
        "se.fc2.bias",
    ]
    assert names == [*expected, "head.weight", "head.bias"]


def test_likeness_of_maps_is_spearmans_of_values_and_of_sizes():
    """By SciPy; a map turned upside down has the same sizes, and a constant one has no order."""
    generator = np.random.default_rng(0)
    first, second = (torch.from_numpy(generator.normal(size=(20, 20))).float() for _ in range(2))
    likeness = compare_maps(first, second)
    signed, _ = spearmanr(first.ravel(), second.ravel())
    absolute, _ = spearmanr(first.abs().ravel(), second.abs().ravel())
    assert (likeness.signed, likeness.absolute) == pytest.approx((signed, absolute))
    upside = compare_maps(-first, first)
    assert (upside.signed, upside.absolute, upside.structure) == pytest.approx((-1, 1, 1))
    assert compare_maps(torch.zeros(20, 20), first) == MapLikeness(None, None, None)


def test_likeness_of_gates_is_by_order_and_by_distance():
    """By hand: the same order, each gate 0.1 and 0.3 away."""
    likeness = compare_gates(np.array([0.1, 0.5, 0.6, 0.9]), np.array([0.2, 0.4, 0.9, 1.2]))
    assert likeness.ranks == pytest.approx(1)
    assert likeness.distance == pytest.approx(0.2)


def test_edited_gates_are_not_known_to_a_copy(network: Network, image: Tensor):
    """The check would show another network than the one that is edited."""
    attribution = attribute(network, image, 2, "saliency")
    edits = {"layer1.0.bn3.1": torch.ones_like}
    with (
        edit_gates(network.model, edits),
        pytest.raises(AttributionError, match=r"Undo the edits first\.$"),
    ):
        check_sanity(network, image, attribution)


def test_first_gates_are_those_of_the_network(
    network: Network, image: Tensor, steps: tuple[SanityStep, ...]
):
    """Distances of the last step, from gates captured on the network itself and on a copy shuffled
    by hand.
    """
    with torch.no_grad(), capture_gates(network.model) as before:
        network.model(image)
    parts = split_stages(order_weights(network.model, image), network.inspection.sites)
    for number, names in enumerate(parts.values(), 1):
        shuffle_weights(network.model, names, seed=number)
    with torch.no_grad(), capture_gates(network.model) as after:
        network.model(image)
    for stage, gates in steps[-1].gates.items():
        differences = torch.cat(
            [
                (record.gate - shuffled.gate).abs()[0]
                for record, shuffled in zip(before, after, strict=True)
                if record.stage == stage
            ]
        )
        assert gates.distance == pytest.approx(differences.mean().item(), rel=1e-5)


def step(part: int | str, sizes: float | None, peers: Peers | None = None) -> SanityStep:
    likeness = MapLikeness(sizes, sizes, sizes)
    gates = {2: GateLikeness(0.25, 0.1), 3: GateLikeness(None, 0.2)}
    return SanityStep(part, torch.zeros(2, 2), likeness, gates, peers)


def peers(own: tuple[float, float], pairs: tuple[float, float], *, count: int = NETWORKS) -> Peers:
    """Return the peers of a map by the least and the greatest rank correlation; all others are the
    greatest.
    """
    few = count - 1
    many = count * (count - 1) // 2 - 1
    return Peers((own[0], *own[1:] * few), (pairs[0], *pairs[1:] * many), NETWORKS - count)


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (
            peers((0.0, 0.1), (0.2, 0.4)),
            "**Map depends on the learned weights**: the sizes of its values",
        ),
        (peers((0.5, 0.6), (0.7, 0.8)), "**Map depends in part on the learned weights**"),
        (
            peers((0.0, 0.1), (0.1, 0.4)),
            "Whether Map depends on the learned weights **cannot be told**: the sizes",
        ),
        (
            peers((0.3, 0.4), (0.0, 0.1)),
            "Whether Map depends on the learned weights **cannot be told**: the sizes",
        ),
        (peers((0.89, 0.895), (0.9, 0.9)), "**Map hardly changes with the weights**"),
        (peers((0.8, 0.9), (0.8, 0.9)), "**Map hardly changes with the weights**"),
        (
            peers((0.0, 0.1), (0.3, 0.4), count=18),
            "Whether Map depends on the learned weights **cannot be told**: with every",
        ),
    ],
)
def test_the_verdict_compares_with_networks_that_have_learned_nothing(ranks: Peers, words: str):
    """Learned is what tells a map from all of theirs; what they share shows the photo; the rest
    says nothing.
    """
    verdict, gates = describe_steps("Map", [step(NOTHING, 1.0), step(2, 0.1, ranks)])
    assert verdict.startswith(words)
    assert ("on the learned weights**" in verdict) == ranks.apart
    assert gates.endswith("have moved by 0.10, 0.20 on average, in one draw of the shuffle.")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (torch.zeros(2, 2), "**Map is a map of zeros**"),
        (torch.full((2, 2), 0.25), "**Map has one value everywhere, 0.25**"),
        (torch.full((2, 2), torch.nan), "**Map holds values that are NaN or infinite**"),
    ],
)
def test_a_map_without_an_order_is_called_what_it_is(values: torch.Tensor, words: str):
    """Nothing in it could change with the weights, so that no word about them may stand."""
    first = SanityStep(NOTHING, values, compare_maps(values, values), {2: GateLikeness(1.0, 0.0)})
    (verdict,) = describe_steps("Map", [first])
    assert verdict.startswith(words)
    assert "learned" not in verdict


def test_a_map_of_zeros_ends_the_check_at_once(shallow: Network, image: Tensor):
    """Nothing would be compared: the method does not run two dozen times for it."""
    attribution = replace(attribute(shallow, image, 2, "saliency"), map=torch.zeros(64, 64))
    (only,) = check_sanity(shallow, image, attribution)
    assert only.likeness == MapLikeness(None, None, None)


def test_a_map_among_others_is_compared_by_spearman_two_by_two():
    """By SciPy; what has no order is left out, and counted."""
    generator = np.random.default_rng(0)
    base = generator.normal(size=(12, 12))
    alike = [
        torch.from_numpy(base + 0.3 * generator.normal(size=(12, 12))).float() for _ in range(3)
    ]
    odd = torch.from_numpy(generator.normal(size=(12, 12))).float()
    peers = compare_networks(odd, [*alike, torch.ones(12, 12), torch.full((12, 12), torch.nan)])
    expected = [spearmanr(odd.abs().ravel(), heat.abs().ravel())[0] for heat in alike]
    assert peers.own == pytest.approx(expected)
    pairs = [
        spearmanr(a.abs().ravel(), b.abs().ravel())[0]
        for a, b in ((alike[0], alike[1]), (*alike[1:],))
    ]
    assert peers.pairs[::2] == pytest.approx(pairs)
    assert (peers.flat, peers.chance) == (2, 1 / 4)
    assert max(peers.own) < min(peers.pairs)
    # Of four, one is apart in a quarter of all cases: no word.
    assert not peers.apart


def test_of_twenty_maps_at_most_one_is_apart():
    """The chance that is said is a bound for any maps: put in the first place one by one, one at
    most has the word.
    """
    generator = np.random.default_rng(0)
    base = generator.normal(size=(8, 8))
    for spread in (0.1, 1.0, 10.0):
        maps = [
            torch.from_numpy(base + spread * generator.normal(size=(8, 8))).float()
            for _ in range(NETWORKS)
        ]
        maps.append(torch.from_numpy(generator.normal(size=(8, 8))).float())
        apart = [
            compare_networks(heat, [*maps[:place], *maps[place + 1 :]]).apart
            for place, heat in enumerate(maps)
        ]
        assert sum(apart) <= 1
        assert apart[-1] == (spread == 0.1)


def test_the_table_of_steps_has_a_row_a_measure(steps: tuple[SanityStep, ...]):
    """Three likenesses of the map, one of each stage's gates and what two networks have in common,
    at each step.
    """
    table = tabulate_steps(steps)
    assert len(table) == 6 * (3 + 4 + 1)
    assert list(table["measure"].unique()[:3]) == ["ranks of values", SIZES, "structure (SSIM)"]
    last = table.loc[(table["measure"] == SIZES)].iloc[-1]
    peers = steps[-1].peers
    assert peers is not None
    assert [last["value"], last["low"], last["high"]] == [
        np.mean(peers.own),
        min(peers.own),
        max(peers.own),
    ]
    chance = table.loc[table["measure"] == PAIRS]
    assert set(chance["low"]) == {min(peers.pairs)}
    assert table.loc[~table["measure"].isin([SIZES, PAIRS]), "low"].isna().all()


def test_a_likeness_that_is_not_there_is_no_number_in_the_table():
    """Without negative values the ranks of values are those of the sizes, and would hide below
    them.
    """
    steps = [step(NOTHING, 1.0), step(HEAD, None)]
    assert tabulate_steps(steps)["measure"].unique().tolist()[:2] == [SIZES, "structure (SSIM)"]
    table = tabulate_steps(steps)
    assert pd.isna(table[table["part"] == "classifier"]["value"]).tolist() == [
        True,
        True,
        False,
        True,
    ]
