"""The command line: `python -m se_viz app | gates | health | counterfactuals | methods | …`."""

import signal
import sys
from argparse import Namespace

from se_viz.commands import parse
from se_viz.devices import keep_freed_memory
from se_viz.errors import SeVizError
from se_viz.terminal import OutputError, Stream, TerminatedError, complain, safe_output, told_to_end


def main(words: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 if an input was left out, or 2 if nothing could be done.

    As of Unix tools: 130 where a key stopped it, 128 and its number where a signal did, 141 where
    nobody reads what it prints any more, 1 where that cannot be written.
    """
    with safe_output() as output:
        try:
            status = _answer(sys.argv[1:] if words is None else words, output)
            output.flush()
        except OutputError:
            status = 141
        if output.error and not output.gone:
            complain(
                f"The output cannot be written: {output.error.strerror}. Make room, or write it "
                "elsewhere."
            )
            status = 1
    return status


def _answer(words: list[str], output: Stream) -> int:
    command = ""
    try:
        with told_to_end():
            arguments = _parse(words, output)
            command = arguments.command
            # A table that is written to a file does not need the terminal too.
            output.needed = not (
                getattr(arguments, "out", None) or getattr(arguments, "plot", None)
            )
            keep_freed_memory()
            # First what is told at once: most commands bring PyTorch, which takes seconds.
            from se_viz.commands import check, find_command

            return find_command(command)(arguments) if check(arguments) else 2
    except SeVizError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        complain(_stopped(command))
        return 128 + signal.SIGINT
    except TerminatedError as error:
        complain(_stopped(command))
        return 128 + error.number


def _parse(words: list[str], output: Stream) -> Namespace:
    try:
        return parse(words)
    except SystemExit:
        # Help goes the way of every output: nobody may read it, and a disk may be full.
        output.flush()
        raise


def _stopped(command: str) -> str:
    if command == "app":
        return "Stopped."
    if command == "train":
        return "Stopped. The run goes on after its last whole epoch when it is started again."
    return "Stopped. Files that were to be written are as they were; start it again for the rest."


if __name__ == "__main__":
    sys.exit(main())
