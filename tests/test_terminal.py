"""What is printed is safe for every terminal, and a reader who leaves ends the command without a
word.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from se_viz.names import name_path, show_path, show_text
from se_viz.terminal import TerminatedError, complain, safe_output, told_to_end
from tests import ROOT


def run(
    *words: str, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run Python with a buffered output, as from a shell; PyTorch is not imported, which takes
    most of a second.
    """
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**plain, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def test_a_reader_who_leaves_ends_the_command_quietly():
    """`| head -1` is no error of anybody: no word, and the status of a broken pipe (128 + 13)."""
    reader, writer = os.pipe()
    os.close(reader)
    process = run("-m", "se_viz", "--help", stdout=writer)
    os.close(writer)
    assert (process.stderr, process.returncode) == (b"", 141)


def test_an_output_on_a_full_disk_is_said():
    """Half a list that looks whole is worse than none: one sentence, and a status that scripts
    see.
    """
    with Path("/dev/full").open("w") as full:
        process = run("-m", "se_viz", "--help", stdout=full.fileno())
    assert process.returncode == 1
    assert process.stderr == (
        b"se_viz: The output cannot be written: No space left on device. Make room, or write it "
        b"elsewhere.\n"
    )


def test_names_from_outside_neither_move_nor_colour_a_terminal(capsys):
    """A file's name may hold any byte but two: escape codes, line ends, what is no UTF-8."""
    with safe_output():
        print("class \x1b[31mred\x9b2J ± \udce9")
        complain("no\nsecond line\x07")
    out, err = capsys.readouterr()
    assert out == "class \\x1b[31mred\\x9b2J ± \\xe9\n"
    assert err == "se_viz: no\\nsecond line\\x07\n"


def test_paths_are_text_that_can_be_written_anywhere():
    """The bytes of a Latin-1 name come back from it; in a table a name is itself, on a line it
    stays on the line.
    """
    path = Path(os.fsdecode(b"caf\xe9\n.jpg"))
    assert name_path(path) == "caf\\xe9\n.jpg"
    assert show_path(path) == "caf\\xe9\\n.jpg"
    assert name_path("café 写真.jpg") == "café 写真.jpg"


def test_a_terminal_of_few_letters_gets_escapes():
    """Lists hold signs that ASCII lacks; a server without a locale is no reason for a traceback."""
    code = "from se_viz.terminal import safe_output\nwith safe_output(): print('0.5 \u00b1 0.1')"
    process = run("-c", code, PYTHONIOENCODING="ascii")
    assert (process.returncode, process.stdout, process.stderr) == (0, b"0.5 \\xb1 0.1\n", b"")


def test_a_wish_to_end_is_an_exception_and_the_handler_is_put_back():
    """What is open is closed and removed on the way out, as after a key; other programs keep their
    own handlers.
    """
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminatedError, match="15"), told_to_end():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_name_as_long_as_a_book_leaves_a_sentence(capsys):
    """Its begin and its end, which says what to do next, are printed whatever stands between."""
    complain(f"There is no network {'x' * 10**6}. Choose another.")
    err = capsys.readouterr().err
    assert len(err) < 5000
    assert err.startswith("se_viz: There is no network x")
    assert err.endswith("x. Choose another.\n")


def test_the_name_of_a_class_stays_on_its_line():
    """A name may hold whatever its file held: ends of lines and what moves or colours a terminal
    are written out.
    """
    assert show_text("tench\n\x1b[31mred\u202e") == r"tench\n\x1b[31mred\u202e"
