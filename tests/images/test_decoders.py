"""Images are decoded in children with bounds: whatever a file is, it costs that one photo and
nothing else.
"""

import os
import select
import signal
import struct
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from se_viz.errors import ImageError
from se_viz.images import decoders
from se_viz.images.decoders import decode_confined
from se_viz.images.reading import centre_square, list_samples, open_image, open_square
from tests import ROOT
from tests.images.test_kinds import progressive
from tests.images.test_reading import COLOURS, encode

pytestmark = pytest.mark.slow

PHOTO = list_samples()[1].path.read_bytes()
linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")


@pytest.fixture
def decoder():
    """Return a decoder of the test's own, whose child is gone afterwards."""
    decoder = decoders._Decoder()
    yield decoder
    decoder.end()


@pytest.mark.parametrize(
    "path", [sample.path for sample in list_samples()], ids=lambda path: path.stem
)
def test_a_photo_is_the_same_as_decoded_in_this_process(path: Path):
    """Gates are compared to the last digit: a copy between processes may not change a pixel."""
    np.testing.assert_array_equal(
        np.asarray(open_image(path)), np.asarray(open_image(path, trusted=True))
    )


def test_a_square_is_cut_of_the_same_pixels_in_either_process():
    """Gates are compared to the last digit: what is scaled in the child must be what is scaled of
    the whole image, upright and flat, in every format and mode, shrunk and enlarged.
    """
    turned = Image.open(BytesIO(PHOTO)).getexif()
    turned[274] = 6
    file = BytesIO()
    Image.open(BytesIO(PHOTO)).save(file, "JPEG", exif=turned)
    files = [encode(image.resize((500, 700)), kind) for kind, image, _ in COLOURS]
    for content in (
        *(sample.path.read_bytes() for sample in list_samples()),
        file.getvalue(),
        *files,
    ):
        for side in (64, 900):
            np.testing.assert_array_equal(
                np.asarray(open_square(content, side)),
                np.asarray(centre_square(open_image(content, trusted=True), side)),
            )


def test_only_a_square_of_a_usual_photo_leaves_the_child(decoder: decoders._Decoder):
    """36 MB of a photo of 12 megapixels took longer on their way than all else after decoding;
    what has to be made flat first comes whole, since the child has no room for a second image.
    """
    assert decoder.decode(PHOTO, 64).size == (64, 64)
    assert decoder.decode(PHOTO).size == Image.open(BytesIO(PHOTO)).size
    clear = encode(Image.new("RGBA", (300, 200), (255, 0, 0, 128)), "PNG")
    assert decoder.decode(clear, 64).size == (300, 200)


def test_every_format_and_mode_is_the_same_as_decoded_in_this_process():
    """Conversions run in the child too, band by band; 700 rows are several bands."""
    for kind, image, _ in COLOURS:
        content = encode(image.resize((500, 700)), kind)
        np.testing.assert_array_equal(
            np.asarray(open_image(content)), np.asarray(open_image(content, trusted=True))
        )


def test_wide_values_are_stretched_over_the_whole_image():
    """The least and the greatest value may lie in different bands."""
    values = np.linspace(-5, 5, 700 * 500, dtype=np.float32).reshape(700, 500)
    expected = ((values.astype(np.float64) + 5) * 25.5).round().astype(np.uint8)
    image = np.asarray(open_image(encode(Image.fromarray(values), "TIFF")))
    np.testing.assert_array_equal(image[..., 0], expected)


@linux
def test_a_file_that_computes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, decoder: decoders._Decoder
):
    """The kernel counts the child's processor time, so a bomb that nobody foresaw ends too; the
    next photo is read.
    """
    monkeypatch.setattr(decoders, "SECONDS", 1)
    with pytest.raises(
        ImageError, match=r"^The image takes more than 1 seconds to decode\. Save it anew, as JPEG"
    ):
        decoder.decode(jpeg_of_many_markers())
    decoder.end()
    assert decoder.decode(PHOTO).size == open_image(PHOTO).size


def test_a_decoder_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, decoder: decoders._Decoder
):
    """A stopped process takes no processor time: the clock counts as well."""
    monkeypatch.setattr(decoders, "_PATIENCE", 0.2)
    os.kill(decoder.start().pid, signal.SIGSTOP)
    with pytest.raises(ImageError, match=r"^The image takes more than 10 seconds to decode\."):
        decoder.decode(PHOTO)


