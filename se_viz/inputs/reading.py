"""What WAV files and arrays hold, as NumPy arrays; free of PyTorch, so that a child starts quickly.

Sound is read by SciPy, which every installation has: unlike Python's own `wave` it knows samples of
floating point and 24 bits, and torchaudio would be one more package of the size of PyTorch's.
"""

import json
import math
import warnings
import zipfile
from collections.abc import Callable
from io import BufferedIOBase, BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float

from se_viz.confined import Bounds, ConfinedError, run_confined
from se_viz.errors import InputError
from se_viz.inputs.files import MAX_BYTES, InputFile

_BOUNDS = Bounds(memory=3 * 2**30, seconds=20, result=2 * MAX_BYTES)


def read_wave(file: BytesIO, rate: int = 0) -> tuple[Float[np.ndarray, "samples"], int]:
    """Return the samples of a WAV file, the mean of its channels, and how many a second has.

    Samples are from -1 to 1, float32. With ``rate`` they are resampled to so many a second.

    Raises:
        InputError: it is no WAV file, or holds no sound.
    """
    values = _read("wave", file, rate=rate)
    return values[1:], int(values[0])


def read_array(file: BytesIO) -> np.ndarray:
    """Return the array of a .npy file, or the only one of a .npz file; nothing in it is run.

    Raises:
        InputError: it holds no array, several, or other things than numbers.
    """
    return _read("array", file)


def _read(kind: str, file: BytesIO, **options: Any) -> np.ndarray:
    if not (isinstance(file, InputFile) and file.confined):
        return _TASKS[kind](file, **options)
    try:
        written = run_confined(
            "se_viz.inputs.reading:serve", file.getvalue(), _BOUNDS, kind=kind, **options
        )
    except ConfinedError as error:
        raise InputError(
            "The file takes too much time or memory to read, or is damaged. Save it anew, or a "
            "shorter part of it."
        ) from error
    head, _, _ = bytes(written[:4096]).partition(b"\n")
    dtype, shape = json.loads(head)
    return np.frombuffer(written, dtype, offset=len(head) + 1).reshape(shape)


def serve(content: memoryview, out: BufferedIOBase, *, kind: str, **options: Any) -> None:
    """Write what a file holds, in a child: a line of JSON with type and shape, then the values."""
    values = np.asarray(_TASKS[kind](BytesIO(content), **options), order="C")
    out.write(json.dumps([values.dtype.str, values.shape]).encode() + b"\n")
    out.write(values.tobytes())


def _wave(file: BytesIO, rate: int) -> np.ndarray:
    # Here: SciPy takes a quarter of a second, and arrays need none of it.
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # Of chunks that players pass over too: tags, cue points.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            own_rate, values = wavfile.read(file)
    except Exception as error:
        # What it raises for a file that somebody else has written may be anything.
        raise InputError(
            "The file is no WAV file that can be read. Export it as WAV, with samples of 16 bits."
        ) from error
    if not len(values) or own_rate < 1:
        raise InputError("The file holds no sound. Choose another one.")
    samples = _scaled(values)
    samples = samples.mean(axis=1) if samples.ndim == 2 else samples
    if rate and rate != own_rate:
        _check_length(len(samples) * rate // own_rate)
        from scipy.signal import resample_poly

        common = math.gcd(rate, own_rate)
        samples = resample_poly(samples, rate // common, own_rate // common)
    if not np.isfinite(samples).all():
        raise InputError("The file holds samples that are no numbers. Export it again.")
    # The rate goes first: float32 holds whole numbers up to 2^24 exactly.
    return np.concatenate([[rate or own_rate], samples]).astype(np.float32)


def _check_length(samples: int) -> None:
    if samples > MAX_BYTES // 4:
        raise InputError(
            f"The sound has {samples:,} samples at the rate that the network takes, and the most "
            f"is {MAX_BYTES // 4:,}. Cut out the part that is to be shown."
        )


def _scaled(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    return values.astype(np.float64)


def _array(file: BytesIO) -> np.ndarray:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise InputError(f"The file unpacks to {size >> 20} MB. Choose a smaller one.")
        file.seek(0)
        values = np.load(file, allow_pickle=False)
        if isinstance(values, np.lib.npyio.NpzFile):
            names = values.files
            if len(names) != 1:
                raise InputError(
                    f"The file holds {len(names)} arrays. Save the one that is the input alone."
                )
            values = values[names[0]]
    except InputError:
        raise
    except Exception as error:
        # What it raises for a file that somebody else has written may be anything.
        raise InputError(
            "The file holds no array that can be read. Save it by `numpy.save`, as numbers."
        ) from error
    if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise InputError("The array holds other things than numbers. Save it as float32.")
    return values


_TASKS: dict[str, Callable[..., np.ndarray]] = {"wave": _wave, "array": _array}
