"""An engine in another process, asked over pipes: all that crosses is pickled, both ways.

``python -m tests.engine.remote FOLDER`` serves the networks of a folder of checkpoints.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import torch

from se_viz.engine import Load, LocalEngine, NetworkView
from se_viz.engine.local import Photos, Progress, _silent
from se_viz.engine.questions import Case, Question
from se_viz.errors import OvertakenError, SeVizError
from se_viz.networks import checkpoints
from tests import ROOT


class RemoteEngine:
    """What a `LocalEngine` of another process answers."""

    def __init__(self, folder: Path) -> None:
        """Start the process."""
        words = [sys.executable, "-m", "tests.engine.remote", str(folder)]
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(
        self, case: Case, photo: Photos, question: Question, *, progress: Progress = _silent
    ) -> Any:
        """Answer a question about an image and a network."""
        return self._call("ask", case, photo, question, progress=progress)

    def view(self, name: str, device: str) -> NetworkView:
        """Return what is seen of a network."""
        return self._call("view", name, device)

    def load(self, device: str) -> Load:
        """Return how much is asked of a device."""
        return self._call("load", device)

    def close(self) -> None:
        """End the process, which reads to the end of what it is sent."""
        self.process.communicate(timeout=60)

    def _call(self, name: str, *arguments: Any, progress: Progress = _silent) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        send(self.process.stdin, (name, arguments))
        problem: BaseException | None = None
        while True:
            kind, value = pickle.load(self.process.stdout)
            if kind == "answer":
                return value
            if kind == "error":
                # What the callback raised here is what the asker gets.
                raise problem or value
            try:
                progress(*value)
            except BaseException as raised:
                problem = raised
            send(self.process.stdin, problem is None)


def send(pipe: IO[bytes], value: Any) -> None:
    """Write a value for the other side."""
    pipe.write(pickle.dumps(value))
    pipe.flush()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the other side has closed its end."""
    engine = LocalEngine()

    def tell(*numbers: int) -> None:
        send(answers, ("progress", numbers))
        if not pickle.load(requests):
            raise OvertakenError("Nobody waits for this any more. Ask again.")

    while requests.peek(1):  # pyright: ignore[reportAttributeAccessIssue]
        name, arguments = pickle.load(requests)
        options = {"progress": tell} if name == "ask" else {}
        try:
            answer = ("answer", getattr(engine, name)(*arguments, **options))
        except SeVizError as problem:
            answer = ("error", problem)
        send(answers, answer)


if __name__ == "__main__":
    torch.set_num_threads(1)
    checkpoints.FOLDER = Path(sys.argv[1])
    # What anything prints must not come between the answers.
    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, pipe)
