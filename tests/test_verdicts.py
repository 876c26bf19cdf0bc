import pytest

from se_viz.counterfactuals import Counterfactual, Place
from se_viz.verdicts import describe, describe_many, judge

CLASSES = ("ant", "bee")


def moved(
    kind: str = "mean", *, to: float = 0.8, divergence: float = 0.0, answer: int = 0, place: str = "Network"
) -> Counterfactual:
    """Return a replacement that leaves a probability of 0.8 at another one."""
    return Counterfactual(kind, Place(place, (place,)), 0, 0, answer, 0.8, to, divergence)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (moved(to=0.809, divergence=0.009), "did not matter"),
        (moved(to=0.811), "mattered a little"),
        (moved(to=0.789), "mattered a little"),
        (moved(divergence=0.01), "mattered a little"),
        (moved(to=0.899, divergence=0.099), "mattered a little"),
        (moved(to=0.69), "mattered"),
        (moved(to=0.91), "mattered"),
        (moved(divergence=0.1), "mattered"),
        (moved(to=0.799, answer=1), "mattered"),
    ],
)
def test_a_verdict_follows_the_stated_thresholds(found: Counterfactual, words: str):
    """A flip, 10 points or 0.1 nats; 1 point or 0.01 nats; less, in both directions."""
    assert judge([moved(), found]).words == words


def test_a_verdict_rests_on_what_moved_most():
    """A flipped label comes before any divergence without one, and a graver verdict before both."""
    flip, far = moved(answer=1, divergence=0.2, place="SE_2_1"), moved(divergence=0.9, place="SE_5_3")
    assert judge([far, flip]).worst is flip
    assert judge([moved(), far]).worst is far


def test_the_sentence_names_numbers_and_gates():
    """Everything a reader needs to repeat it: whose gates, where, the class, its probability, and KL."""
    verdict = judge([moved("other", to=0.2, divergence=0.7, answer=1, place="SE_4_3")])
    sentence = describe(verdict, [moved("ones")], CLASSES, sources={"other": "the gates of Coffee"})
    assert sentence == (
        "Input-dependent gating mattered here: with the gates of Coffee in SE_4_3, where it moved most, the label "
        "turns to bee and ant goes from 80.0% to 20.0% (KL 0.700 nats)."
    )


def test_a_network_that_needs_gates_but_not_their_answer_to_the_image_is_told():
    """All ones flip the label while static gates do nothing: scaling matters, and not that it depends on the image."""
    verdict = judge([moved(to=0.801)])
    sentence = describe(verdict, [moved("ones", answer=1)], CLASSES, sources={"mean": "static gates"})
    assert sentence.startswith("Input-dependent gating did not matter here: with static gates in the whole network, ")
    assert "Without SE (all ones), the label turns to bee" in sentence
    assert sentence.endswith("that channels are scaled matters more than that each image scales them anew.")


def test_several_images_are_counted():
    """One line: how many of each verdict, whatever shuffles and ones did; then the rules."""
    images = [[moved(answer=1)], [moved(to=0.77), moved("ones", answer=1)], [moved(), moved("shuffle", answer=1)]]
    first, rules = describe_many(images, CLASSES)
    assert first == (
        "Input-dependent gating mattered for 1, mattered a little for 1, did not matter for 1 of 3 images."
    )
    assert "at least 10 points" in rules


def test_without_gates_that_ignore_the_image_there_is_no_verdict():
    """All ones alone cannot tell whether it matters that gates answer to the image."""
    assert [*describe_many([[moved("ones", answer=1)]], CLASSES)] == []
