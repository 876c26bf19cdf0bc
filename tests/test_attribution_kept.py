"""What is kept answers exactly what a run would have, whatever was asked before, and belongs to one model as it is."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from se_viz.attribution.copies import borrow_unrolled
from se_viz.attribution.kept import ANSWERS, MOST_BYTES, kept_with
from se_viz.attribution.run import attribute
from se_viz.errors import AttributionError
from se_viz.gates import capture_gates
from se_viz.networks import Network
from tests.passes import Passes

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SINGLE = ("saliency", "input_x_gradient")


def fresh(network: Network) -> Network:
    """Return the network with a model of its own, of which nothing is kept yet."""
    return Network(copy.deepcopy(network.model), network.card, network.device)


def test_one_gradient_serves_two_methods(network, image):
    """Saliency and Input x Gradient ask for the same derivative: one pass, and both maps as without, bit for bit."""
    expected = [attribute(fresh(network), image, 1, key).map for key in SINGLE]
    with Passes() as passes:
        found = [attribute(network, image, 1, key).map for key in SINGLE]
    assert passes.sizes == [1]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("other", [{"target": 2}, {"against": 3}, {"image": 1}])
def test_another_question_is_another_pass(network, images, other: dict[str, int]):
    """Another class, a comparison of classes or another image has another derivative."""
    attribute(network, images[:1], 1, "saliency")
    picture = images[1:] if "image" in other else images[:1]
    asked = {"target": other.get("target", 1), "against": other.get("against")}
    with Passes() as passes:
        found = attribute(network, picture, asked["target"], "saliency", against=asked["against"]).map
    assert passes.sizes == [1]
    assert torch.equal(
        found, attribute(fresh(network), picture, asked["target"], "saliency", against=asked["against"]).map
    )


def test_changed_weights_are_another_pass(network, image):
    """A derivative of the weights before would be a wrong picture."""
    before = attribute(network, image, 1, "saliency").map
    with torch.no_grad():
        network.model.get_submodule("fc").get_parameter("weight").mul_(2)
    # The last layer is linear: twice the weights, twice the slopes, to the bit.
    assert torch.equal(attribute(network, image, 1, "saliency").map, 2 * before)


def test_a_capture_or_another_number_of_threads_asks_again(network, image):
    """Inside a capture every pass has to run, or it records nothing; threads add in another order."""
    attribute(network, image, 1, "saliency")
    with Passes() as passes, capture_gates(network.model) as records:
        attribute(network, image, 1, "saliency")
    assert passes.sizes == [1]
    assert len(records) == 16
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        with Passes() as passes:
            attribute(network, image, 1, "saliency")
    finally:
        torch.set_num_threads(threads)
    assert passes.sizes == [1]


def test_what_is_kept_is_not_handed_out(network, image):
    """Who writes into a map, or asks for its graph, must not find that in the next one."""
    expected = attribute(network, image, 1, "saliency").map.clone()
    attribute(network, image, 1, "saliency").map.zero_()
    again = attribute(network, image, 1, "saliency").map
    assert torch.equal(again, expected)
    assert not again.requires_grad


def test_the_last_answers_are_kept_and_no_more(network):
    """Answers to many images would be looked through for ever."""
    kept = kept_with(network.model)
    assert kept is not None
    runs: list[float] = []

    def run(images: Tensor) -> float:
        runs.append(images.item())
        return images.item()

    for value in range(ANSWERS + 1):
        assert kept.recall("value", torch.tensor([[float(value)]]), run) == value
    for value in (ANSWERS, 1, 0):
        assert kept.recall("value", torch.tensor([[float(value)]]), run) == value
    assert runs == [*map(float, range(ANSWERS + 1)), 0.0]
    assert len(kept.answers) == ANSWERS


def test_large_answers_make_room_for_each_other(network, image):
    """Feature maps of many images would fill the memory: four of a third of the room are one too many, or two."""
    kept = kept_with(network.model)
    assert kept is not None
    third = torch.zeros(MOST_BYTES // 3 // 2, dtype=torch.int8)
    for name in "abc":
        kept.keep(name, image, (third, third))
    assert all(kept.find(name, image) is not None for name in "abc")
    kept.keep("d", image, (third, third))
    assert [kept.find(name, image) is None for name in "abcd"] == [True, False, False, False]


def test_an_answer_too_large_to_be_kept_is_given(network, image):
    """It takes the place of no other one."""
    kept = kept_with(network.model)
    assert kept is not None
    kept.keep("small", image, 1)
    assert len(kept.recall("large", image, lambda _: torch.zeros(MOST_BYTES + 1, dtype=torch.int8))) == MOST_BYTES + 1
    assert kept.find("large", image) is None
    assert kept.find("small", image) == 1


def test_models_with_the_same_weights_are_told_apart(network):
    """A wrapper has the weights of what it wraps, and another answer."""
    wrapper = nn.Sequential(network.model, nn.Softmax(1)).eval()
    first = kept_with(network.model)
    assert first is kept_with(network.model)
    assert kept_with(wrapper) is not first


def clean(model: nn.Module) -> dict[str, Any]:
    """What a rule could leave behind: hooks, and attributes of modules."""
    hooks = sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)
    names = [sorted(vars(module)) for module in model.modules()]
    return {"hooks": hooks, "names": names, "grads": [value.grad for value in model.parameters()]}


@pytest.mark.parametrize("key", ["guided_backprop", "deconvolution", "guided_grad_cam", "deep_lift", "deep_lift_shap"])
def test_the_copy_for_rules_is_kept_clean(network, image, key):
    """The second run has the first one's copy, which is as it was made, and gives the same map bit for bit."""
    with borrow_unrolled(network.model, image) as twin:
        made = clean(twin)
    assert made["hooks"] == 0
    first = attribute(network, image, 1, key).map
    with borrow_unrolled(network.model, image) as again:
        assert again is twin
        assert clean(again) == made
    assert torch.equal(attribute(network, image, 1, key).map, first)
    assert torch.equal(attribute(fresh(network), image, 1, key).map, first)