@linux
def test_a_file_that_takes_too_much_memory_is_given_up(
    monkeypatch: pytest.MonkeyPatch, decoder: decoders._Decoder
):
    """16 megapixels are 64 MB in Pillow's four bytes a pixel, and the bound here is 48."""
    monkeypatch.setattr(decoders, "MEMORY", 48 * 2**20)
    with pytest.raises(
        ImageError,
        match=r"^The image takes too much memory to decode\. Save a smaller copy, as JPEG",
    ):
        decoder.decode(encode(Image.new("RGB", (4000, 4000)), "PNG", compress_level=1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb() -> bytes:
    """Twenty texts of 900 kB each, which take 20 kB."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    texts = b"".join(
        chunk(b"zTXt", b"%d\0\0" % number + zlib.compress(bytes(900_000))) for number in range(200)
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + texts
        + chunk(b"IDAT", zlib.compress(bytes(72)))
        + chunk(b"IEND", b"")
    )


def tiff_of_many_tags() -> bytes:
    """60,000 tags that all hold the same 8 MB."""
    size = 2**23
    entries = b"".join(struct.pack("<HHII", tag, 7, size, 720_014) for tag in range(1000, 61_000))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + entries + bytes(4) + bytes(size)


def tiff_of_many_strips() -> bytes:
    """Three million strips, each of which Pillow keeps an object for."""
    count = 3_000_000
    start = 200
    tags = [
        (256, 4, 1, 1000),
        (257, 4, 1, 1000),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
    ]
    tags += [(273, 4, count, start), (278, 4, 1, 1), (279, 4, count, start)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head.ljust(start, b"\0") + struct.pack("<I", 0) * count


def jpeg_of_many_markers() -> bytes:
    """Four million empty comments before the frame: some five seconds."""
    content = encode(Image.new("RGB", (8, 8)), "JPEG")
    return content[:2] + b"\xff\xfe\0\2" * 4_000_000 + content[2:]


BOMBS = {"png texts": png_bomb, "tiff tags": tiff_of_many_tags, "tiff strips": tiff_of_many_strips}
BOMBS |= {"scans": lambda: progressive(800, 3000)}


@linux
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_a_sentence_and_the_next_photo_is_read(
    monkeypatch: pytest.MonkeyPatch, decoder: decoders._Decoder, name: str
):
    """A file's cost is not in its size: what it asks for is granted up to the bounds, and no
    further.
    """
    monkeypatch.setattr(decoders, "SECONDS", 1)
    monkeypatch.setattr(decoders, "MEMORY", 2**28)
    with suppress(ImageError):
        decoder.decode(BOMBS[name]())
    decoder.end()
    assert decoder.decode(PHOTO).size == open_image(PHOTO).size


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (signal.SIGSEGV, "broke its decoder"),
        (signal.SIGKILL, "takes too much memory"),
        (signal.SIGTERM, "broke its"),
    ],
)
def test_a_decoder_that_dies_costs_its_own_photo_alone(end: signal.Signals, sentence: str):
    """A fault in a decoder ended the server, and with it every session."""
    for decoder in decoders._decoders:
        os.kill(decoder.start().pid, end)
    for _ in decoders._decoders:
        with pytest.raises(ImageError, match=sentence):
            decode_confined(PHOTO)
        decoders._free.put(decoders._free.queue.pop(0))
    assert decode_confined(PHOTO).size == open_image(PHOTO, trusted=True).size


def test_many_photos_share_a_few_children_in_order_of_arrival():
    """32 uploads at once would otherwise be 32 decoders, each with its gigabyte."""
    before: dict[int, list[int]] = {number: [] for number in range(12)}
    sizes = {}

    def read(number: int) -> None:
        sizes[number] = decode_confined(PHOTO, before[number].append).size

    threads = [threading.Thread(target=read, args=(number,)) for number in before]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(sizes.values()) == {open_image(PHOTO, trusted=True).size}
    assert len(sizes) == 12
    assert decoders._free.qsize() == len(decoders._decoders) == decoders.CHILDREN
    # Told so while they wait: their place in line, which only falls, down to their turn.
    assert all(
        places == sorted(places, reverse=True) or places[-1] in (0, 1) for places in before.values()
    )
    assert all(0 in places for places in before.values())


def test_one_who_gives_up_leaves_the_line():
    """A browser that is gone may not keep others from their photos."""

    def leave(before: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_confined(PHOTO, leave)
    assert decode_confined(PHOTO).size == open_image(PHOTO, trusted=True).size


def ended(pid: int, patience: float = 30.0) -> bool:
    """Wait until a process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)


SCRIPT = """
import os, sys
from se_viz import open_image
from se_viz.images import decoders, list_samples
path = list_samples()[0].path
open_image(path)
print(*[decoder._child.pid for decoder in decoders._decoders if decoder._child], flush=True)
if sys.argv[1] == "fork":
    worker = os.fork()
    if not worker:
        print(open_image(path).size == open_image(path, trusted=True).size, flush=True)
        os._exit(0)
    os.waitpid(worker, 0)
    print(open_image(path).size == open_image(path, trusted=True).size, flush=True)
elif sys.argv[1] == "wait":
    sys.stdin.read()
"""


@linux
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_the_program_however_it_ends(end: signal.Signals):
    """A killed server may leave no process behind."""
    command = [sys.executable, "-c", SCRIPT, "wait"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]
        program.send_signal(end)
    assert pids
    assert all(ended(pid) for pid in pids)


@linux
def test_a_fork_has_decoders_of_its_own():
    """Workers of a data loader are forks: two processes on one pipe would get each other's
    photos.
    """
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, "fork"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert process.stdout.split()[1:] == ["True", "True"]
    assert not process.stderr


def test_a_child_loads_no_more_than_it_needs():
    """Its start is what the first photo waits for."""
    code = "import sys, se_viz.images.decoder_child as child; from se_viz.images import decoding"
    code += "; print(*{'torch', 'numpy'} & sys.modules.keys())"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == []


def test_an_image_from_a_child_is_a_plain_image():
    """Callers write into it and save it: it may not be a view of anything."""
    image = open_image(PHOTO)
    image.putpixel((0, 0), (1, 2, 3))
    file = BytesIO()
    image.save(file, "PNG")
    assert image.info == {}
    assert image.getpixel((0, 0)) == (1, 2, 3)
