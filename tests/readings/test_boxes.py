"""Boxes: the score of each class's strongest box, over the image or a region."""

from typing import Any

import pytest
import torch
from torch import Tensor

from se_viz import Network
from se_viz.errors import NetworkError
from se_viz.readings import Reading, model_inside
from se_viz.readings.boxes import NOTHING
from tests.support.answers import load_code

NET = load_code()
DETECTORS = ("ssd", "rcnn")


def make(name: str, **details: Any) -> Network:
    torch.manual_seed(0)
    return Network.from_model(getattr(NET, name)(), answer="boxes", input_size=64, **details)


@pytest.fixture
def image() -> Tensor:
    """One image, as a network's input."""
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def chosen(network: Network, image: Tensor) -> dict[str, Tensor]:
    """Return what the detector itself returns, for the pixels that an input was made of."""
    mean, std = (
        torch.tensor(values).reshape(3, 1, 1) for values in (network.card.mean, network.card.std)
    )
    return model_inside(network.model)([image[0] * std + mean])[0]


@pytest.mark.parametrize("name", DETECTORS)
def test_the_strongest_box_is_the_one_that_the_detector_returns(name: str, image: Tensor):
    """Suppression keeps the best box of a class, so that its score comes out of torchvision too."""
    network = make(name)
    scores = network.model(image).sigmoid()[0]
    answer = chosen(network, image)
    best = scores.argmax()
    assert answer["scores"].max().item() == pytest.approx(scores[best].item(), rel=1e-5)
    for label in answer["labels"].unique().tolist():
        own = answer["scores"][answer["labels"] == label].max().item()
        assert scores[label - 1].item() == pytest.approx(own, rel=1e-5)
    assert scores.std() > 1e-3


@pytest.mark.parametrize("name", DETECTORS)
def test_a_region_chooses_the_boxes_that_overlap_it(name: str, image: Tensor):
    """Each box that the detector returns, asked for by its own rectangle, has its own score or
    that of a stronger one that overlaps it by half.
    """
    network = make(name)
    answer = chosen(network, image)
    boxes = answer["boxes"] / 64
    for box, label, score in zip(boxes[:5], answer["labels"], answer["scores"], strict=False):
        region = tuple(box.tolist())
        if min(region[2] - region[0], region[3] - region[1]) < 0.01:
            continue
        found = network.at(Reading(region)).model(image).sigmoid()[0, label - 1].item()
        assert found >= score.item() * (1 - 1e-4)
    whole = network.model(image)
    part = network.at(Reading((0.0, 0.0, 0.5, 0.5))).model(image)
    assert (part <= whole + 1e-6).all()
    assert (part < whole).any()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_score_has_a_slope(name: str, image: Tensor):
    """Attributions by gradients need one, and it is that of the number itself."""
    network = make(name)
    pixels = image.clone().requires_grad_()
    network.model(pixels)[0, 1].backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 1e-6
    step = 1e-2 * pixels.grad / pixels.grad.norm()
    rise = network.model(image + step)[0, 1] - network.model(image - step)[0, 1]
    # Of float32, and the boxes may move a little besides.
    assert rise.item() == pytest.approx(2e-2 * pixels.grad.norm().item(), rel=0.05)


@pytest.mark.parametrize("name", [*DETECTORS, "listed"])
def test_where_nothing_is_the_score_is_zero(name: str, image: Tensor):
    """Also then a method may ask for a gradient."""
    network = make(name, **({"classes": ["a", "b", "c"]} if name == "listed" else {}))
    region = (0.0, 0.0, 0.02, 0.02)
    pixels = image.clone().requires_grad_()
    logits = network.at(Reading(region)).model(pixels)
    assert logits.tolist() == [[pytest.approx(NOTHING)] * 3]
    assert logits.sigmoid().max() < 1e-5
    logits[0, 0].backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() == 0


def test_an_image_without_proposals_has_a_score_of_zero(image: Tensor):
    """Then torchvision puts out no row at all."""
    network = make("rcnn")
    model: Any = model_inside(network.model)
    model.rpn.score_thresh = 2.0
    pixels = image.clone().requires_grad_()
    logits = network.model(pixels)
    assert logits.tolist() == [[pytest.approx(NOTHING)] * 3]
    logits[0, 0].backward()
    assert network.reader is not None
    assert network.reader.find(model, image) == ()


@pytest.mark.parametrize("name", DETECTORS)
def test_images_of_a_batch_do_not_meet(name: str, image: Tensor):
    """Methods run many images in a pass."""
    network = make(name)
    images = torch.cat([image, image.flip(3), torch.zeros_like(image)])
    together = network.model(images)
    alone = torch.cat([network.model(row[None]) for row in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_places_are_boxes_of_the_detector(name: str, image: Tensor):
    """The best place is the best box that it returns, and reading there gives its score."""
    network = make(name)
    assert network.reader is not None
    places = network.reader.find(model_inside(network.model), image)
    assert 0 < len(places) <= 20
    assert [place.share for place in places] == sorted((p.share for p in places), reverse=True)
    best = places[0]
    logits = network.at(Reading(best.region)).model(image)
    assert logits.sigmoid()[0, best.index].item() == pytest.approx(best.share, rel=1e-3)


def test_a_detector_that_nobody_knows_is_read_by_what_it_returns(image: Tensor):
    """One box of label 2, with the score that the model computes."""
    network = make("listed", classes=["__background__", "ant", "bee"])
    assert network.classes == ("ant", "bee")
    bright = image + 3
    score = chosen(network, bright)["scores"]
    logits = network.model(bright)[0]
    torch.testing.assert_close(logits[1].sigmoid(), score[0])
    assert logits[0].sigmoid() < 1e-5
    assert network.labels(torch.tensor([-1.0, 1.0])) == (1,)
    # Where the model finds nothing.
    assert network.model(image - 9).tolist() == [[pytest.approx(NOTHING)] * 2]


def test_the_detectors_own_normalisation_is_taken_back(image: Tensor):
    """The mean colour of the card is that of the detector, and pixels reach it from 0 to 1."""
    network = make("rcnn")
    assert network.card.mean == pytest.approx((0.485, 0.456, 0.406))
    other = make("rcnn", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    mean, std = (
        torch.tensor(values).reshape(3, 1, 1) for values in (network.card.mean, network.card.std)
    )
    torch.testing.assert_close(network.model(image), other.model(image * std + mean))


def test_each_class_is_a_yes_or_no(image: Tensor):
    """Scores of boxes do not share anything out."""
    network = make("ssd")
    assert network.card.independent
    logits = network.model(image)[0]
    torch.testing.assert_close(network.probabilities(logits), logits.sigmoid())


REFUSED = {
    "embedder": r"nobody can tell how many classes its boxes have\. Name them, in the order of",
    "listed": r"nobody can tell how many classes",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_detector_is_told(name: str):
    """One sentence instead of a traceback of torchvision."""
    with pytest.raises(NetworkError, match=REFUSED[name]):
        make(name)


def test_an_answer_without_boxes_is_told():
    """With names, it is tried."""
    with pytest.raises(NetworkError, match=r"returns no list of boxes, labels and scores|not run"):
        make("embedder", classes=["a"])
