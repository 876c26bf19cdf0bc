"""Files that are no photo become the input that another library, or arithmetic, makes of them."""

import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from se_viz.errors import InputError, NetworkError
from se_viz.images import list_samples
from se_viz.inputs import build_way, open_file, read_way
from se_viz.inputs.reading import read_wave
from se_viz.inputs.sounds import fit_length, mel_bank

CAT = list_samples()[0].path


def tone(rate: int = 16_000, seconds: float = 0.5, hertz: float = 1000.0) -> np.ndarray:
    """Return a sound of one frequency, at half of the range."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def wav(values: np.ndarray, rate: int = 16_000) -> BytesIO:
    file = BytesIO()
    wavfile.write(file, rate, values)
    file.seek(0)
    return file


KINDS = {
    "16 bits": lambda values: (values * 2**15).astype(np.int16),
    "32 bits": lambda values: (values * 2**31).astype(np.int32),
    "8 bits": lambda values: (values * 128 + 128).round().astype(np.uint8),
    "floats": lambda values: values.astype(np.float32),
    "two channels": lambda values: np.stack([values * 2, values * 0], axis=1).astype(np.float32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_those_that_were_written(kind: str):
    """From -1 to 1 whatever their kind; two channels are their mean."""
    values = tone()
    samples, rate = read_wave(wav(KINDS[kind](values)))
    assert rate == 16_000
    # Of 8 bits a step is 1/128.
    np.testing.assert_allclose(samples, values, atol=0.008 if kind == "8 bits" else 1e-4)


def test_a_file_of_pythons_own_writer_with_24_bits_is_read():
    """Recorders write 24 bits; each sample is three bytes, the lowest first."""
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(3)
        out.setframerate(8000)
        out.writeframes(b"\x00\x00\x40" * 10 + b"\x00\x00\xc0" * 10)
    file.seek(0)
    samples, _ = read_wave(file)
    assert samples.tolist() == [0.5] * 10 + [-0.5] * 10


def test_another_rate_keeps_the_tone():
    """Resampled to 8,000 a second, half a second of 1,000 Hz is half a second of 1,000 Hz."""
    samples, rate = read_wave(wav(tone(44_100).astype(np.float32), 44_100), 8000)
    assert (rate, len(samples)) == (8000, 4000)
    middle = slice(500, 3500)
    # The filter's ripple and its ends.
    np.testing.assert_allclose(samples[middle], tone(8000)[middle], atol=0.01)


def test_the_middle_of_a_sound_is_kept_and_silence_added_around():
    """What people record is in the middle."""
    assert fit_length(torch.arange(7.0), 3).tolist() == [2, 3, 4]
    assert fit_length(torch.ones(2), 5).tolist() == [0, 1, 1, 0, 0]
    assert fit_length(torch.ones(2), 2).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("rate", "bands", "low", "high"), [(16_000, 64, 0.0, 8000.0), (8000, 40, 50.0, 3800.0)]
)
def test_mel_bands_are_torchaudios(rate: int, bands: int, low: float, high: float):
    """Networks are trained on its spectrograms."""
    functional = pytest.importorskip("torchaudio.functional")
    expected = functional.melscale_fbanks(201, low, high, bands, rate).T
    torch.testing.assert_close(mel_bank(201, bands, rate, low, high), expected, atol=1e-5, rtol=0)


def test_a_spectrogram_is_torchaudios(recwarn: pytest.WarningsRecorder):
    """The whole way: the same frames of the same sound, to rounding."""
    transforms = pytest.importorskip("torchaudio.transforms")
    values = np.random.default_rng(0).uniform(-0.9, 0.9, 160 * 99).astype(np.float32)
    made = build_way("log-mel", (1, 64, 100))(wav(values))
    mel = transforms.MelSpectrogram(16_000, 400, hop_length=160, n_mels=64)
    expected = torch.log(mel(torch.from_numpy(values)) + 1e-6)[None]
    assert made.shape == (1, 64, 100)
    # Sums of 200 products in single precision, in another order.
    torch.testing.assert_close(made, expected, atol=1e-3, rtol=1e-3)


def test_a_tone_is_in_its_band():
    """1,000 Hz is 1,000 mel: a little above a third of the way to 8,000 Hz, which is 2,840 mel."""
    made = build_way("log-mel:rate=16000,hop=160", (64, 40))(wav(tone().astype(np.float32)))
    assert made.shape == (64, 40)
    assert int(made[:, 20].argmax()) == round(1000 / 2840 * 65) - 1


def test_a_waveform_is_the_samples():
    """As they are, cut to what the network takes."""
    values = tone().astype(np.float32)
    made = build_way("waveform", (1, 1000))(wav(values))
    np.testing.assert_array_equal(made.numpy(), values[None, 3500:4500])


def test_grey_is_pillows():
    """Scaled to cover the input, cut in the middle, 0 to 1."""
    made = build_way("grey", (1, 32, 32))(open_file(CAT))
    with Image.open(CAT) as image:
        grey = image.convert("L")
    assert made.shape == (1, 32, 32)
    assert 0 <= float(made.min()) < float(made.max()) <= 1
    # The mean of the middle square, whichever filter scales it.
    side = min(grey.size)
    left, top = (grey.width - side) // 2, (grey.height - side) // 2
    middle = np.asarray(grey.crop((left, top, left + side, top + side))) / 255
    assert float(made.mean()) == pytest.approx(middle.mean(), abs=0.005)


def saved(values: np.ndarray) -> BytesIO:
    file = BytesIO()
    np.save(file, values)
    file.seek(0)
    return file


def test_channels_come_from_an_array_in_either_order():
    """Bands first or last, whole numbers from 0 to 1, scaled as photos are."""
    values = np.zeros((5, 8, 12), np.uint8)
    values[2] = 255
    way = build_way("channels", (5, 4, 6))
    made = way(saved(values))
    assert made.shape == (5, 4, 6)
    assert made.mean((1, 2)).tolist() == pytest.approx([0, 0, 1, 0, 0])
    assert torch.equal(way(saved(np.moveaxis(values, 0, -1))), made)
    with pytest.raises(InputError, match="has the shape 4x8x12, and the network takes 5 channels"):
        way(saved(values[:4]))


def test_an_array_is_taken_as_it_is():
    """A single one of an archive too; several, or objects, are refused, and nothing is run."""
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    way = build_way("array", (2, 3, 4, 5))
    np.testing.assert_array_equal(way(saved(values)).numpy(), values)
    file = BytesIO()
    np.savez_compressed(file, x=values)
    file.seek(0)
    np.testing.assert_array_equal(way(file).numpy(), values)
    file = BytesIO()
    np.savez(file, x=values, y=values)
    file.seek(0)
    with pytest.raises(InputError, match="holds 2 arrays"):
        way(file)
    for odd in (np.array([{}], dtype=object), np.array(["a"])):
        with pytest.raises(InputError, match=r"The (file|array) holds"):
            way(saved(odd))


BROKEN = {
    "log-mel": (b"RIFF0000", (1, 64, 100), "is no WAV file that can be read. Export it as WAV"),
    "waveform": (b"", (1, 100), "is no WAV file that can be read"),
    "array": (b"\x93NUMPY\x01\x00", (3,), "holds no array that can be read. Save it by"),
    "channels": (b"\x93NUMPY\x01\x00", (3, 4, 4), "holds no array that can be read"),
}


@pytest.mark.parametrize(("way", "case"), BROKEN.items(), ids=BROKEN)
def test_a_broken_file_is_one_sentence(way: str, case: tuple[bytes, tuple[int, ...], str]):
    """What libraries raise on a stranger's file may be anything."""
    content, shape, sentence = case
    with pytest.raises(InputError, match=sentence) as caught:
        build_way(way, shape)(BytesIO(content))
    assert str(caught.value).endswith(".")


