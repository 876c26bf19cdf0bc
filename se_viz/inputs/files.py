"""Files of any kind, opened within bounds."""

from io import BytesIO
from pathlib import Path

from se_viz.errors import InputError
from se_viz.files import read_file
from se_viz.names import show_path

MAX_BYTES = 256 << 20
"""Largest file that is read: 24 minutes of sound on two channels."""


class InputFile(BytesIO):
    """An open file that says how it is to be read."""

    confined = False
    """Whether it is a stranger's, which the ready ways read in a child process with limits."""


def open_file(source: bytes | Path | str, *, confined: bool = False) -> InputFile:
    """Return a file, or its bytes, as an open file.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    try:
        content = source if isinstance(source, bytes) else read_file(Path(source), MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{show_path(str(source))} cannot be read: {reason}. Check the name."
        ) from error
    if len(content) > MAX_BYTES:
        raise InputError(
            f"The file has more than {MAX_BYTES >> 20} MB. Cut out the part that is to be shown."
        )
    file = InputFile(content)
    file.confined = confined
    return file
