"""Photos of a thousand classes: a folder a class for ten of them, and a list of photos of any."""

import csv
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from tqdm import tqdm

from se_viz.errors import DataError
from se_viz.networks.card import View
from se_viz.networks.crop import crop_image
from se_viz.networks.labels import imagenet_classes
from se_viz.train.data import Pictures
from se_viz.train.options import LIST

CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos in memory, uint8 (3, height, width), with their class among the thousand."""

    images: list[Tensor]
    """Decoded once."""
    labels: list[int]
    """ImageNet's number of each photo's class."""

    def __len__(self) -> int:
        return len(self.images)


def read_folders(folder: Path, *, view: View | None = None, every: int = 1) -> Photos:
    """Read a folder per class; with a view as the network sees them, and one in ``every``.

    Raises:
        DataError: a folder is none of ImageNet's classes.
    """
    pictures = Pictures(folder, crop=(lambda image: crop_image(image, view)) if view else None)
    names = imagenet_classes(CLASSES)
    strange = [name for name in pictures.classes if name not in names]
    if strange:
        raise DataError(
            f"{folder} holds the class {strange[0]}, which is none of ImageNet's thousand. Name "
            "a folder whose classes are."
        )
    numbers = [names.index(name) for name in pictures.classes]
    labels = [numbers[label] for label in pictures.labels]
    return Photos(pictures.images[::every], labels[::every])


def read_list(folder: Path, *, view: View | None = None, first: int = 0) -> Photos:
    """Read every second photo of ``labels.csv`` (file, class), from row ``first`` on.

    Rows 0, 2, 4, ... are for training, rows 1, 3, 5, ... for validation alone.

    Raises:
        DataError: there is no such list, or a photo of it cannot be read.
    """
    path = folder / LIST
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))[first::2]
        labels = [int(row["class"]) for row in rows]
        images = [
            _read(folder / "images" / row["file"], view)
            for row in tqdm(rows, desc=f"reading {folder.name}", unit="image")
        ]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is no list of photos that can be read ({error}). Give it the columns file and "
            "class (0 to 999), and put the photos into the folder images beside it."
        ) from error
    return Photos(images, labels)


def _read(path: Path, view: View | None) -> Tensor:
    with Image.open(path) as file:
        image = file.convert("RGB")
    return v2.functional.pil_to_tensor(crop_image(image, view) if view else image)


@dataclass(frozen=True, slots=True)
class Views:
    """Training batches by number: the same step gives the same batch, whenever it is asked for."""

    photos: Photos
    """What is trained on."""
    repeats: list[int]
    """How often each photo comes in an epoch."""
    batch: int
    """Photos a step."""
    size: int
    """Side of a view, in pixels."""
    crop: float
    """Smallest share of a photo's area that a view shows."""
    seed: int
    """Seed of order and augmentation."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return sum(self.repeats) // self.batch

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the images of a step, uint8 (batch, 3, size, size), the same images damaged, and
        their labels.
        """
        epoch, place = divmod(step, self.steps)
        dice = torch.Generator().manual_seed(self.seed + 7919 * epoch)
        all_of_them = torch.repeat_interleave(torch.tensor(self.repeats))
        order = all_of_them[torch.randperm(len(all_of_them), generator=dice)]
        chosen = order[place * self.batch : (place + 1) * self.batch].tolist()
        torch.manual_seed(self.seed + 1_000_003 * (step + 1))
        look = v2.Compose(
            [
                v2.RandomResizedCrop(self.size, scale=(self.crop, 1.0), antialias=True),
                v2.RandomHorizontalFlip(),
            ]
        )
        images = [look(self.photos.images[index]) for index in chosen]
        damaged = torch.stack([damage(image) for image in images])
        labels = torch.tensor([self.photos.labels[index] for index in chosen])
        return torch.stack(images), damaged, labels


def damage(image: Tensor) -> Tensor:
    """Return a photo in another light, blurred, coarse or noisy, or as it was: a quarter each.

    What differs between such views is much of what a factor for each channel can make up for.
    """
    ways = [
        v2.Identity(),
        v2.ColorJitter(brightness=0.6, contrast=0.6, saturation=0.6),
        v2.RandomChoice([v2.GaussianBlur(7, (0.5, 2.5)), v2.Lambda(_coarsen)]),
        v2.Compose([v2.Lambda(_add_noise), v2.ColorJitter(brightness=0.4, contrast=0.4)]),
    ]
    return v2.RandomChoice(ways)(image)


def _coarsen(image: Tensor) -> Tensor:
    sides = [side // 2 for side in image.shape[-2:]]
    return v2.functional.resize(v2.functional.resize(image, sides), list(image.shape[-2:]))


def _add_noise(image: Tensor) -> Tensor:
    noise = torch.randn(image.shape) * float(torch.rand(())) * 30
    return (image + noise).clamp(0, 255).to(torch.uint8)


def mix(images: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Mix the photos of a batch with each other in two of three cases (arXiv 1710.09412 and
    1905.04899); the same seed mixes two batches alike.

    Mixed photos lie between classes, where a teacher has more to say than one name. Their labels
    are (batch, 1000) and sum to 1.
    """
    torch.manual_seed(seed)
    mixers = [
        v2.Identity(),
        v2.MixUp(alpha=1.0, num_classes=CLASSES),
        v2.CutMix(alpha=1.0, num_classes=CLASSES),
    ]
    return v2.RandomChoice(mixers)(images, labels)
