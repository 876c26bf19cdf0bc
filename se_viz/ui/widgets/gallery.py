"""The gallery that one image is compared with: samples and the session's own photos, and gates
that come along.
"""

from dataclasses import replace

from se_viz.engine.questions import ReadLenders
from se_viz.experiments import Analysis
from se_viz.networks.lenders import Lender
from se_viz.ui.asking import Choices, answer, get_analysis
from se_viz.ui.session import get_photo, list_gallery


def get_gallery(choices: Choices) -> list[tuple[Choices, Analysis]]:
    """Choose and analyse every image of the gallery in turn.

    Samples first, then photos, oldest first.
    """
    view = choices.network.card.view
    gallery = [
        replace(choices, image=image, photo=get_photo(image.digest, view, image.content))
        for image in list_gallery()
    ]
    return [(member, get_analysis(member)) for member in gallery]


def get_lenders(choices: Choices) -> tuple[Lender, ...]:
    """Return the images whose gates come with the network; none for most networks.

    Raises:
        CheckpointError: their file is missing, damaged, or of another network.
    """
    return answer(choices, ReadLenders(), lambda _: None)
