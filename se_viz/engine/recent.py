"""Answers that other questions are about, remembered for a while."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 256
"""Answers that are remembered: maps of 224 pixels a side take 50 MiB, and a class of 60 has four
each."""


class Recent:
    """The answers that were used last, by what was asked."""

    def __init__(self, most: int = MOST) -> None:
        """Remember at most so many."""
        self._most = most
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def put(self, key: Hashable, answer: Any) -> None:
        """Remember an answer; that which was not used for longest makes room."""
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def get(self, key: Hashable) -> Any:
        """Return an answer, or None where it is not remembered."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)
