"""Files of every kind become upright RGB images, or one clear sentence."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from se_viz.images.reading import EXTENSIONS, centre_square, find_images, list_samples, open_image

SIZE = (24, 16)
FULL = Image.new("RGB", SIZE, (200, 40, 80))
CLOSE: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}
FORMATS = [
    kind
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
    if kind.lower() in EXTENSIONS
]


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **{**CLOSE.get(kind, {}), **options})
    return file.getvalue()


def palette(transparency: bool = False) -> Image.Image:
    """One pixel row of entry 0 over entry 1; entry 0 may be transparent."""
    image = Image.new("P", SIZE, 0)
    image.putpalette([200, 40, 80, 0, 0, 255])
    if transparency:
        image.info["transparency"] = 0
    return image


RED_INK = Image.new("CMYK", SIZE, (0, 255, 255, 0))
RED_OVER_NOTHING = Image.new("RGBA", SIZE, (255, 0, 0, 128))
BLACK_OVER_NOTHING = Image.new("LA", SIZE, (0, 128))
GREY_16 = Image.fromarray(np.full(SIZE[::-1], 100 * 257, np.uint16))
GREY_16_MOTOROLA = Image.fromarray(np.full(SIZE[::-1], 100 * 257, np.dtype(">u2")))
# JFIF: red is Y = 0.299 * 255, Cb = 128 - 0.1687 * 255, Cr = 128 + 0.5 * 255.
RED_YCBCR = Image.new("YCbCr", SIZE, (76, 85, 255))
WHITE = (255,) * 3
GREY = (100,) * 3
HALF = (127,) * 3
PINK = (255, 127, 127)
ROSE = (200, 40, 80)
RED = (255, 0, 0)

COLOURS = [
    *[(kind, Image.new("1", SIZE, 1), WHITE) for kind in ("PNG", "BMP", "GIF", "TIFF")],
    *[(kind, Image.new("L", SIZE, 100), GREY) for kind in FORMATS],
    *[(kind, FULL, ROSE) for kind in FORMATS],
    *[(kind, palette(), ROSE) for kind in ("PNG", "BMP", "GIF", "TIFF")],
    *[(kind, palette(transparency=True), WHITE) for kind in ("PNG", "GIF")],
    # Half of 255 red and half of white: 128/255 * (255, 0, 0) + 127/255 * (255, 255, 255).
    *[
        (kind, RED_OVER_NOTHING, PINK)
        for kind in FORMATS
        if kind in ("PNG", "WEBP", "TIFF", "AVIF")
    ],
    *[(kind, BLACK_OVER_NOTHING, HALF) for kind in ("PNG", "TIFF")],
    # Cyan takes red away, magenta green, yellow blue. Pillow writes JPEG's inks inverted, as Adobe
    # does.
    *[(kind, RED_INK, RED) for kind in ("JPEG", "TIFF")],
    ("TIFF", RED_YCBCR, RED),
    ("PNG", GREY_16, GREY),
    ("TIFF", GREY_16, GREY),
    ("TIFF", GREY_16_MOTOROLA, GREY),
    # CIE L* = 50.2 without a and b is the sRGB grey 119.
    ("TIFF", Image.new("LAB", SIZE, (128, 128, 128)), (119,) * 3),
]


@pytest.mark.parametrize(
    ("kind", "image", "colour"), COLOURS, ids=lambda value: getattr(value, "mode", None)
)
def test_every_format_and_mode_becomes_rgb_of_the_right_colour(kind, image, colour):
    """A network gets three colours, whatever the file stored; expected values are worked out by
    hand.
    """
    photo = open_image(encode(image, kind))
    assert (type(photo), photo.mode, photo.size) == (Image.Image, "RGB", SIZE)
    # 2: rounding of JPEG's, AVIF's and YCbCr's colour transform.
    np.testing.assert_allclose(np.asarray(photo), np.broadcast_to(colour, (16, 24, 3)), atol=2)


def test_inks_of_a_jpeg_are_inverted_as_adobe_writes_them():
    """Adobe's marker means 255 is no ink; read the other way round, red would be cyan on black."""
    content = encode(RED_INK, "JPEG")
    assert b"Adobe" in content
    assert open_image(content).getpixel((5, 5)) == RED


def test_sixteen_bits_are_scaled_and_not_cut():
    """65535 is the white of 16 bits, so 8 bits are v / 257 rounded: 128 is still black and 129 is
    not.
    """
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    image = np.asarray(open_image(encode(Image.fromarray(values), "PNG")))
    assert image[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_the_transparent_grey_of_sixteen_bits_is_white():
    """PNG can name one grey as transparent; scaling to 8 bits must not forget it."""
    image = open_image(encode(GREY_16, "PNG", transparency=100 * 257))
    assert image.getpixel((5, 5)) == WHITE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 64, 255]),
        (np.array([[np.nan, 2.0, 4.0, np.inf]], np.float32), [0, 0, 255, 255]),
        (np.array([[7.0, 7.0]], np.float32), [0, 0]),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
    ],
)
def test_thirty_two_bits_are_stretched_from_black_to_white(values, expected):
    """They have no agreed white; (v - least) * 255 / (greatest - least), and no value may raise a
    warning.
    """
    image = np.asarray(open_image(encode(Image.fromarray(values), "TIFF")))
    assert image[0, :, 0].tolist() == expected


