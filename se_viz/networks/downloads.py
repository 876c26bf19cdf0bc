"""Downloads of the zoo's weights: one at a time for each network, watched, cleaned up, told in one
sentence.

Why: docs/decisions/039-locks-between-processes.md
"""

import errno
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from se_viz.errors import DownloadError
from se_viz.files import hold
from se_viz.networks import hubs
from se_viz.networks.cache import cache_folder, files_folder, find_files
from se_viz.networks.card import NetworkCard
from se_viz.networks.libraries import require_library

Progress = Callable[[int, int], object]
"""Called about five times a second with the bytes that have come and the bytes there are."""

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_FORGOTTEN = 600.0
"""Seconds after which a partial file that nobody writes to is taken for the rest of a killed
download."""


class _Job:
    """A download that runs in a thread of its own; any number of sessions may wait for it."""

    def __init__(self, card: NetworkCard) -> None:
        self.card = card
        self.result: Future[Path] = Future()
        self.given_up = False
        self._turn = ExitStack()
        self._come = self._most = 0
        self._begun = False

    def come(self) -> int:
        """Return how many bytes have come, to this process or to the one that it waits for."""
        for path in _growing(self.card):
            with suppress(OSError):
                self._most = max(self._most, path.stat().st_size)
        # A partial file vanishes as it is renamed: what has come never goes down again.
        self._most = max(self._most, self._come)
        return self._most

    def run(self) -> None:
        """Fetch the file; the result, or the one sentence why there is none, is in ``result``
        afterwards.
        """
        try:
            _sweep()
            with self._turn:
                self._wait()
                path = self._fetch()
        except BaseException as error:
            sentence = _sentence(self.card, error)
            sentence.__cause__ = error
            self._end(lambda: self.result.set_exception(sentence))
        else:
            self._end(lambda: self.result.set_result(path))

    def give_up(self, *, clean: bool = False) -> None:
        """Let others begin anew while the source is silent.

        ``clean`` removes what has come, as before an end.
        """
        self.given_up = True
        with _lock:
            if _jobs.get(self.card.source) is self:
                del _jobs[self.card.source]
        # Before it has begun, what lies there half is another process's.
        if clean and self._begun:
            _clean(self.card, set())
        self._turn.close()

    def _wait(self) -> None:
        """Wait while another process downloads the same network.

        What then lies there half is a killed one's.
        """
        files_folder().mkdir(parents=True, exist_ok=True)
        # Not in the hub's own folders, which are removed after a failure.
        self._turn.enter_context(
            hold(files_folder() / f".{hubs.local_name(self.card)}.lock", wait=True)
        )
        self._begun = True
        for path in _partial(self.card):
            with suppress(OSError):
                path.unlink()

    def _fetch(self) -> Path:
        if self.given_up:
            raise TimeoutError
        # The process that this one waited for may have fetched it.
        if path := hubs.find_weights(self.card):
            return path
        before = set(_partial(self.card))
        try:
            if hubs.from_address(self.card):
                return hubs.fetch_file(self.card)
            return hubs.fetch_repository(self.card, self._count)
        except BaseException:
            # Once given up, another download of the same file may be under way.
            if not self.given_up:
                _clean(self.card, before)
            raise

    def _end(self, tell: Callable[[], None]) -> None:
        with _lock:
            # Given up meanwhile, the next one may stand in its place.
            if _jobs.get(self.card.source) is self:
                del _jobs[self.card.source]
        tell()

    def _count(self, come: int) -> None:
        if self.given_up:
            raise TimeoutError
        self._come += come


_jobs: dict[str, _Job] = {}
_lock = threading.Lock()


def download(
    card: NetworkCard, progress: Progress | None = None, *, patience: float | None = None
) -> Path:
    """Download the weights of a network of the zoo to the cache, unless they are there.

    Return the file.

    Callers who ask for the same network at the same time wait for one download. If ``progress``
    raises, the download goes on and a later call joins it. ``patience`` is how many seconds may
    pass without news (default: 30 for a file; 300 for the hub, whose client tells of every 10 MB
    and minds a silence of 10 seconds itself).

    Raises:
        NetworkError: the library that builds the network is not installed.
        DownloadError: the weights cannot be had; nothing of them is left on the disk.
    """
    require_library(card)
    if path := hubs.find_weights(card):
        return path
    if not card.source:
        raise DownloadError(
            f"{card.name} is not part of the zoo: there is nothing to download. Restore its "
            "weights."
        )
    _check_room(card)
    job = _join(card)
    usual = 30.0 if hubs.from_address(card) else 300.0
    _watch(job, progress or (lambda come, total: None), usual if patience is None else patience)
    return job.result.result()


