"""Embeddings, values, and code of one's own: numbers that are no probabilities."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from se_viz import Network, load_network
from se_viz.errors import NetworkError
from se_viz.readings import Reading, split_answer
from tests.support.answers import CODE, load_code
from tests.support.own_code import write_net

NET = load_code()


@pytest.fixture
def image() -> Tensor:
    """One image, as a network's input."""
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def embedder() -> Network:
    """A network of embeddings."""
    return Network.from_model(NET.embedder(), answer="embedding", input_size=64)


def test_a_similarity_is_the_cosine_of_two_embeddings(embedder: Network, image: Tensor):
    """By the definition: the dot product over both lengths."""
    model = NET.embedder()
    other = image.flip(2)
    one, two = model(image)[0], model(other)[0]
    by_hand = sum(a * b for a, b in zip(one.tolist(), two.tolist(), strict=True))
    by_hand /= one.pow(2).sum().sqrt().item() * two.pow(2).sum().sqrt().item()
    beside = embedder.at(Reading(beside="x"), other)
    assert beside.model(image).tolist() == [[pytest.approx(by_hand, rel=1e-4)]]
    assert beside.model(other).item() == pytest.approx(1, abs=1e-5)
    assert beside.classes == ("similarity",)
    pixels = image.clone().requires_grad_()
    beside.model(pixels).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 0


def test_without_a_second_image_it_is_the_mean_colour(embedder: Network, image: Tensor):
    """Some number has to be there before anybody has chosen."""
    zeros = torch.zeros_like(image)
    expected = embedder.at(Reading(beside="x"), zeros).model(image)
    torch.testing.assert_close(embedder.model(image), expected)


def test_a_photo_stands_beside_as_the_network_sees_it(embedder: Network):
    """Pages hold squares, and no inputs."""
    photo = Image.effect_noise((64, 64), 90).convert("RGB")
    beside = embedder.at(Reading(beside="x"), photo)
    assert beside.model(embedder.preprocess(photo, whole=True)).item() == pytest.approx(1, abs=1e-5)


def test_numbers_stay_as_they_are(embedder: Network, image: Tensor):
    """A similarity of -0.5 is no probability, and no label."""
    logits = torch.tensor([-0.5])
    assert embedder.probabilities(logits) is logits
    assert embedder.labels(logits) == ()
    assert embedder.name_answer(logits) == "similarity -0.5"
    network = Network.from_model(NET.regression(), answer="value", input_size=64)
    assert network.classes == ("value",)
    assert torch.equal(network.model(image), NET.regression()(image))
    many = Network.from_model(NET.embedder(), answer="value", input_size=64)
    assert many.name_answer(torch.arange(8.0)) == "value 0 0, value 1 1, value 2 2, …"


def test_code_reads_what_it_likes(image: Tensor):
    """Areas in pixels, by hand."""
    network = Network.from_model(
        NET.segmenter(), answer=NET.areas, classes=["a", "b", "c", "d"], input_size=64
    )
    maps = NET.segmenter()(image)["out"].softmax(1)
    torch.testing.assert_close(network.model(image)[0], maps[0].flatten(1).sum(1))
    assert network.card.answer == "value"
    assert network.model(image).sum().item() == pytest.approx(64 * 64, rel=1e-4)


def test_code_picks_logits_of_classes(image: Tensor):
    """Libraries return objects around them, whose numbers are logits all the same."""
    model = torch.nn.Sequential(NET.embedder())
    network = Network.from_model(model, answer=("classes", lambda answer: answer), input_size=64)
    assert network.card.answer == "classes"
    torch.testing.assert_close(
        network.probabilities(network.model(image)), NET.embedder()(image).softmax(1)
    )


def test_refused_answers_end_in_a_step():
    """What cannot be read is told when the network is made."""
    make = Network.from_model
    with pytest.raises(NetworkError, match=r"Segmenter returns a dict, and a value is read"):
        make(NET.segmenter(), answer="value", input_size=64)
    with pytest.raises(NetworkError, match=r"There is no kind of answer 'boxs'\. Did you mean"):
        make(NET.segmenter(), answer="boxs", input_size=64)
    with pytest.raises(NetworkError, match=r"\(KeyError: 'lost'\)"):
        make(NET.segmenter(), answer=NET.broken, input_size=64)
    with pytest.raises(NetworkError, match=r"returns dict|returns a dict.*Say what its answer is"):
        make(NET.segmenter(), input_size=64)


def test_places_that_an_answer_does_not_have(embedder: Network, image: Tensor):
    """A region of an embedding would be read nowhere."""
    half = Reading((0.0, 0.0, 0.5, 0.5))
    with pytest.raises(NetworkError, match=r"answers for the whole image, so that a region means"):
        embedder.at(half)
    with pytest.raises(NetworkError, match=r"The second image that Sequential compares with"):
        embedder.at(Reading(beside="x"))
    segmenter = Network.from_model(NET.segmenter(), answer="segments", input_size=64)
    with pytest.raises(NetworkError, match=r"compares no two images: its answer is no embedding"):
        segmenter.at(Reading(), image)
    plain = Network.from_model(NET.embedder(), input_size=64)
    with pytest.raises(NetworkError, match=r"answers for the whole image"):
        plain.at(half)


def test_an_answer_in_one_word():
    """One option says both what is read and what picks it."""
    assert split_answer("boxes") == ("boxes", "")
    assert split_answer("net.py:read") == ("value", "net.py:read")
    assert split_answer("segments=net.py:read") == ("segments", "net.py:read")
    for text in ("segments=", "net=net.py:read", ""):
        with pytest.raises(NetworkError, match="There is no kind of answer"):
            split_answer(text)


def test_code_in_a_file_reads_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the network itself, by a name that whoever runs the program has given."""
    write_net(tmp_path, "net.py", CODE)
    monkeypatch.chdir(tmp_path)
    network = load_network("net.py:wrapped", "cpu", input=64, answer="segments=net.py:pick")
    assert network.card.answer == "segments"
    areas = load_network("net.py:segmenter", "cpu", input=64, answer="net.py:areas")
    assert areas.classes[0] == "value 0"
    with pytest.raises(NetworkError, match=r"net.py:wrong failed|net.py has no 'wrong'"):
        load_network("net.py:segmenter", "cpu", input=64, answer="net.py:wrong")
    with pytest.raises(NetworkError, match=r"seresnet18 is a listed network|listed network, with"):
        load_network("seresnet18", "cpu", answer="value")
