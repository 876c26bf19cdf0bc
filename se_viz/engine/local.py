"""The engine of this process: networks are loaded once for all who ask, and run in turn on their
device.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from se_viz.devices import (
    Residents,
    Watch,
    available_devices,
    choose_device,
    line_of,
    memory_in_words,
    setting,
)
from se_viz.engine.answers import Work, answer
from se_viz.engine.questions import (
    OF_NETWORKS,
    Analyse,
    Attribute,
    AttributeGate,
    Case,
    MakeYardstick,
    Question,
    ReadLenders,
)
from se_viz.engine.recent import Recent
from se_viz.engine.views import Load, NetworkView, Seen, view_of
from se_viz.errors import NoSEBlocksError
from se_viz.gates import Inspection, find_gates, inspect_gates
from se_viz.gates.gains import find_gains, include_gains
from se_viz.networks import Network, NetworkCard
from se_viz.networks.architectures import build
from se_viz.networks.loading import load_listed
from se_viz.networks.sources import GIVEN
from se_viz.readings import WHOLE, Reading

Progress: TypeAlias = Callable[[int, int, int], None]
"""Told how much is done, how much there is (0: not known), and how many run before.

It is called again and again while a question waits, before each pass, and as parts are done.
Whatever it raises ends the question, and comes out where it was asked: that is how one is
cancelled. `OvertakenError` is meant for it.
"""

Photos: TypeAlias = Seen | Mapping[str, Seen] | None
"""The square that the network sees, or the input that `LocalEngine.prepare` has made; or for
questions about several images each of them, by the digest of its file."""

_REMEMBERED = (Attribute, AttributeGate, MakeYardstick, ReadLenders)
"""Kinds that other questions are about; and `Analyse`, without feature maps."""


def _silent(done: int, total: int, ahead: int) -> None:
    """Tell nobody."""


_SIBLINGS = 64
"""Places of one network that are remembered: each is small, but a second image takes a pass."""


class LocalEngine:
    """Networks of this process, and what they answer; one serves all threads."""

    def __init__(self, *, after_loading: Callable[[], None] = lambda: None) -> None:
        """Load nothing yet; ``after_loading`` is called after each network that was."""
        self._after_loading = after_loading
        self._lock = threading.Lock()
        self._residents: dict[str, Residents[Network]] = {}
        self._recent = Recent()
        # With the model goes all that is read of it.
        self._siblings: WeakKeyDictionary[nn.Module, OrderedDict[Reading, Network]] = (
            WeakKeyDictionary()
        )

    def ask(
        self, case: Case, photo: Photos, question: Question, *, progress: Progress = _silent
    ) -> Any:
        """Answer a question about an image and a network.

        See the question's class for what comes back.

        It is on the CPU, and nobody may write into it. The network is loaded first where it is not.

        Raises:
            SeVizError: it cannot be answered; the text says why and what to do.
        """
        if photo is None:
            photos = {}
        elif isinstance(photo, Mapping):
            photos = photo
        else:
            photos = {case.digest: photo}
        callbacks = _Callbacks(progress)
        with self.borrow(case.network, case.device, callbacks.wait) as network:
            work = Work(
                network=self._read_at(network, case.at, photos, callbacks.watch),
                digest=case.digest,
                photos=photos,
                watch=callbacks.watch,
                report=callbacks.report,
                go_back=partial(self._recall, case),
            )
            return self._answer(work, case, question)

    def view(
        self, name: str, device: str | None = None, *, progress: Progress = _silent
    ) -> NetworkView:
        """Return what is seen of a network, which is loaded where it is not.

        By default on the best device.

        Raises:
            SeVizError: there is no such network or device, or no room; the text says what to do.
        """
        device = str(choose_device(device).device)
        with self.borrow(name, device, _Callbacks(progress).wait) as network:
            return view_of(name, network)

    def prepare(
        self, name: str, device: str, content: bytes, *, progress: Progress = _silent
    ) -> Tensor:
        """Return a file's bytes as the input of a network that sees no photos, (1, channels,
        *sides), on the CPU. The file may be a stranger's.

        Raises:
            SeVizError: the file becomes no input of this network, or there is no such network.
        """
        with self.borrow(name, device, _Callbacks(progress).wait) as network:
            return network.prepare(content, confined=True).cpu()

    def peek(self, name: str, device: str) -> NetworkView | None:
        """Return what is seen of a network if it is loaded, and load none."""
        network = self.residents(device).peek(name)
        return network and view_of(name, network)

    def load(self, device: str) -> Load:
        """Return how many wait for a device, and how long its last step took."""
        line = line_of(torch.device(device))
        return Load(line.name, line.waiting, line.step)

    def inspect(self, card: NetworkCard) -> Inspection:
        """Return the SE blocks of a network that need not be loaded, from a pass through random
        weights; of one's own, which is loaded for it.

        Raises:
            SeVizError: its library is missing, or it has no such blocks.
        """
        if card.library == GIVEN:
            view = self.view(card.name)
            if view.lack:
                raise NoSEBlocksError(view.lack)
            return view.inspection
        # Weights of its own: a loaded network may be running for somebody else.
        model = build(card, num_classes=card.num_classes or len(card.classes))
        inspection = inspect_gates(model, size=card.input_size)
        if not (inspection.sites or inspection.refused or inspection.others):
            # Raises, with the reason.
            find_gates(model, size=card.input_size)
        return include_gains(
            inspection, find_gains(model, {site.block for site in inspection.sites})
        )

    def drop(self, name: str) -> None:
        """Move a network out of every device, unless somebody uses it there."""
        for device in available_devices():
            self.residents(device).drop(name)

    @contextmanager
    def borrow(
        self, name: str, device: str, wait: Callable[[], None] = lambda: None
    ) -> Iterator[Network]:
        """Yield a network that stays on its device inside the ``with`` block.

        Outside it may be moved out.

        For passes of one's own in this process. Borrow first, then wait for a turn: the other way
        round, all would wait while it loads. ``wait`` is called while all places on the device are
        in use, and may raise.

        Raises:
            TooLittleMemoryError: the device has no room for it.
        """
        with self.residents(device).borrow(
            name, partial(self._load, name, device), wait
        ) as network:
            yield network

    def residents(self, device: str) -> Residents[Network]:
        """Return the networks that are loaded on a device."""
        with self._lock:
            # Under the lock: two threads would otherwise load a network twice.
            if device not in self._residents:
                self._residents[device] = Residents(setting("SE_VIZ_NETWORKS"), _move_out)
            return self._residents[device]

    def _load(self, name: str, device: str) -> Network:
        with memory_in_words(device, name):
            # Never what the name itself says: it may come from a browser.
            network = load_listed(name, device, plain=True)
        self._after_loading()
        return network

    def _read_at(
        self, network: Network, at: Reading, photos: Mapping[str, Seen], watch: Watch
    ) -> Network:
        """Return the network with its answer read at a place; a second image runs once for all."""
        if at == WHOLE:
            return network
        with self._lock:
            siblings = self._siblings.setdefault(network.model, OrderedDict())
        sibling = siblings.get(at)
        if sibling is None:
            with line_of(network.device).turn(watch):
                sibling = network.at(at, photos.get(at.beside))
            siblings[at] = sibling
            if len(siblings) > _SIBLINGS:
                siblings.popitem(last=False)
        return sibling

    def _answer(self, work: Work, case: Case, question: Question) -> Any:
        result = answer(question, work)
        if isinstance(question, _REMEMBERED):
            self._recent.put(_key(case, question), result)
        elif isinstance(question, Analyse):
            # Whoever goes back to an analysis needs its gates alone.
            records = tuple(replace(record, features=None) for record in result.records)
            self._recent.put(_key(case, Analyse()), replace(result, records=records))
        return result

    def _recall(self, case: Case, work: Work, question: Question, digest: str) -> Any:
        """Return what a question about an image was answered.

        What is forgotten is computed again, without a report.
        """
        case = replace(case, digest=digest)
        result = self._recent.get(_key(case, question))
        if result is not None:
            return result
        # Its passes are none of the question that a bar is drawn for.
        return self._answer(replace(work, digest=digest, report=lambda *_: None), case, question)


class _Callbacks:
    """The two callbacks of a run, how many run before and how far it is, made from one."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self._total = 0

    def watch(self, ahead: int) -> None:
        """Tell how many run before this one."""
        self._progress(self._done, self._total, ahead)

    def report(self, done: int, total: int) -> None:
        """Tell how far it is."""
        # Kept for `watch`, which tells them again while others run.
        self._done = done
        self._total = total
        self._progress(done, total, 0)

    def wait(self) -> None:
        """Tell that it waits for a place, which somebody else has."""
        self.watch(1)


def _key(case: Case, question: Question) -> tuple[Case, Question]:
    if isinstance(question, OF_NETWORKS):
        case = replace(case, digest="", at=WHOLE)
    return case, question


def _move_out(network: Network) -> None:
    # Whoever still holds it: without its weights it takes no memory.
    network.model.to("meta")
