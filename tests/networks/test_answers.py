"""Probabilities and labels: of classes that exclude each other, of a single logit, and of
independent classes.
"""

import copy
from dataclasses import replace
from math import exp, log
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2.functional import to_pil_image

from se_viz import Network, edit_gates
from se_viz.attribution.question.targets import Target
from se_viz.attribution.scores.curves import Exam, trace_curves
from se_viz.errors import CheckpointError, DataError
from se_viz.experiments.analysis import analyse
from se_viz.experiments.counterfactuals import (
    Replacement,
    gates_of,
    run_counterfactuals,
    tabulate_counterfactuals,
)
from se_viz.experiments.verdicts import describe, judge
from se_viz.networks import NetworkCard
from se_viz.networks.answers import divergences_of, labels_of, name_labels, probabilities_of
from se_viz.networks.card import card_from_json, card_to_json
from se_viz.train.data import Pictures
from se_viz.train.evaluate import evaluate
from tests.support.pages import noise


def sigmoid(value: float) -> float:
    """By hand, from its definition."""
    return 1 / (1 + exp(-value))


@pytest.fixture
def binary(se_net: nn.Module) -> Network:
    """The small network with a single logit, near 0, so that gates can turn the answer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        se_net.fc = nn.Linear(512, 1)
    network = Network.from_model(se_net, classes=["malignant"], input_size=64)
    with torch.no_grad():
        # A little below 0 for the photo of these tests.
        se_net.fc.bias.sub_(analyse(network, noise()).logits + 0.01)
    return network


@pytest.fixture
def tags(session_model: nn.Module) -> Network:
    """The small network, whose five classes are independent."""
    return Network.from_model(
        copy.deepcopy(session_model),
        classes=["ant", "bee", "cat", "dog", "elk"],
        input_size=64,
        multi_label=True,
    )


def test_a_single_logit_is_a_sigmoid(binary: Network):
    """A softmax over one value is 1 for every photo."""
    analysis = analyse(binary, noise())
    assert analysis.probabilities.item() == pytest.approx(sigmoid(analysis.logits.item()), abs=1e-6)
    assert analysis.top() == [(0, pytest.approx(sigmoid(-0.01), abs=1e-4))]


def test_below_one_half_the_answer_is_the_negation(binary: Network):
    """Not malignant is an answer too, and has no name of its own."""
    assert binary.name_answer(torch.tensor([-0.1])) == "not malignant"
    assert binary.name_answer(torch.tensor([0.1])) == "malignant"


def test_independent_classes_have_a_sigmoid_each(tags: Network):
    """They do not share out one whole: none, one or all may be true."""
    analysis = analyse(tags, noise())
    assert analysis.probabilities.tolist() == pytest.approx(
        [sigmoid(value) for value in analysis.logits.tolist()], abs=1e-6
    )
    logits = torch.tensor([2.0, -1, 0.5, -3, -0.1])
    assert (tags.labels(logits), tags.name_answer(logits)) == ((0, 2), "ant, cat")
    assert tags.name_answer(-torch.ones(5)) == "no class"


def test_classes_that_exclude_each_other_share_out_one_whole(network: Network):
    """The softmax, as before."""
    analysis = analyse(network, noise())
    torch.testing.assert_close(analysis.probabilities, analysis.logits.softmax(0))
    assert network.labels(analysis.logits) == (int(analysis.logits.argmax()),)


def test_the_divergence_of_independent_classes_is_the_sum_of_theirs():
    """KL of products is the sum of the KLs; each by hand from its definition for two outcomes."""
    live = torch.tensor([[0.3, -2.0]])
    variant = torch.tensor([[1.1, -0.4]])

    def pair(first: float, second: float) -> float:
        p = sigmoid(first)
        q = sigmoid(second)
        return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))

    expected = pair(0.3, 1.1) + pair(-2.0, -0.4)
    assert divergences_of(live, variant, independent=True).item() == pytest.approx(expected)
    p = live.double().softmax(1)
    q = variant.double().softmax(1)
    assert divergences_of(live, variant, independent=False).item() == pytest.approx(
        (p * (p / q).log()).sum().item()
    )


def test_extreme_logits_stay_numbers():
    """Probabilities that round to 0 and 1 still have a divergence."""
    far = torch.tensor([[90.0, -90.0]])
    assert divergences_of(far, -far, independent=True).item() == pytest.approx(180)
    assert probabilities_of(far, independent=True).tolist() == [[1.0, 0.0]]
    assert labels_of(far[0], independent=True) == (0,)


def test_gates_can_turn_the_answer_of_a_single_logit(binary: Network):
    """The class that is most probable is always the same one; what turns is whether it is true."""
    before = analyse(binary, noise())
    (counterfactual,) = run_counterfactuals(
        binary, noise(), Replacement("ones", "network"), gates_of(before)
    )
    logit = _with_ones(binary)
    assert counterfactual.live == pytest.approx(sigmoid(-0.01), abs=1e-4)
    assert counterfactual.probability == pytest.approx(sigmoid(logit), abs=1e-4)
    assert counterfactual.kept == (logit < 0)
    p = counterfactual.live
    q = counterfactual.probability
    assert counterfactual.divergence == pytest.approx(
        p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)), abs=1e-4
    )
    row = tabulate_counterfactuals([counterfactual], binary.classes).iloc[0]
    assert (row["predicted"], row["answer"]) == (
        "not malignant",
        "malignant" if logit >= 0 else "not malignant",
    )


def _with_ones(network: Network) -> float:
    edits = dict.fromkeys((site.block for site in network.inspection.sites), torch.ones_like)
    with torch.inference_mode(), edit_gates(network.model, edits):
        return network.model(network.preprocess(noise())).item()


def test_a_turned_answer_is_said(binary: Network):
    """The words of the verdict are those of the page and of the command line."""
    own = gates_of(analyse(binary, noise()))
    shut = {name: torch.zeros_like(gates) for name, gates in own.items()}
    wide = {name: torch.ones_like(gates) for name, gates in own.items()}
    counterfactuals = [
        run_counterfactuals(binary, noise(), Replacement("mean", "network"), gates)[0]
        for gates in (shut, wide)
    ]
    turned = [counterfactual for counterfactual in counterfactuals if not counterfactual.kept]
    assert turned
    for counterfactual in turned:
        assert (
            counterfactual.name_predicted(binary.classes),
            counterfactual.name_answer(binary.classes),
        ) == (
            "not malignant",
            "malignant",
        )
        assert "turns to malignant" in describe(
            judge([counterfactual]), binary.classes, mean=[counterfactual]
        )


def test_independent_labels_that_turn_are_a_change(tags: Network):
    """The most probable class may stay the same while others come and go."""
    live = analyse(tags, noise())
    (counterfactual,) = run_counterfactuals(
        tags, noise(), Replacement("ones", "network"), gates_of(live)
    )
    assert counterfactual.labels is not None
    assert counterfactual.labels[0] == tuple(
        index for index, value in enumerate(live.logits.tolist()) if value >= 0
    )
    assert counterfactual.kept == (counterfactual.labels[0] == counterfactual.labels[1])
    assert counterfactual.name_predicted(tags.classes) == tags.name_answer(live.logits)


@pytest.mark.parametrize("kind", ["binary", "tags"])
def test_curves_show_the_probability_of_the_class(kind: str, request: pytest.FixtureRequest):
    """Deletion begins, and insertion ends, at the photo itself: a softmax would be 1 there for a
    single logit.
    """
    network = request.getfixturevalue(kind)
    inputs = network.preprocess(noise())
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    deletion, insertion = trace_curves(network, inputs, values, Exam(Target(0), steps=2))
    expected = sigmoid(analyse(network, noise()).logits[0].item())
    assert deletion.values[0] == pytest.approx(expected, abs=1e-4)
    assert insertion.values[-1] == pytest.approx(expected, abs=1e-4)


def test_the_card_keeps_that_classes_are_independent(card: NetworkCard):
    """A network that is kept answers alike when it is loaded again; other cards stay as they
    are.
    """
    assert "multi_label" not in card_to_json(card)
    independent = replace(card, multi_label=True)
    assert card_from_json(card_to_json(independent), source="a card") == independent
    with pytest.raises(CheckpointError, match="multi_label is 'no'"):
        card_from_json({**card_to_json(card), "multi_label": "no"}, source="a card")


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ((), ["sick"], "not sick"),
        ((0,), ["sick"], "sick"),
        ((), ["a", "b"], "no class"),
        ((0, 1), ["a", "b"], "a, b"),
    ],
)
def test_an_answer_has_words(labels: tuple[int, ...], classes: list[str], words: str):
    """Also none of many, and the negation of one."""
    assert name_labels(labels, classes) == words


def _folders(path: Path, names: list[str]) -> Pictures:
    for number, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for index in range(3):
            noise().rotate(90 * index + 45 * number).save(path / name / f"{index}.png")
    return Pictures(path)


def test_a_single_class_is_evaluated_by_yes_and_no(binary: Network, tmp_path: Path):
    """By hand: a photo of its folder is right where the logit is not below 0, any other one where
    it is.
    """
    pictures = _folders(tmp_path, ["healthy", "malignant"])
    logits = [analyse(binary, _picture(image)).logits.item() for image in pictures.images]
    right = sum(
        (logit >= 0) == (label == 1) for logit, label in zip(logits, pictures.labels, strict=True)
    )
    assert evaluate(binary, pictures) == pytest.approx(right / 6)


def _picture(image: Tensor) -> Image.Image:
    return to_pil_image(image)


def test_folders_that_do_not_fit_are_refused(binary: Network, tags: Network, tmp_path: Path):
    """One folder alone, other names, and images that may have several labels give no accuracy."""
    with pytest.raises(
        DataError, match=r"answers whether an image is malignant\. Name a folder with two folders"
    ):
        evaluate(binary, _folders(tmp_path / "one", ["malignant"]))
    with pytest.raises(DataError, match="answers whether an image is malignant"):
        evaluate(binary, _folders(tmp_path / "two", ["sick", "well"]))
    with pytest.raises(DataError, match="independent classes, of which an image may have several"):
        evaluate(tags, _folders(tmp_path / "three", list(tags.classes)))


def test_answers_of_tables_are_texts(tags: Network):
    """The file that the command line writes has one answer a row, also where it is several
    classes.
    """
    counterfactuals = run_counterfactuals(
        tags, noise(), Replacement("ones", "stage"), gates_of(analyse(tags, noise()))
    )
    table = tabulate_counterfactuals(counterfactuals, tags.classes)
    assert pd.api.types.is_string_dtype(table["answer"])
