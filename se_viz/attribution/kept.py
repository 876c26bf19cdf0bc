"""What is kept with a model between runs: copies made for speed, and what passes of single images gave."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias, TypeVar
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from se_viz.gates.hooks import has_others, is_watching

Kind = TypeVar("Kind")
State: TypeAlias = list[tuple[int, int]]

ANSWERS = 64
"""How many answers are kept with one model,"""
MOST_BYTES = 32 << 20
"""and how large they may be together: a derivative by the image has 0.6 MB at 224 pixels, the feature maps at the stage
ends of SE-ResNet-50, with the derivatives by them, 12 MB."""


@dataclass(eq=False, slots=True)
class Kept:
    """What belongs to one model with the weights it had."""

    parts: list[ref]
    """Its modules, parameters and buffers."""
    state: State
    """Where the values of the latter lay, and how often they had been written."""
    copies: dict[str, nn.Module | None] = field(default_factory=dict)
    """Copies of the model by what they are for; None: it cannot be copied so."""
    answers: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    """What passes of single images gave, those that were asked for last; see `ANSWERS` and `MOST_BYTES`."""

    def recall(self, question: Hashable, images: Tensor, run: Callable[[Tensor], Kind]) -> Kind:
        """Return what ``run`` makes of images, which is asked once for each question, image and setting of PyTorch."""
        key = _sign(question, images)
        return self._put(key, self.answers.pop(key) if key in self.answers else run(images))

    def find(self, question: Hashable, images: Tensor) -> Any:
        """Return what is kept of a question to images; None: nothing."""
        key = _sign(question, images)
        return self._put(key, self.answers.pop(key)) if key in self.answers else None

    def keep(self, question: Hashable, images: Tensor, answer: Any) -> None:
        """Keep the answer to a question to images."""
        self._put(_sign(question, images), answer)

    def _put(self, key: Hashable, answer: Kind) -> Kind:
        if _size(answer) > MOST_BYTES:
            return answer
        self.answers[key] = answer
        while len(self.answers) > ANSWERS or sum(map(_size, self.answers.values())) > MOST_BYTES:
            self.answers.popitem(last=False)
        return answer


def _sign(question: Hashable, images: Tensor) -> Hashable:
    values = images.detach().cpu().contiguous().numpy()
    digest = hashlib.blake2b(values.tobytes()).digest()
    settings = (torch.get_num_threads(), torch.is_autocast_enabled(images.device.type))
    return question, digest, values.shape, images.dtype, *settings


def _size(answer: Any) -> int:
    parts = answer if isinstance(answer, tuple) else (answer,)
    return sum(part.nbytes for part in parts if isinstance(part, Tensor))


# By the model's first parameter: it goes with the model, and also when the model is moved out to "meta".
_kept: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_lock = threading.Lock()


def kept_with(model: nn.Module) -> Kept | None:
    """Return what is kept with a model, nothing being left of what was kept with other weights of it.

    None where a pass tells nothing of another one: inside a capture or an edit, under hooks of others, in training,
    or where PyTorch does not count how often weights were written (tensors of inference mode). What is written
    through ``.data`` is not counted either. To be asked by who has the turn on the model's device.
    """
    first = next(model.parameters(), None)
    modules, values = [*model.modules()], [*chain(model.parameters(), model.buffers())]
    if first is None or any(value.is_inference() for value in values):
        return None
    state = [(value._version, value.data_ptr()) for value in values]
    with _lock:
        kept = _kept.get(first)
        if kept is None or kept.state != state or not _same(kept.parts, [*modules, *values]):
            kept = _kept[first] = Kept([ref(part) for part in (*modules, *values)], state)
    busy = is_watching() or has_others(model) or any(module.training for module in modules)
    return None if busy else kept


def _same(parts: Sequence[ref], now: Sequence[object]) -> bool:
    return len(parts) == len(now) and all(part() is one for part, one in zip(parts, now, strict=True))
