"""What rows say of methods holds: counted passes, and words that are known."""

from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from se_viz.attribution.catalogue.layers import LAYER_METHODS
from se_viz.attribution.catalogue.method import KINDS, NEEDS
from se_viz.attribution.catalogue.neurons import NEURON_METHODS
from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.catalogue.table import EXPLAINED, tabulate_methods
from se_viz.attribution.gates.run import GATE_METHODS, attribute_gates
from se_viz.attribution.layers.run import attribute_layer
from se_viz.attribution.pixels.run import attribute
from se_viz.attribution.question.places import Layer
from se_viz.attribution.question.targets import Target
from se_viz.networks import Network
from tests.support.passes import batches

LAST = "layer4.0.bn3.1"
CHANNELS = 128


@pytest.fixture
def network(shallow: Network) -> Network:
    """How often a method runs it does not depend on how deep it is."""
    return shallow


def test_each_method_has_a_row_for_each_thing_that_it_explains():
    """Nothing that can be called is left out, and each thing names the function to call."""
    table = tabulate_methods()
    keys = {what: set(rows["method"]) for what, rows in table.groupby("explains")}
    assert keys == {
        "image": {*METHODS},
        "one gate": {*NEURON_METHODS},
        "feature map": {*LAYER_METHODS},
        "gates": {*GATE_METHODS},
    }
    assert set(keys) == set(EXPLAINED)
    assert not table.isna().any(axis=None)


def test_words_on_a_gate_speak_of_the_gate():
    """A row that serves both questions speaks of a class's logit, which a gate's map does not
    explain.
    """
    table = tabulate_methods()
    words = {
        (what, key): text
        for what, key, text in zip(table.explains, table.method, table.looks_for, strict=True)
    }
    assert words["image", "occlusion"].startswith("How far the logit falls when")
    assert words["one gate", "occlusion"].startswith("How far the gate falls when")
    assert words["one gate", "conductance"].startswith(
        "What came through this gate of the logit's rise"
    )


def test_kinds_and_needs_are_known_words():
    """A slip of the pen in a row would be seen on no page."""
    rows = [
        *METHODS.values(),
        *LAYER_METHODS.values(),
        *GATE_METHODS.values(),
        *NEURON_METHODS.values(),
    ]
    assert {row.kind for row in rows} <= set(KINDS)
    assert {need for row in rows for need in getattr(row, "needs", ())} == set(NEEDS)


@pytest.mark.parametrize("key", LAYER_METHODS)
def test_passes_at_a_feature_map_are_those_that_run(network: Network, image: Tensor, key: str):
    """Announcements and bars are made of them.

    DeepLift runs on a copy, which may be there already.
    """
    row = LAYER_METHODS[key]
    forward, _ = row.cost(row.options.get("n_steps", 1), CHANNELS)
    with batches(network.model) as sizes:
        attribute_layer(network, image, Target(2), key, layer=Layer("after", LAST))
    assert sum(sizes) == forward or row.kind == "rule"


@pytest.mark.parametrize("key", GATE_METHODS)
def test_passes_at_gates_are_those_that_run(network: Network, image: Tensor, key: str):
    """For what follows the image's way: about, since steps are halved where it bends."""
    forward, _ = GATE_METHODS[key].cost(CHANNELS)
    reports: list[tuple[int, int]] = []
    with batches(network.model) as sizes:
        attribute_gates(
            network,
            image,
            2,
            key,
            block=LAST,
            report=lambda *numbers: reports.append(numbers),
        )
    if GATE_METHODS[key].algorithm:
        assert sum(sizes) == forward
        assert {total for _, total in reports} == {forward}
        assert [count for count, _ in reports] == sorted(count for count, _ in reports)
        assert reports[-1] == (forward, forward)
    else:
        assert forward / 6 < sum(sizes) < 6 * forward


def test_guided_grad_cam_runs_there_and_back_twice(network: Network, image: Tensor):
    """Grad-CAM asks for one gradient and Guided Backprop for another; nothing has to be proven,
    since both run on the network itself.
    """
    sizes: list[int] = []

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            sizes.append(len(args[0]))

    with register_module_forward_pre_hook(note):
        attribute(network, image, 1, "guided_grad_cam")
    assert METHODS["guided_grad_cam"].passes() == (sum(sizes), 2)


def test_passes_grow_with_photo_and_block():
    """Squares cover a larger photo in more places (7 x 7 on 128 pixels), and ablation shuts each
    channel once.
    """
    small = tabulate_methods(shape=(3, 64, 64), channels=8)
    large = tabulate_methods(shape=(3, 128, 128), channels=512)
    passes = [table.set_index(["explains", "method"])["forward"] for table in (small, large)]
    assert [column["image", "occlusion"] for column in passes] == [3 * 3 + 1, 7 * 7 + 1]
    assert [column["gates", "ablation"] for column in passes] == [8 + 2, 512 + 2]