def test_a_file_without_sound_is_refused():
    """A recorder that was stopped at once leaves one."""
    with pytest.raises(InputError, match=r"holds no sound\. Choose another one"):
        read_wave(wav(np.zeros(0, np.int16)))


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    """As of every file."""
    with pytest.raises(InputError, match=r"none\.wav cannot be read: No such file or directory"):
        open_file(tmp_path / "none.wav")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "logmel",
            r"no way 'logmel' to make an input\. Did you mean log-mel\? Choose one of: rgb,",
        ),
        ("log-mel:mels=3", r"log-mel has no option 'mels'\. Choose one of: rate, window, hop"),
        ("log-mel:hop=0", r"hop of log-mel is '0'\. Give a whole number from 1 on"),
        ("log-mel:floor=x", r"floor of log-mel is 'x'\. Give a number from 0 on"),
        ("grey:side=3", r"grey has no option 'side'\. Choose one of: none"),
    ],
)
def test_a_way_that_is_none_is_one_sentence(text: str, sentence: str):
    """Before any file is read."""
    with pytest.raises(NetworkError, match=sentence):
        read_way(text)


@pytest.mark.parametrize(
    ("way", "shape"),
    [("grey", (3, 8, 8)), ("log-mel", (3, 8, 8)), ("waveform", (1, 8, 8)), ("channels", (3, 8))],
)
def test_a_way_and_a_shape_that_do_not_go_together_are_refused(way: str, shape: tuple[int, ...]):
    """The sentence says what the way makes."""
    with pytest.raises(NetworkError, match=f"^{way} makes inputs of .*, and the network takes "):
        build_way(way, shape)
