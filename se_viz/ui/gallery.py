"""The gallery that one image is compared with: sample images and the session's own photos, each analysed."""

from se_viz.analysis import Analysis
from se_viz.ui.cached import get_analysis
from se_viz.ui.choices import Choices
from se_viz.ui.photos import get_photo
from se_viz.ui.state import ChosenImage, list_gallery


def get_gallery(choices: Choices) -> list[tuple[ChosenImage, Analysis]]:
    """Analyse every image of the gallery with the chosen network; samples first, then photos, oldest first."""
    view = choices.network.card.view
    return [
        (image, get_analysis(choices.name, choices.device, image.digest, get_photo(image.digest, view, image.content)))
        for image in list_gallery()
    ]
