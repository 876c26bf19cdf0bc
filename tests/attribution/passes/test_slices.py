"""A long attribution lets others run in between, stops when nobody wants it, and fits into the
memory there is.
"""

import pytest
import torch
from PIL import Image
from torch import nn

from se_viz.attribution.catalogue.pixels import METHODS
from se_viz.attribution.passes.slices import MOST_ON_CPU
from se_viz.attribution.pixels.run import attribute
from se_viz.errors import OvertakenError, TooLittleMemoryError
from se_viz.experiments.analysis import analyse
from se_viz.gates import edit_gates
from se_viz.gates.surgery import compile_edits, set_gates
from se_viz.networks import Network
from tests.support.passes import FEWER, Passes, batches, uploading

pytestmark = pytest.mark.slow

SLICED = [key for key, row in METHODS.items() if not row.layered and row.kind != "rule"]
PIECES = [key for key, row in METHODS.items() if row.piece]


class GoneError(Exception):
    """What a watch raises when nobody wants the answer."""


@pytest.fixture
def network(shallow: Network) -> Network:
    """Where a long run is cut does not depend on the depth."""
    return shallow


@pytest.fixture
def photo() -> Image.Image:
    return Image.effect_noise((64, 64), 90).convert("RGB")


def hooks_on(model: nn.Module) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


@pytest.mark.parametrize("key", SLICED)
def test_the_turn_is_given_away_between_any_two_passes(network, image, key):
    """A slice is one pass of the network: nobody waits longer for a method that makes a thousand
    of them.
    """
    looks: list[int] = []
    with batches(network.model) as passes:
        attribute(network, image, 0, key, watch=looks.append, **FEWER.get(key, {}))
    assert looks == [0] * len(passes)
    assert max(passes) <= 8


def test_grad_cam_keeps_its_turn(network, image):
    """Captum's hooks are on the shared model meanwhile, and would see another's pass."""
    looks: list[int] = []
    attribute(network, image, 0, "grad_cam", watch=looks.append)
    assert looks == [0]


@pytest.mark.parametrize("key", SLICED)
def test_an_upload_in_between_changes_neither(network, image, key):
    """What two people get is to the bit what each gets alone, also where their passes alternate."""
    options = FEWER.get(key, {})
    alone = attribute(network, image, 1, key, **options)
    with uploading(network) as uploads:
        attribution = attribute(network, image, 1, key, watch=uploads.watch, **options)
        uploads.expect_alike()
    assert torch.equal(attribution.map, alone.map)


@pytest.mark.parametrize("key", SLICED)
def test_an_edit_in_force_stays_with_its_thread_between_slices(network, image, key):
    """Others run while the turn is away, with the gates the network has; the map is that of the
    edited network.
    """
    changes = compile_edits([set_gates("layer2.0.bn3.1", 0.0)], network.inspection.sites)
    # The logits of a random network are small, and so has Lime's penalty to be.
    options = {**FEWER.get(key, {}), **({"alpha": 1e-6} if key == "lime" else {})}
    with edit_gates(network.model, changes):
        alone = attribute(network, image, 1, key, **options)
    with uploading(network) as uploads:
        with edit_gates(network.model, changes):
            attribution = attribute(network, image, 1, key, watch=uploads.watch, **options)
        uploads.expect_alike()
    assert torch.equal(attribution.map, alone.map)
    assert not torch.equal(attribution.map, attribute(network, image, 1, key, **options).map)
    assert hooks_on(network.model) == 0


@pytest.mark.parametrize("error", [GoneError, OvertakenError])
@pytest.mark.parametrize("key", ["integrated_gradients", "occlusion"])
def test_one_that_nobody_wants_stops_at_its_next_slice(network, image, photo, key, error):
    """What the watch raises arrives as it was raised, nothing stays on the model, and the next one
    runs.
    """
    looks = 0

    def watch(_: int) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise error("gone")

    with batches(network.model) as passes, pytest.raises(error, match=r"^gone$"):
        attribute(network, image, 0, key, watch=watch)
    assert len(passes) == 2
    assert hooks_on(network.model) == 0
    assert len(analyse(network, photo).records) == 4


@pytest.mark.parametrize("key", PIECES)
def test_where_memory_runs_out_half_as_many_images_go_into_a_pass(network, image, key):
    """8 and 4 do not fit, 2 do: the map is the one that a large memory gives."""
    options = FEWER.get(key, {})
    expected = attribute(network, image, 2, key, **options)
    with batches(network.model, most=2) as passes:
        attribution = attribute(network, image, 2, key, **options)
    # Feature Permutation begins with the image itself, once for each that lends its patches.
    assert [size for size in passes if size > 2] == (
        [4] if key == "feature_permutation" else [8, 4]
    )
    # Other batch sizes add in another order, and Occlusion takes small differences of logits.
    torch.testing.assert_close(
        attribution.map, expected.map, rtol=0, atol=1e-3 * expected.map.abs().max().item()
    )


def test_all_steps_in_one_pass_are_halved_too(network, image):
    """Captum's None means every step at once: 20 do not fit, then 10, then 5 do."""
    with batches(network.model, most=5) as passes:
        attribute(network, image, 2, n_steps=20, internal_batch_size=None)
    assert [size for size in passes if size > 1] == [20, 10, 5, 5, 5, 5]


@pytest.mark.parametrize("key", METHODS)
def test_what_does_not_fit_at_all_says_what_to_lower(network, image, key):
    """Not even one image: smaller pieces do not help, so the sentence names what does."""
    message = (
        rf"^cpu has too little memory left for {METHODS[key].title}\. Lower SE_VIZ_NETWORKS, or "
        r"choose .*\.$"
    )

    def run_out(*_: object) -> None:
        # The black image by which Grad-CAM finds the stages fits, and so does the proof of a copy.
        if torch.is_grad_enabled() or METHODS[key].kind in ("occlusion", "superpixel"):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    full = network.model.layer4.register_forward_hook(run_out)
    with full, batches(network.model) as passes, pytest.raises(TooLittleMemoryError, match=message):
        attribute(network, image, 2, key)
    # DeepLift runs the image beside its baseline, DeepLiftShap beside no fewer than two.
    assert passes[-1] == {"deep_lift": 2, "deep_lift_shap": 4}.get(key, 1)
    assert hooks_on(network.model) == 0


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("integrated_gradients", {"n_steps": 80, "internal_batch_size": None}),
        (
            "occlusion",
            {
                "sliding_window_shapes": (3, 8, 8),
                "strides": (3, 4, 4),
                "perturbations_per_eval": 500,
            },
        ),
        ("deep_lift_shap", {"draws": 80}),
    ],
)
def test_no_pass_on_a_cpu_holds_more_images_than_a_small_memory(network, image, key, options):
    """A CPU raises no error when memory runs out: the system ends the whole program, and
    everybody's page with it.
    """
    with Passes() as passes:
        attribute(network, image, 0, key, **options)
    # DeepLift runs the image and its baseline together.
    assert (
        MOST_ON_CPU // 2 < max(passes.sizes) <= (2 if key == "deep_lift_shap" else 1) * MOST_ON_CPU
    )
