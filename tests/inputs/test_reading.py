"""Files of strangers are read in a child with limits: the same values, and a sentence for the
rest.
"""

import pickle
import struct
import zipfile
from io import BytesIO

import numpy as np
import pytest
from scipy.io import wavfile

from se_viz.errors import InputError
from se_viz.inputs import open_file
from se_viz.inputs.reading import read_array, read_wave
from tests.support.other_inputs import npy, wav


def confined(content: bytes):
    return open_file(content, confined=True)


@pytest.mark.parametrize("rate", [0, 8000])
def test_a_child_reads_the_same_sound(rate: int):
    """To the bit, with the rate that it has."""
    content = wav(rate=44_100, seconds=0.1)
    here, own = read_wave(open_file(content), rate)
    there, told = read_wave(confined(content), rate)
    np.testing.assert_array_equal(here, there)
    assert own == told == (rate or 44_100)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.arange(6, dtype=">i2"),
        np.float64(3.5),
        np.array([True, False]),
    ],
    ids=["cube", "big endian", "number", "truth"],
)
def test_a_child_reads_the_same_array(values):
    """Shape, type and order of bytes."""
    content = npy(values)
    there = read_array(confined(content))
    np.testing.assert_array_equal(there, np.asarray(values))
    assert (there.dtype, there.shape) == (np.asarray(values).dtype, np.shape(values))


def riff(rate: int, samples: int, claimed: int | None = None) -> bytes:
    """Return a WAV file of silence with 8 bits, which may claim more than it has."""
    data = bytes(samples)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    size = len(data) if claimed is None else claimed
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


def npz_bomb() -> bytes:
    file = BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as out,
    ):
        out.write(npy(np.zeros(1, np.float32))[:128])
        for _ in range(300):
            out.write(bytes(2**20))
    return file.getvalue()


class Harm:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return print, ("harm",)


def lying_npy() -> bytes:
    content = npy(np.zeros(4, np.float32))
    return content.replace(b"(4,), }          ", b"(99999999999,), }")


WAVES = {
    "no sound": (b"", "no WAV file"),
    "text": (b"hello" * 100, "no WAV file"),
    "cut": (wav()[:60], "no WAV file|no sound|numbers"),
    # 20 million samples at one a second: 44,100 times as many at the rate of the network.
    "resampled to a terabyte": (riff(1, 2 * 10**7), "Cut out the part|too much time or memory"),
    "claims 4 GB": (riff(8000, 100, claimed=2**32 - 1), ""),
    "no rate": (riff(0, 100), "no sound|no WAV file"),
}


@pytest.mark.parametrize("kind", WAVES)
def test_a_hostile_sound_ends_in_a_sentence(kind: str):
    """Or is read as far as it goes."""
    content, words = WAVES[kind]
    if words:
        with pytest.raises(InputError, match=rf"({words}).*\.$"):
            read_wave(confined(content), 44_100)
    else:
        samples, _ = read_wave(confined(content), 44_100)
        assert len(samples) < 1000


ARRAYS = {
    "pickle": (pickle.dumps(Harm()), "no array"),
    "objects": (npy(np.array([1])).replace(b"<i8", b"|O "), "no array"),
    "lying shape": (lying_npy(), "no array|too much"),
    "bomb": (npz_bomb(), "unpacks to 300 MB"),
    "words": (npy(np.array(["a", "b"])), "other things than numbers"),
    "infinite": (npy(np.array([np.inf])), "other things than numbers"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_hostile_array_ends_in_a_sentence(kind: str, capfd: pytest.CaptureFixture[str]):
    """And nothing in it is run."""
    content, words = ARRAYS[kind]
    with pytest.raises(InputError, match=words):
        read_array(confined(content))
    assert "harm" not in capfd.readouterr().out


def test_a_sound_of_sixteen_bits_survives_the_way_through_a_child():
    """Whole numbers become shares of the range."""
    file = BytesIO()
    wavfile.write(file, 8000, np.array([0, 16384, -32768], np.int16))
    samples, _ = read_wave(confined(file.getvalue()))
    assert samples.tolist() == [0.0, 0.5, -1.0]
