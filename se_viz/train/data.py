"""Images for training and evaluation: a folder per class, kept decoded in memory."""

import shutil
import tarfile
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder, Imagenette
from torchvision.transforms import v2
from tqdm import tqdm

from se_viz.errors import DataError
from se_viz.files import check_ordinary, hold
from se_viz.train.options import check_folder
from se_viz.train.recipe import Recipe

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""The customary ImageNet statistics; pixels range from 0 to 1."""

_MEAN_COLOUR = [round(255 * value) for value in MEAN]

READABLE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
"""Names of the ten Imagenette classes by their WordNet identifier."""


def find_data(folder: Path | None) -> Path:
    """Return a folder that holds ``train`` and ``val``.

    Download Imagenette v2 to ``data`` when none is named.

    A download is kept, and found again by the next call from the same working directory.

    Raises:
        DataError: the named folder holds no such pair, or the download failed.
    """
    if folder is None:
        folder = Path("data", "imagenette2-320")
        if not folder.is_dir():
            _download(folder)
    check_folder(folder)
    return folder


def _download(folder: Path) -> None:
    try:
        folder.parent.mkdir(exist_ok=True)
        # Made elsewhere and moved when complete: a folder of half the images would train a worse
        # network. One place for it, and one process at a time: what a kill has left is removed.
        with hold(folder.parent, wait=True):
            if folder.is_dir():
                return
            part = folder.parent / "download.part"
            shutil.rmtree(part, ignore_errors=True)
            try:
                Imagenette(str(part), split="train", size="320px", download=True)
                (part / folder.name).rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError) as error:
        raise DataError(
            f"Imagenette v2 could not be downloaded: {error}. Look at the connection and start "
            "again, or name a folder of images with --data."
        ) from error


class Pictures(Dataset[tuple[Tensor, int]]):
    """All images of one split as uint8 (3, height, width), decoded once, shorter side at most
    ``side``.

    With ``crop`` they are what it makes of them instead, such as the square that a network sees.

    Raises:
        DataError: the folder holds no folder a class, or a file in one of them is no image.
    """

    def __init__(
        self,
        folder: Path,
        *,
        side: int = 256,
        crop: Callable[[Image.Image], Image.Image] | None = None,
    ) -> None:
        source = _scan(folder)
        self.classes = tuple(READABLE.get(name, name) for name in source.classes)
        self.labels = list(source.targets)
        self.images = [
            _decode(path, side, crop)
            for path, _ in tqdm(source.samples, desc=f"reading {folder.name}", unit="image")
        ]
        self.transform: v2.Transform = v2.Identity()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def training_batches(pictures: Pictures, recipe: Recipe, *, size: int, workers: int) -> DataLoader:
    """Shuffle and augment: random resized crop, flip, erasing.

    Uint8 batches of one size, last part dropped.
    """
    pictures.transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(recipe.crop, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            # With the mean, which is 0 once it is normalised.
            v2.RandomErasing(p=recipe.erasing, value=_MEAN_COLOUR),  # pyright: ignore[reportArgumentType],
        ]
    )
    return DataLoader(
        pictures, batch_size=recipe.batch, shuffle=True, drop_last=True, num_workers=workers
    )


def validation_batches(
    pictures: Pictures, *, size: int, batch: int, workers: int = 0
) -> DataLoader:
    """Every image in order: shorter side to ``size``, centre crop, nothing random."""
    pictures.transform = v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])
    return DataLoader(pictures, batch_size=batch, num_workers=workers)


def normalise(images: Tensor, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> Tensor:
    """Turn uint8 (batch, 3, height, width) into what the network sees; channels_last in memory."""
    images = v2.functional.to_dtype(images, torch.float32, scale=True)
    images = v2.functional.normalize(images, list(mean), list(std))
    return images.contiguous(memory_format=torch.channels_last)


def _scan(folder: Path) -> ImageFolder:
    try:
        return ImageFolder(str(folder))
    except OSError as error:
        raise DataError(
            f"{folder} holds no images in a folder per class: {error}. Arrange them so."
        ) from error


def _decode(path: str, side: int, crop: Callable[[Image.Image], Image.Image] | None) -> Tensor:
    try:
        # A pipe would be waited for.
        check_ordinary(Path(path))
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, SyntaxError) as error:
        raise DataError(f"{path} is damaged or no image. Remove it or replace it.") from error
    if crop:
        return v2.functional.pil_to_tensor(crop(image))
    shrink = side / min(image.size)
    if shrink < 1:
        image = image.resize((round(image.width * shrink), round(image.height * shrink)))
    return v2.functional.pil_to_tensor(image)
