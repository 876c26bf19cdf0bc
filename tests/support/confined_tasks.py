"""What the tests of `se_viz.confined` let a child do."""

import json
import os
import resource
import signal
import time
from typing import BinaryIO

from se_viz.errors import ImageError


def echo(content: memoryview, out: BinaryIO, **options: object) -> None:
    """Write the content back."""
    out.write(bytes(content) + repr(options).encode())


def hog(content: memoryview, out: BinaryIO) -> None:
    """Take more memory than there is."""
    out.write(bytes(2**40))


def spin(content: memoryview, out: BinaryIO) -> None:
    """Use the processor for ever."""
    while True:
        pass


def sleepy(content: memoryview, out: BinaryIO) -> None:
    """Do nothing for ever."""
    time.sleep(3600)


def recurse(content: memoryview, out: BinaryIO) -> None:
    """Call itself for ever."""
    recurse(content, out)


def crash(content: memoryview, out: BinaryIO) -> None:
    """Die as a library in C does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def big(content: memoryview, out: BinaryIO) -> None:
    """Write more than was allowed."""
    for _ in range(100):
        out.write(bytes(100_000))


def sentence(content: memoryview, out: BinaryIO) -> None:
    """Find something wrong."""
    out.write(b"half a result")
    raise ImageError("This is no image. Choose another.")


def fails(content: memoryview, out: BinaryIO) -> None:
    """Raise what nobody foresaw."""
    raise KeyError(content[0])


def prints(content: memoryview, out: BinaryIO) -> None:
    """Print beside the result."""
    print("noise")
    out.write(b"result")


def nest(content: memoryview, out: BinaryIO) -> None:
    """Go down the stack in C, where Python does not count."""
    value = ()
    for _ in range(500_000):
        value = (value,)
    hash(value)


def tell_limits(content: memoryview, out: BinaryIO) -> None:
    """Write down what the operating system knows, and what was inherited."""
    names = ("RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
    limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in names}
    out.write(json.dumps({"limits": limits, "environment": sorted(os.environ)}).encode())
