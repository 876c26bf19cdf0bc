"""What is explained is one logit, or the difference of two."""

import pytest
import torch
from torch import nn

from se_viz.attribution.question.targets import Target, TargetModel
from se_viz.errors import AttributionError

LOGITS = torch.tensor([[1.0, 2.0, 4.0], [0.5, -1.0, 8.0]])


def test_a_target_reads_its_logit_or_its_lead():
    """One number an image, by hand."""
    assert Target(2).read(LOGITS).tolist() == [4.0, 8.0]
    assert Target(2, 1).read(LOGITS).tolist() == [2.0, 9.0]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(3), r"^There is no class 3: this network has 0 to 2\. Choose one of these\.$"),
        (Target(0, -1), r"^There is no class -1: "),
        (
            Target(1, 1),
            r"^Class 1 does not differ from itself\. Choose another class to compare it with, or "
            r"none\.$",
        ),
    ],
)
def test_a_class_that_is_not_there_is_said(target, message):
    """The value, what there is, and what to do."""
    with pytest.raises(AttributionError, match=message):
        target.check(3)


def test_an_answer_is_a_column_of_what_is_read():
    """Captum takes (batch, 1) for one output an image, also where the batch is one."""
    assert TargetModel(nn.Identity(), Target(2, 1))(LOGITS).tolist() == [[2.0], [9.0]]
    assert TargetModel(nn.Identity(), Target(0))(LOGITS[:1]).tolist() == [[1.0]]
