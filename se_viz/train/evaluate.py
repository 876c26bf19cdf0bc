"""Top-1 accuracy of a network on a validation folder: the number that stands on a card."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from se_viz.errors import DataError
from se_viz.networks import Network
from se_viz.networks.labels import imagenet_classes
from se_viz.train.data import Pictures, normalise, validation_batches
from se_viz.train.options import LIST
from se_viz.train.photos import CLASSES, read_list


@torch.inference_mode()
def evaluate(network: Network, pictures: Pictures, *, batch: int = 64) -> float:
    """Return the share of images whose answer is right, in float32 at the card's input size.

    That is the most probable class; where the folder has some of the network's classes, the most
    probable of these. Of a network with a single class the answer is yes or no, and the folder has
    one folder of its name and one of all other images.

    Raises:
        DataError: the folder's classes are not the network's, or one image may have several of
            them.
    """
    positive = _check_classes(network, pictures.classes)
    card = network.card
    columns = [] if positive is not None else list(map(network.classes.index, pictures.classes))
    right = 0
    for images, labels in tqdm(
        validation_batches(pictures, size=card.input_size, batch=batch), desc="evaluating"
    ):
        logits = network.model(normalise(images.to(network.device), card.mean, card.std))
        if positive is None:
            right += int((logits[:, columns].argmax(1).cpu() == labels).sum())
        else:
            right += int(((logits[:, 0] >= 0).cpu() == (labels == positive)).sum())
    return right / len(pictures)


def _check_classes(network: Network, folders: Sequence[str]) -> int | None:
    """Return which folder holds the images of a network's single class.

    None where it has several.
    """
    classes = network.classes
    if len(classes) == 1:
        if len(folders) == 2 and classes[0] in folders:
            return folders.index(classes[0])
        needed = (
            f"answers whether an image is {classes[0]}. Name a folder with two folders, one of "
            f"them {classes[0]}."
        )
    elif network.card.multi_label:
        needed = (
            "has independent classes, of which an image may have several, and folders give each "
            "image one. Evaluate a network whose classes exclude each other."
        )
    elif set(folders) <= set(classes) and len(folders) > 1:
        return None
    else:
        needed = f"has the classes {', '.join(classes)}. Evaluate on the network's own data set."
    raise DataError(f"The folder has the classes {', '.join(folders)}; the network {needed}")


def evaluate_folder(network: Network, folder: Path) -> tuple[float, int]:
    """Return top-1 accuracy on ``folder``/val and the number of its images.

    Of a folder with a list, ``labels.csv``, on every second of its photos: those that no training
    here has seen.
    """
    if (folder / LIST).is_file():
        return _evaluate_list(network, folder)
    # se_viz's own networks are validated as `validation_batches` says, others as their source
    # scales and cuts.
    pictures = Pictures(folder / "val", crop=network.crop if network.card.resize else None)
    return evaluate(network, pictures), len(pictures)


@torch.inference_mode()
def _evaluate_list(network: Network, folder: Path, *, batch: int = 50) -> tuple[float, int]:
    card = network.card
    if network.classes != imagenet_classes(CLASSES):
        raise DataError(
            f"{folder / LIST} numbers ImageNet's thousand classes, which {card.name} has not. Name "
            "the folder of the network's own data set."
        )
    photos = read_list(folder, view=card.view, first=1)
    right = 0
    for start in range(0, len(photos), batch):
        images = torch.stack(photos.images[start : start + batch]).to(network.device)
        answers = network.model(normalise(images, card.mean, card.std)).argmax(1).cpu()
        right += int((answers == torch.tensor(photos.labels[start : start + batch])).sum())
    return right / len(photos), len(photos)