# EXIF 2.32, tag 274: the side of the picture that the first stored row is, and the first stored
# column.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def as_stored(picture: np.ndarray, orientation: int) -> np.ndarray:
    if "bottom" in SIDES[orientation]:
        picture = picture[::-1]
    if "right" in SIDES[orientation]:
        picture = picture[:, ::-1]
    return picture.swapaxes(0, 1) if SIDES[orientation][0] in ("left", "right") else picture


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("BMP", "GIF")])
def test_a_turned_photo_stands_upright(kind, orientation):
    """Phones store the sensor's rows and say in EXIF how to turn them; the network must see a
    standing cat.
    """
    colours = np.array(
        [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [255, 255, 0]]],
        np.uint8,
    )
    picture = colours.repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(as_stored(picture, orientation))
    image = open_image(encode(Image.fromarray(stored), kind, exif=exif))
    # 8: JPEG and AVIF round, here in the middle of each block.
    np.testing.assert_allclose(np.asarray(image, int)[8::16, 8::16], colours, atol=8)


def test_nothing_else_of_the_file_stays_with_the_image():
    """EXIF says where a photo was taken, and its orientation would turn the upright image once
    more.
    """
    exif = Image.Exif()
    exif[274] = 6
    image = open_image(encode(FULL, "JPEG", exif=exif, comment=b"at home"))
    assert image.info == {}
    assert dict(image.getexif()) == {}


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_broken_exif_is_no_reason_to_refuse_the_pixels(exif):
    """Every other viewer opens such a photo, and the warnings of the decoder are not the user's to
    read.
    """
    assert open_image(encode(FULL, "JPEG", exif=exif)).size == SIZE


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("JPEG", "BMP")])
def test_an_animation_gives_its_first_frame(kind):
    """One image goes through the network, and the first frame is what a file manager shows."""
    frames = [Image.new("RGB", SIZE, "red"), Image.new("RGB", SIZE, "blue")]
    image = open_image(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(np.asarray(image)[5, 5], RED, atol=2)


def test_a_two_frame_photo_of_a_phone_is_read():
    """Phones write MPO, a JPEG with more frames behind it; Pillow registers no reader of that
    name.
    """
    content = encode(FULL, "MPO", save_all=True, append_images=[FULL])
    assert open_image(content).size == SIZE


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_file_is_opened_by_content_whatever_its_name(extension, tmp_path):
    """People rename files; every ending that is offered opens, and so does a file with the wrong
    one.
    """
    right = tmp_path / f"photo.{extension}"
    wrong = tmp_path / "photo.txt"
    kind = {"tif": "TIFF", "apng": "PNG", "mpo": "MPO", "avifs": "AVIF"}.get(
        extension, extension.upper()
    )
    FULL.save(right, kind if kind in (*FORMATS, "DIB", "MPO") else "JPEG")
    wrong.write_bytes(right.read_bytes())
    assert open_image(right).size == open_image(str(wrong)).size == SIZE


@pytest.mark.parametrize(
    "name", ["photo.jfif", "photo.JPE", "photo.pjpeg", "photo.apng", "photo.dib", "photo.Jpeg"]
)
def test_a_folder_gives_images_by_every_name_of_their_formats(name, tmp_path):
    """Windows and Chrome save JPEGs as .jfif: a folder of them is no empty folder."""
    FULL.save(tmp_path / name, "JPEG")
    assert find_images([tmp_path]) == [tmp_path / name]


def test_the_shorter_side_fills_the_square():
    """What the network sees is the centre: bands at both ends of the longer side are cut off."""
    wide = Image.new("RGB", (300, 200), "red")
    wide.paste("green", (50, 0, 250, 200))
    for image in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        square = centre_square(image, 100)
        assert square.size == (100, 100)
        # The filter that shrinks reaches one pixel beyond the cut.
        assert square.crop((1, 1, 99, 99)).getcolors() == [(98 * 98, (0, 128, 0))]


def test_a_square_of_the_right_size_is_left_alone():
    """Scaling by 1 must not blur."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(centre_square(Image.fromarray(noise), 32)), noise)


def test_a_small_image_is_enlarged_to_the_square():
    """A network has one input size; a one-pixel image is still an image."""
    assert centre_square(Image.new("RGB", (1, 1), "red"), 32).getcolors() == [(32 * 32, RED)]


def test_six_samples_open_and_name_their_makers():
    """A newcomer without a photo at hand needs something to click; licences ask for the credit."""
    samples = list_samples()
    assert len(samples) == len({sample.title for sample in samples}) == 6
    for sample in samples:
        assert min(open_image(sample.path).size) >= 224
        assert " by " in sample.credit
        assert "CC" in sample.credit or "public domain" in sample.credit
