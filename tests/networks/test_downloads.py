"""The way of weights from a hub to the disk, by the hubs' own clients, against a hub on
loopback.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import nn

from se_viz.errors import CheckpointError, DownloadError, NetworkError
from se_viz.networks import catalogue, list_networks, load_network
from se_viz.networks.architectures import build
from se_viz.networks.cache import cache_bytes, cache_folder, empty_cache
from se_viz.networks.catalogue import read_rows, write_rows
from se_viz.networks.downloads import cancel, download
from se_viz.networks.own import forget_left
from se_viz.networks.zoo import find_card, is_on_disk, list_on_disk
from tests import ROOT
from tests.support.loopback import Hub, run_hub

pytestmark = pytest.mark.slow

FILE = "torchvision/mobilenet_v3_small"
REPOSITORY = "timm/mobilenetv3_small_050.lamb_in1k"
BOTH = pytest.mark.parametrize("name", [FILE, REPOSITORY])


@pytest.fixture(scope="module")
def trained() -> dict[str, nn.Module]:
    """One network of each library, with weights that nobody else has."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        cards = {name: find_card(name) for name in (FILE, REPOSITORY)}
        return {
            name: build(card, num_classes=card.num_classes).eval() for name, card in cards.items()
        }


@pytest.fixture(scope="module")
def contents(
    trained: dict[str, nn.Module], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The two files as their hubs hold them: a pickle of tensors, and safetensors."""
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(trained[FILE].state_dict(), path)
    return {FILE: path.read_bytes(), REPOSITORY: save(trained[REPOSITORY].state_dict())}


@pytest.fixture
def hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: dict[str, bytes]
) -> Iterator[Hub]:
    """A hub that serves both networks, an empty cache, and a catalogue of these two that names the
    hub.
    """
    monkeypatch.setenv("SE_VIZ_CACHE", str(tmp_path / "cache"))
    with run_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        address = hub.serve_file("mobilenet_v3_small", contents[FILE])
        hub.serve_repository(find_card(REPOSITORY).source, contents[REPOSITORY])
        name_source(tmp_path, monkeypatch, address)
        yield hub


def name_source(folder: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Put a table of the two networks in the place of the whole one, with the file at another
    address.
    """
    table = folder / f"catalogue-{abs(hash(address))}.csv"
    repository, file = find_card(REPOSITORY), find_card(FILE)
    rows: list[dict[str, Any]] = [row for row in read_rows() if row["source"] == repository.source]
    rows += [
        {**row, "source": address}
        for row in read_rows()
        if row["architecture"] == file.architecture
    ]
    write_rows(rows, table)
    monkeypatch.setattr(catalogue, "TABLE", table)


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """The system ends every write at so many bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def path_of(hub: Hub, name: str) -> str:
    return next(path for path in hub.files if ("resolve" in path) == (name == REPOSITORY))


def files() -> list[str]:
    """Everything of weights that lies in the cache, whole or not."""
    ends = (".pth", ".partial", ".incomplete", ".safetensors", ".bin")
    return [
        path.name
        for path in cache_folder().rglob("*")
        if path.name.endswith(ends) or path.parent.name == "blobs"
    ]


def refused(name: str, message: str) -> None:
    """A download fails in one sentence, leaves nothing, and the network is still not on the
    disk.
    """
    with pytest.raises(DownloadError, match=message):
        download(find_card(name))
    assert not is_on_disk(find_card(name))
    assert files() == []


@BOTH
def test_what_is_downloaded_is_what_the_hub_holds(
    hub: Hub, trained: dict[str, nn.Module], name: str
):
    """The whole path: asked for, fetched, checked, built, loaded; the answer is the original's,
    bit for bit.
    """
    assert not is_on_disk(find_card(name))
    network = load_network(name, "cpu", download=True)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(network.model(images), trained[name](images))
    assert is_on_disk(network.card)
    assert len(network.classes) == 1000


@BOTH
def test_afterwards_no_network_is_needed(hub: Hub, name: str):
    """A lecture room without Wi-Fi: the hub is not even asked."""
    load_network(name, "cpu", download=True)
    requests = len(hub.requests)
    hub.codes = dict.fromkeys(hub.files, 500)
    assert load_network(name, "cpu").card.name == name
    assert load_network(name, "cpu", download=True).card.name == name
    assert len(hub.requests) == requests


@BOTH
def test_nothing_is_fetched_without_being_asked_for(hub: Hub, name: str):
    """Hundreds of megabytes are not spent by a name; the sentence says how much, and how to get
    it.
    """
    with pytest.raises(
        DownloadError,
        match=rf"{name} is not on this disk \(about \d+ MB\)\. .*se_viz download {name}",
    ):
        load_network(name, "cpu")
    assert hub.requests == []


@BOTH
def test_progress_grows_to_the_whole(hub: Hub, contents: dict[str, bytes], name: str):
    """The bar never goes back, and is told the size that the catalogue states."""
    silence = hub.silence = threading.Event()
    reports: list[tuple[int, int]] = []

    def progress(come: int, total: int) -> None:
        reports.append((come, total))
        silence.set()

    download(find_card(name), progress)
    assert reports[0][0] == 0
    assert [come for come, _ in reports] == sorted(come for come, _ in reports)
    assert {total for _, total in reports} == {find_card(name).download_bytes}


@BOTH
def test_a_file_that_is_gone_is_said(hub: Hub, name: str):
    """Hubs move and delete; the sentence says so, and that another network is the way on."""
    hub.files.clear()
    refused(name, rf"^127\.0\.0\.1:\d+ has no weights of {name} \(404\).*Choose another network\.$")


@BOTH
def test_a_hub_in_trouble_is_said(hub: Hub, name: str):
    """The number is what a network's administrator needs."""
    hub.codes[path_of(hub, name)] = 403
    refused(name, rf"answers 403 when it is asked for {name}\. Try again later\.")


@BOTH
def test_a_wrong_hash_is_never_kept(
    hub: Hub, contents: dict[str, bytes], tmp_path: Path, monkeypatch, name: str
):
    """A file that was replaced on its way has the right size and the wrong hash."""
    if name == FILE:
        name_source(
            tmp_path, monkeypatch, hub.serve_file("replaced", contents[FILE], digest="0" * 64)
        )
    else:
        hub.hashes[path_of(hub, name)] = "0" * 64
    refused(
        name, rf"sent for {name} is incomplete or not what it promised .* was deleted\. Try again"
    )


def test_a_hub_without_hashes_is_not_trusted(hub: Hub):
    """Without a promise nothing can be compared."""
    hub.hashes[path_of(hub, REPOSITORY)] = "some-tag"
    refused(REPOSITORY, r"incomplete or not what it promised")


def test_a_file_that_breaks_off_is_cleaned_up_and_comes_the_next_time(hub: Hub):
    """torch hub's client starts anew: what came before the break is of no use and must not stay."""
    hub.cuts = [100_000]
    refused(FILE, r"is incomplete or not what it promised")
    assert load_network(FILE, "cpu", download=True).card.name == FILE


def test_a_repository_that_breaks_off_is_asked_for_again(hub: Hub):
    """Hugging Face's client goes on by itself after the last whole 10 MB, here none; the hash says
    that all fits.
    """
    hub.cuts = [100_000]
    assert load_network(REPOSITORY, "cpu", download=True).card.name == REPOSITORY
    assert [method for method, _, _ in hub.requests].count("GET") == 2


@BOTH
def test_without_a_network_one_sentence_says_so(hub: Hub, monkeypatch, tmp_path: Path, name: str):
    """Nobody listens at the port; networks on the disk are what is left to use."""
    with run_hub() as hub_of_before:
        address = hub_of_before.address
    monkeypatch.setenv("HF_ENDPOINT", address)
    name_source(tmp_path, monkeypatch, f"{address}/mobilenet_v3_small-00000000.pth")
    refused(
        name,
        rf"cannot be reached.* {name} is not on this disk\. Check the network .* work without "
        r"one\.$",
    )


@BOTH
def test_a_hub_that_falls_silent_is_given_up(hub: Hub, name: str):
    """A connection that stays open and says nothing must not hold anybody for ever."""
    hub.silence = threading.Event()
    with pytest.raises(
        DownloadError, match=rf"has sent nothing of {name} for 1 seconds\. Check the network"
    ):
        download(find_card(name), patience=0.6)
    hub.silence.set()
    hub.silence = None
    assert download(find_card(name)).is_file()


@BOTH
def test_a_full_disk_is_said_and_nothing_of_the_file_stays(hub: Hub, name: str):
    """The clients' own cleaning stumbles over the second failed write; ours does not."""
    with small_disk(200_000):
        refused(
            name,
            rf"The disk that holds .*cache is full, and {name} needs \d+ MB\. Make room, or empty "
            r"the cache\.",
        )
    assert download(find_card(name)).is_file()


def test_a_disk_with_too_little_room_is_said_before_a_byte_comes(
    hub: Hub, tmp_path: Path, monkeypatch
):
    """Filling the disk up first helps nobody: the catalogue knows the size."""
    rows = [{**row, "download_bytes": str(10**18)} for row in read_rows()]
    monkeypatch.setattr(catalogue, "TABLE", tmp_path / "huge.csv")
    write_rows(rows, tmp_path / "huge.csv")
    refused(FILE, r"has \d+ MB left, and .* needs 1000000000000 MB\. Make room")
    assert hub.requests == []


@BOTH
def test_a_class_that_clicks_at_once_downloads_once(hub: Hub, name: str):
    """Thirty students choose the network that the lecturer names: one download, thirty files in
    memory at no cost.
    """
    hub.silence = threading.Event()
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(download(find_card(name)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    hub.silence.set()
    for thread in threads:
        thread.join()
    assert len(paths) == 8
    assert [method for method, _, _ in hub.requests].count("GET") == 1


def test_whoever_leaves_does_not_stop_the_download(hub: Hub):
    """A page that is left ends its run by an exception: the next visit finds the file."""
    hub.silence = threading.Event()

    def leave(come: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        download(find_card(FILE), leave)
    hub.silence.set()
    assert download(find_card(FILE)).is_file()
    assert [method for method, _, _ in hub.requests] == ["GET"]


@BOTH
def test_a_file_that_was_damaged_on_the_disk_is_refused(hub: Hub, name: str):
    """Disks rot: the hash is compared at every load, not only after the download."""
    path = download(find_card(name)).resolve()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=rf"{name} in the cache cannot be used .*Empty the cache and download"
    ):
        load_network(name, "cpu")


def test_weights_of_another_network_are_refused(hub: Hub, tmp_path: Path, monkeypatch):
    """The hash is right and the file is wrong: a hub's mistake is named, not loaded."""
    path = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(1000, 8)}, path)
    name_source(tmp_path, monkeypatch, hub.serve_file("other", path.read_bytes()))
    with pytest.raises(
        CheckpointError, match=r"does not fit its architecture: classifier\.0\.bias is missing"
    ):
        load_network(FILE, "cpu", download=True)


def test_rests_of_killed_downloads_are_swept(hub: Hub, tmp_path: Path):
    """A kill leaves half a file that no client looks for again; a young one may belong to
    somebody.
    """
    folder = tmp_path / "cache" / "torch"
    folder.mkdir(parents=True)
    for name, age in (("old.pth.1.partial", 3600), ("young.pth.2.partial", 0)):
        (folder / name).write_bytes(b"half")
        os.utime(
            folder / name, (os.stat(folder / name).st_atime, os.stat(folder / name).st_mtime - age)
        )
    download(find_card(FILE))
    assert not (folder / "old.pth.1.partial").exists()
    assert (folder / "young.pth.2.partial").exists()


# Forks, because importing PyTorch anew for each download is most of the time.
OTHERS = """
import json, os, sys
from pathlib import Path
from se_viz.networks import catalogue, downloads
from se_viz.networks.cache import files_folder
from se_viz.networks.zoo import find_card

def tell(come, total):
    if list(files_folder().glob("*.partial")):
        print("begun", os.getpid(), flush=True)

for line in sys.stdin:
    table, name, cache = json.loads(line)
    child = os.fork()
    if not child:
        os.environ["SE_VIZ_CACHE"] = cache
        catalogue.TABLE = Path(table)
        downloads.download(find_card(name), tell)
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def others() -> Iterator[subprocess.Popen[str]]:
    """An interpreter that starts another process for each download that it is told of."""
    words = [sys.executable, "-c", OTHERS]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def read_end(others: subprocess.Popen[str]) -> int:
    """Wait for the process that was started last; return its exit code."""
    assert others.stdout is not None
    return next(int(line.split()[1]) for line in others.stdout if line.startswith("ended"))


@pytest.mark.parametrize("killed", [True, False])
def test_two_processes_download_one_file_in_turn(
    hub: Hub, others: subprocess.Popen[str], killed: bool
):
    """The second waits and finds the first one's file; where the first is killed it begins anew
    and leaves no rest.
    """
    hub.silence = threading.Event()
    assert others.stdin is not None
    assert others.stdout is not None
    print(
        json.dumps([str(catalogue.TABLE), FILE, os.environ["SE_VIZ_CACHE"]]),
        file=others.stdin,
        flush=True,
    )
    begun, first = others.stdout.readline().split()
    assert begun == "begun"
    second = threading.Thread(target=download, args=(find_card(FILE),))
    second.start()
    if killed:
        os.kill(int(first), signal.SIGKILL)
        assert read_end(others) == -signal.SIGKILL
    hub.silence.set()
    second.join()
    if not killed:
        assert read_end(others) == 0
    assert is_on_disk(find_card(FILE))
    assert [method for method, _, _ in hub.requests].count("GET") == 1 + killed
    assert [name for name in files() if not name.endswith(".pth")] == []


def test_a_download_that_is_cancelled_leaves_nothing(hub: Hub):
    """A key stops the command: what had come is of no use to anybody."""
    hub.silence = threading.Event()

    def stop(come: int, total: int) -> None:
        if hub.requests:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(find_card(FILE), stop)
    cancel(find_card(FILE))
    assert files() == []
    hub.silence.set()


@pytest.mark.parametrize("place", ["file", "link", "name"])
def test_a_cache_that_cannot_be_used_is_said_and_stops_nothing_else(
    hub: Hub, monkeypatch, tmp_path: Path, place: str
):
    """A file in its place, a link to nowhere, too long a name: the rest works, and a download says
    what to do.
    """
    folder = tmp_path / ("a" * 300 + "no-cache" if place == "name" else "no-cache")
    if place == "file":
        folder.write_text("")
    elif place == "link":
        folder.symlink_to("/proc/nowhere/cache")
    monkeypatch.setenv("SE_VIZ_CACHE", str(folder))
    assert [card.name for card in list_on_disk()] == [
        card.name for card in list_networks() if not card.source
    ]
    assert not any(is_on_disk(find_card(name)) for name in (FILE, REPOSITORY))
    assert (cache_bytes(), empty_cache()) == (0, 0)
    forget_left()
    with pytest.raises(
        DownloadError,
        match=r"The cache .*no-cache cannot be used: .*name another folder with SE_VIZ_C",
    ):
        download(find_card(FILE))


def test_emptying_the_cache_gives_the_bytes_back(hub: Hub, contents: dict[str, bytes]):
    """What is counted is what the files have, once; afterwards nothing is on the disk."""
    assert cache_bytes() == 0
    for name in (FILE, REPOSITORY):
        download(find_card(name))
    whole = sum(map(len, contents.values()))
    # The hub's client adds notes of its own: which version, a tag for backups.
    assert whole <= cache_bytes() <= whole + 1000
    assert empty_cache() >= whole
    assert cache_bytes() == 0
    assert not any(is_on_disk(card) for card in list_networks() if card.source)


def test_timm_is_asked_for_where_it_is_needed(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    """Without the extra its networks are listed, and choosing one says what to install; nothing is
    fetched.
    """
    monkeypatch.setattr("se_viz.networks.libraries.find_spec", lambda name: None)
    with pytest.raises(
        NetworkError, match=r"built by timm, which is not installed\. .*pip install timm"
    ):
        load_network(REPOSITORY, "cpu", download=True)
    assert hub.requests == []


def test_an_unknown_name_is_answered_with_the_nearest(hub: Hub):
    """Four hundred names are no sentence."""
    with pytest.raises(NetworkError, match=r"Did you mean|Choose one of: .*mobilenet_v3_small"):
        find_card("torchvision/mobilenet_v3_smal")
