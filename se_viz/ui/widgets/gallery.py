"""The gallery that one image is compared with: samples and the session's own photos, and gates
that come along.
"""

from contextlib import suppress

from se_viz.engine.questions import ReadLenders
from se_viz.errors import SeVizError
from se_viz.experiments import Analysis
from se_viz.networks.lenders import Lender
from se_viz.ui.asking import Choices, answer, get_analysis, replace_image
from se_viz.ui.session import fits, list_gallery


def get_gallery(choices: Choices) -> list[tuple[Choices, Analysis]]:
    """Choose and analyse every image of the gallery in turn.

    Samples first, then photos, oldest first.
    """
    return [(member, get_analysis(member)) for member in list_fitting(choices)]


def list_fitting(choices: Choices) -> list[Choices]:
    """Return the network before each image of the gallery, or other file, that it takes."""
    members = []
    for image in list_gallery():
        if fits(image, choices.network.card):
            # A file may be of the right kind, and an array of another network's shape.
            with suppress(SeVizError):
                members.append(replace_image(choices, image))
    return members


def get_lenders(choices: Choices) -> tuple[Lender, ...]:
    """Return the images whose gates come with the network; none for most networks.

    Raises:
        CheckpointError: their file is missing, damaged, or of another network.
    """
    return answer(choices, ReadLenders(), lambda _: None)