def test_a_copy_in_use_is_not_lent_again(network, image):
    """Rules of one run hang on it: a second one has a copy of its own."""
    with borrow_unrolled(network.model, image) as one, borrow_unrolled(network.model, image) as other:
        assert one is not other


def fail_with(model: nn.Module, image: Tensor, lent: list[nn.Module]) -> None:
    with borrow_unrolled(model, image) as twin:
        lent.append(twin)
        raise KeyboardInterrupt


def test_after_an_error_the_copy_is_not_kept(network, image):
    """Half-way, hooks may be left on it; the next run makes a new one."""
    lent: list[nn.Module] = []
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fail_with(network.model, image, lent)
    with borrow_unrolled(network.model, image) as twin:
        assert twin is not lent[0]
    with pytest.raises(AttributionError, match=r"^Guided Backprop cannot run with these options"):
        attribute(network, image, 1, "guided_backprop", additional_forward_args=(1, 2))
    with borrow_unrolled(network.model, image) as again:
        assert again is not twin


def test_threads_mix_nothing(network, images):
    """Eight people ask for other classes and images at once, again and again: each gets what a fresh network gives."""
    asked = [(key, row, target) for key in (*SINGLE, "guided_backprop") for row in (0, 1) for target in (0, 3)]
    expected = {one: attribute(fresh(network), images[one[1]][None], one[2], one[0]).map for one in asked}
    gate = threading.Barrier(8)

    def ask(shift: int) -> list[bool]:
        gate.wait(60)
        order = asked[shift:] + asked[:shift]
        return [
            torch.equal(attribute(network, images[row][None], target, key).map, expected[key, row, target])
            for key, row, target in order
        ]

    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(ask, range(8))]
    assert all(same for one in found for same in one)
