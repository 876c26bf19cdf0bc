"""Top-1 accuracy of a network on a validation folder: the number that stands on a card."""

from pathlib import Path

import torch
from tqdm import tqdm

from se_viz.errors import DataError
from se_viz.networks import Network
from se_viz.train.data import Pictures, normalise, validation_batches


@torch.inference_mode()
def evaluate(network: Network, pictures: Pictures, *, batch: int = 64) -> float:
    """Return the share of images whose most probable class is right, in float32 at the card's input size.

    Raises:
        DataError: the folder's classes are not the network's.
    """
    if pictures.classes != network.classes:
        raise DataError(
            f"The folder has the classes {', '.join(pictures.classes)}; the network knows "
            f"{', '.join(network.classes)}. Evaluate on the data set it was trained for."
        )
    card, right = network.card, 0
    for images, labels in tqdm(validation_batches(pictures, size=card.input_size, batch=batch), desc="evaluating"):
        logits = network.model(normalise(images.to(network.device), card.mean, card.std))
        right += int((logits.argmax(1).cpu() == labels).sum())
    return right / len(pictures)


def evaluate_folder(network: Network, folder: Path) -> tuple[float, int]:
    """Return top-1 accuracy on ``folder``/val and the number of its images."""
    pictures = Pictures(folder / "val")
    return evaluate(network, pictures), len(pictures)
