"""The gallery that one image is compared with: sample images and the session's own photos, each analysed."""

from dataclasses import replace

from se_viz.analysis import Analysis
from se_viz.ui.cached import get_analysis
from se_viz.ui.choices import Choices
from se_viz.ui.photos import get_photo
from se_viz.ui.state import list_gallery


def get_gallery(choices: Choices) -> list[tuple[Choices, Analysis]]:
    """Choose and analyse every image of the gallery in turn; samples first, then photos, oldest first."""
    view = choices.network.card.view
    gallery = [
        replace(choices, image=image, photo=get_photo(image.digest, view, image.content)) for image in list_gallery()
    ]
    return [(one, get_analysis(one)) for one in gallery]