def cancel(card: NetworkCard) -> None:
    """Give up a download of this process and remove what has come of it: for a process that
    ends.
    """
    with _lock:
        job = _jobs.get(card.source)
    if job:
        job.give_up(clean=True)


def _join(card: NetworkCard) -> _Job:
    with _lock:
        if card.source not in _jobs:
            _jobs[card.source] = _Job(card)
            # A daemon: a source that never answers must not keep the program from ending.
            threading.Thread(
                target=_jobs[card.source].run, daemon=True, name=f"download {card.name}"
            ).start()
        return _jobs[card.source]


def _watch(job: _Job, progress: Progress, patience: float) -> None:
    # Below 0, so that the first look, be it at nothing, starts the clock.
    most = -1
    since = time.monotonic()
    while not wait([job.result], timeout=0.2).done:
        come = job.come()
        progress(come, job.card.download_bytes)
        if come > most:
            most = come
            since = time.monotonic()
        elif time.monotonic() - since > patience:
            job.give_up()
            raise DownloadError(
                f"{host_of(job.card)} has sent nothing of {job.card.name} for {patience:.0f} "
                "seconds. Check the network connection and try again."
            )


def _check_room(card: NetworkCard) -> None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DownloadError(
            f"The cache {folder} cannot be used: {error.strerror}. Mend it, or name another folder "
            "with SE_VIZ_CACHE."
        ) from error
    if free < card.download_bytes:
        raise _no_room(card, f"has {free / 1e6:.0f} MB left")


def _no_room(card: NetworkCard, state: str) -> DownloadError:
    return DownloadError(
        f"The disk that holds {cache_folder()} {state}, and {card.name} needs "
        f"{card.download_bytes / 1e6:.0f} MB. Make room, or empty the cache."
    )


def _partial(card: NetworkCard) -> list[Path]:
    if not hubs.from_address(card):
        return []
    return find_files(files_folder(), f"{Path(card.source).name}.*.partial")


def _growing(card: NetworkCard) -> list[Path]:
    if hubs.from_address(card):
        return _partial(card)
    return find_files(hubs.repository_folder(card) / "blobs", "*.incomplete")


def _sweep() -> None:
    """Remove what killed downloads have left."""
    for pattern in ("torch/*.partial", "huggingface/*/blobs/*.incomplete"):
        for path in find_files(cache_folder(), pattern):
            # Another process may sweep, too.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _FORGOTTEN:
                    path.unlink()


def _clean(card: NetworkCard, before: set[Path]) -> None:
    """Remove what a failed download leaves: on a full disk torch hub's client does not, a wrong
    hash is ours.
    """
    for path in set(_partial(card)) - before:
        path.unlink(missing_ok=True)
    if not hubs.from_address(card):
        shutil.rmtree(hubs.repository_folder(card), ignore_errors=True)


def _sentence(card: NetworkCard, error: BaseException) -> DownloadError:
    """Say in one sentence why a download failed, and what to do."""
    host = host_of(card)
    response = getattr(error, "response", None)
    # urllib and the hub's client keep the status in two places.
    code = getattr(error, "code", None) or getattr(response, "status_code", None)
    if isinstance(error, HTTPError):
        # It keeps the connection open.
        error.close()
    if code == 404:
        text = (
            f"{host} has no weights of {card.name} (404): they were moved or removed. Choose "
            "another network."
        )
    elif code:
        text = f"{host} answers {code} when it is asked for {card.name}. Try again later."
    elif isinstance(error, OSError) and error.errno in _FULL:
        return _no_room(card, "is full")
    # torch hub's client raises a bare RuntimeError on a wrong hash.
    elif isinstance(error, hubs.DamagedError) or type(error) is RuntimeError:
        text = (
            f"What {host} sent for {card.name} is incomplete or not what it promised (the hash is "
            "another one), and was deleted. Try again; if it stays so, choose another network."
        )
    else:
        text = (
            f"{host} cannot be reached, or broke off ({type(error).__name__}), so {card.name} is "
            "not on this disk. Check the network connection and try again; networks that are on "
            "this disk work without one."
        )
    return DownloadError(text)


def host_of(card: NetworkCard) -> str:
    """Name the machine that a network's weights come from."""
    return urlsplit(card.source if hubs.from_address(card) else hubs.hub_address()).netloc
