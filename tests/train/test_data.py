"""Folders of images become batches, and Imagenette is fetched whole or not at all."""

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.datasets import Imagenette

from se_viz.errors import DataError
from se_viz.train.data import Pictures, find_data, normalise, training_batches, validation_batches
from se_viz.train.recipe import Recipe

DOWNLOADED = Path("data", "imagenette2-320")


def fill(
    folder: Path, *classes: str, size: tuple[int, int] = (40, 36), count: int = 3, kind: str = "png"
) -> Path:
    """Write ``count`` images of one grey each to a folder per class: 0, 1, 2 and so on in order."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", size, (index, index, index)).save(folder / name / f"{index}.{kind}")
    return folder


def archive(folder: Path) -> bytes:
    """Pack what Imagenette packs: JPEG files in train and val, below one folder."""
    for split in ("train", "val"):
        fill(folder / split, "n01440764", "n02102040", kind="JPEG")
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(folder, DOWNLOADED.name)
    return file.getvalue()


class Shelf(BaseHTTPRequestHandler):
    """Serves one archive: whole, half, or not at all, by the first part of the address."""

    content = b""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path.startswith("/missing"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        half = self.path.startswith("/half")
        self.wfile.write(self.content[: len(self.content) // 2] if half else self.content)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    Shelf.content = archive(tmp_path / "packed")
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def point_to(
    server: ThreadingHTTPServer, place: str, md5: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let torchvision look for the archive on this machine; nothing else is replaced."""
    address = f"http://127.0.0.1:{server.server_port}/{place}/{DOWNLOADED.name}.tgz"
    monkeypatch.setitem(Imagenette._ARCHIVES, "320px", (address, md5))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads go to the working directory."""
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")


def test_imagenette_is_downloaded_once(server, monkeypatch):
    """The first call fetches, checks and unpacks; the second needs no server.

    The archive is not kept.
    """
    point_to(server, "whole", hashlib.md5(Shelf.content).hexdigest(), monkeypatch)
    assert find_data(None) == DOWNLOADED
    point_to(server, "missing", "", monkeypatch)
    assert find_data(None) == DOWNLOADED
    assert [path.name for path in Path("data").iterdir()] == [DOWNLOADED.name]
    assert Pictures(DOWNLOADED / "val").classes == ("tench", "English springer")


@pytest.mark.parametrize(
    ("place", "reason"),
    [("missing", "HTTP Error 404"), ("half", "corrupted"), ("other", "corrupted")],
)
def test_a_failed_download_leaves_nothing_behind(server, monkeypatch, place, reason):
    """A folder with half of the images would be taken for all of them by the next call."""
    point_to(server, place, "0" * 32, monkeypatch)
    with pytest.raises(
        DataError, match=rf"^Imagenette v2 could not be downloaded: .*{reason}.* with --data\.$"
    ):
        find_data(None)
    assert list(Path("data").iterdir()) == []


def test_no_connection_is_said(monkeypatch):
    """A class room may be offline; the sentence names the way without a download."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        point_to(server, "whole", "", monkeypatch)
    with pytest.raises(DataError, match=r"could not be downloaded: .*[Cc]onnection refused"):
        find_data(None)


def test_a_folder_without_train_and_val_is_refused(tmp_path):
    """Accuracy is measured on images that were not trained on: both folders are needed."""
    folder = fill(tmp_path / "train", "ant").parent
    with pytest.raises(
        DataError, match=r" has no folders train and val\. Name one that holds a folder per class"
    ):
        find_data(folder)
    fill(tmp_path / "val", "ant")
    assert find_data(folder) == folder


def test_a_split_without_classes_or_images_is_refused(tmp_path):
    """Images straight in train, and empty class folders, are the two usual slips."""
    (tmp_path / "flat").mkdir()
    (tmp_path / "empty" / "ant").mkdir(parents=True)
    for name in ("flat", "empty"):
        with pytest.raises(
            DataError, match=rf"{name} holds no images in a folder per class: .* Arrange them so\.$"
        ):
            Pictures(tmp_path / name)


def test_a_broken_training_image_is_named(tmp_path):
    """One file in ten thousand: the name is all that helps."""
    folder = fill(tmp_path / "train", "ant")
    (folder / "ant" / "1.png").write_bytes((folder / "ant" / "1.png").read_bytes()[:60])
    with pytest.raises(
        DataError, match=r"1\.png is damaged or no image\. Remove it or replace it\.$"
    ):
        Pictures(folder)


def test_pictures_are_shrunk_and_never_enlarged(tmp_path):
    """They are kept decoded, so large ones are shrunk: 60 x 90 to a shorter side of 30 is 30 x
    45.
    """
    fill(tmp_path / "large", "ant", size=(60, 90), count=1)
    fill(tmp_path / "small", "ant", size=(20, 28), count=1)
    assert Pictures(tmp_path / "large", side=30).images[0].shape == (3, 45, 30)
    assert Pictures(tmp_path / "small", side=30).images[0].shape == (3, 28, 20)


def test_validation_keeps_order_and_every_image(tmp_path):
    """Accuracy counts each image once; the greys 0, 1, 2 of both classes tell the order."""
    pictures = Pictures(fill(tmp_path / "val", "ant", "bee"))
    images, labels = zip(*validation_batches(pictures, size=32, batch=4), strict=True)
    assert [batch.shape for batch in images] == [(4, 3, 32, 32), (2, 3, 32, 32)]
    assert torch.cat(images)[:, 0, 16, 16].tolist() == [0, 1, 2, 0, 1, 2]
    assert torch.cat(labels).tolist() == [0, 0, 0, 1, 1, 1]


def test_training_shuffles_and_drops_the_last_part_of_a_batch(tmp_path):
    """The schedule counts whole batches: six images are one batch of four."""
    pictures = Pictures(fill(tmp_path / "train", "ant", "bee"))
    torch.manual_seed(0)
    batches = list(training_batches(pictures, Recipe(batch=4), size=32, workers=0))
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 32, 32)]
    assert batches[0][0].dtype == torch.uint8


def test_normalising_is_minus_mean_over_spread():
    """(p / 255 - mean) / std, colour by colour, for pixels of 0 and 255."""
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    normalised = normalise(pixels, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    assert normalised[:, :, 0, 0].tolist() == [[-1.0, -1.0, 0.0], [1.0, 3.0, 0.5]]
    assert normalised.is_contiguous(memory_format=torch.channels_last)
