"""Files of weights: honest ones are read as PyTorch reads them, and those made to harm end in a
sentence.
"""

import argparse
import datetime
import io
import json
import pathlib
import pickle
import random
import resource
import struct
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from se_viz.confined import address_space
from se_viz.errors import CheckpointError
from se_viz.names import show_name
from se_viz.networks import formats
from se_viz.networks.listing import Listing, read_listing
from se_viz.networks.weights import read_tensors

LEGACY_HEAD = b"".join(
    pickle.dumps(value, 2)
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
)


def written(values: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(values, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def legacy(pickled: bytes, keys: Sequence[str] = ()) -> bytes:
    """A file of PyTorch's first format, around a pickle written by hand."""
    return LEGACY_HEAD + b"\x80\x02" + pickled + b"." + pickle.dumps(list(keys), 2)


def refused(content: bytes, message: str) -> str:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_tensors(content, "mine.pt")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


def every_kind() -> dict[str, Tensor]:
    kinds = [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
    ]
    kinds += [torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64]
    numbers = torch.arange(24).reshape(2, 3, 4)
    state = {str(kind): numbers.to(kind) for kind in kinds}
    whole = torch.arange(100.0)
    state |= {
        "part": whole[10:40].view(5, 6),
        "turned": whole[:12].view(3, 4).T,
        "steps": whole[1::7],
    }
    state |= {
        "one": torch.tensor(3.5),
        "none": torch.zeros(0, 4),
        "again": whole,
        "repeated": whole[:1].expand(4),
    }
    return state | {"trained": nn.Parameter(torch.ones(2), requires_grad=True)}


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
def test_every_tensor_is_read_as_pytorch_reads_it(legacy: bool):
    """Kinds, views, shared values, turned and repeated ones: bit for bit, by PyTorch's own
    reader.
    """
    # PyTorch writes unsigned kinds in its first format, and cannot read them there.
    state = {
        name: value for name, value in every_kind().items() if not (legacy and "torch.uint" in name)
    }
    content = written(state, legacy=legacy)
    expected = torch.load(io.BytesIO(content), weights_only=True)
    listing = read_listing(content, "mine.pt")
    assert list(listing.entries) == list(expected)
    for name, value in expected.items():
        tensor = listing.take(name)
        assert tensor.dtype is value.dtype
        assert torch.equal(tensor, value)


def test_safetensors_are_read_as_their_library_reads_them():
    """The same values through the other format."""
    state = {name: value.detach().clone().contiguous() for name, value in every_kind().items()}
    listing = read_listing(save(state, metadata={"format": "pt"}), "mine.safetensors")
    assert listing.entries.keys() == state.keys()
    assert all(torch.equal(listing.take(name), value) for name, value in state.items())


class Settings(dict):
    """A dictionary of somebody's own, as configurations are."""


BESIDE = {
    "namespace": argparse.Namespace(lr=0.1, betas=(0.9, 0.99)),
    "path": pathlib.PurePosixPath("/data/run"),
    "day": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
    "default": defaultdict(list, {"loss": [0.5]}),
    "score": np.float64(77.1),
    "curve": np.arange(3),
    "kind": torch.float16,
    "place": torch.device("cpu"),
    "shape": torch.Size((1, 2)),
    "settings": Settings(a=1),
    "set": {1, 2},
    "bytes": bytearray(b"abc"),
    "complex": 1j,
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
def test_what_stands_beside_tensors_is_passed_over(beside: object, legacy: bool):
    """Training programs save their settings with the weights; nothing of it is imported or run."""
    content = written(
        {"epoch": 3, "beside": beside, "state_dict": {"w": torch.arange(3.0)}}, legacy=legacy
    )
    listing = read_listing(content, "mine.pt")
    assert list(listing.entries) == ["state_dict.w"]
    assert listing.take("state_dict.w").tolist() == [0, 1, 2]


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
def test_classes_beside_tensors_are_passed_over(legacy: bool):
    """The first format writes the source of a layer's class beside it."""
    content = written({"layer": nn.ReLU, "w": torch.ones(1)}, legacy=legacy)
    listing = read_listing(content, "mine.pt")
    assert ([*listing.entries], listing.foreign_classes) == (
        ["w"],
        ("torch.nn.modules.activation.ReLU",),
    )


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_is_named():
    """All its tensors are there, and the sentence says how to get them."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    refused(
        file.getvalue(),
        r"is a TorchScript program, which se_viz does not run\. Write `torch\.jit\.load",
    )


def test_tensors_are_named_by_their_whole_path():
    """Dictionaries, lists, and objects of classes that are not read are all parts of the path."""
    content = written(
        [OrderedDict(a=torch.ones(1)), {"b": (torch.ones(1), Settings(c=torch.ones(1)))}]
    )
    assert list(read_listing(content, "mine.pt").entries) == ["0.a", "1.b.0", "1.b.1.c"]


def nested(count: int, kind: bytes) -> bytes:
    return b"}" + b")" + kind * count + b"Ns"


def test_a_key_nested_200_000_deep_ends_the_child_alone():
    """Python's hash of it goes down the stack in C and crashes; 200 kB ended a server."""
    sentence = refused(
        legacy(nested(500_000, b"\x85")),
        r"^mine\.pt takes deeper nesting .* to read: it is damaged",
    )
    assert sentence.endswith("and take that.")


def test_what_holds_itself_is_gone_through_once():
    """A dictionary under its own key, and a list in itself: a walk by hand would never end."""
    looped = b"}q\x00X\x0a\x00\x00\x00state_dicth\x00s"
    assert not read_listing(legacy(looped), "mine.pt").entries
    assert not read_listing(legacy(b"]q\x00h\x00a"), "mine.pt").entries


def test_values_that_a_file_does_not_bring_are_refused():
    """A storage that is claimed and missing was filled with whatever memory held: other people's
    data.
    """
    content = written({"w": torch.zeros(100_000)}, legacy=True)
    file = io.BytesIO(content)
    for _ in range(3):
        pickle.load(file)
    list(iter(lambda: file.read(1) not in (b"", b".") or None, None))
    end = content.index(b"]", file.tell()) - 2
    refused(
        content[:end] + pickle.dumps([], 2),
        r"damaged: not all values of w are in the file\. Save or upload",
    )


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) == 1
    return content.replace(old, new)


def test_tensors_reach_no_further_than_their_storage():
    """One row more in the shape, or one step of the stride: the next tensor's bytes, or another
    visitor's.
    """
    content = written({"w": torch.zeros(5, 7), "v": torch.zeros(100)}, legacy=True)
    for shape in (b"K\x06K\x07\x86", b"K\x05K\x08\x86"):
        refused(patched(content, b"K\x05K\x07\x86", shape), "not all values of w are in the file")
    refused(
        patched(content, b"K\x07K\x01\x86", b"K\x09K\x01\x86"),
        "not all values of w are in the file",
    )
    refused(patched(content, b"K#Nt", b"K\xffNt"), "neither a safetensors")


def test_a_pickle_changes_no_number_that_was_checked():
    """A state set on a storage would move its begin to before the file, where other bytes lie."""
    content = written({"w": torch.zeros(5, 7)})
    assert read_listing(content, "mine.pt").entries["w"].shape == (5, 7)
    fields = b"(X\x01\x00\x00\x000ctorch\nFloatStorage\nK\x23J\xf0\xff\xff\xfftb"

    def moved(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        end = data.find(b"Q", data.find(b"K#tq")) + 1
        new.writestr(name, data[:end] + fields + data[end:] if name.endswith("data.pkl") else data)

    refused(repacked(content, moved), "neither a safetensors")


def test_a_shape_that_cannot_be_counted_is_refused():
    """PyTorch multiplies the sides even where one is 0; a dense tensor has at most 64 of them."""
    sides = b"".join(b"\x8a\x06" + (2**47).to_bytes(6, "little") for _ in range(2))
    content = patched(
        written({"w": torch.zeros(0, 3)}, legacy=True), b"K\x00K\x03\x86", b"(K\x00" + sides + b"t"
    )
    content = patched(content, b"K\x03K\x01\x86", b"(K\x01K\x01K\x01t")
    refused(content, "neither a safetensors")
    refused(header({"w": entry("F32", [0, 2**47, 2**47], 0, 0)}), "a size is none")
    refused(header({"w": entry("F32", [1] * 65, 0, 4)}, bytes(4)), "a size is none")


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_a_few_bytes_take_no_memory(size: int):
    """`bytearray(2**31)` in a pickle of 150 bytes took two gigabytes, and 16 would have ended the
    server.
    """
    number = b"\x8a\x09" + size.to_bytes(9, "little")
    call = b"}X\x01\x00\x00\x00acbuiltins\nbytearray\n" + number + b"\x85Rs"
    assert not read_listing(legacy(call), "mine.pt").entries
    refused(
        legacy(b"}X\x01\x00\x00\x00a\x96" + size.to_bytes(8, "little") + b"s"),
        "mine.pt takes more|neither",
    )
    refused(
        legacy(b"}q\x00r" + (2**32 - 1).to_bytes(4, "little")),
        "mine.pt takes more than 512 MB of memory",
    )


def test_lists_of_lists_of_lists_are_gone_through_once():
    """Thirty lists, each with ten times the one before: a billion entries in two hundred bytes."""
    lists = b"]q\x00" + b"".join(
        b"](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1]) for level in range(30)
    )
    assert not read_listing(legacy(lists), "mine.pt").entries


def repacked(content: bytes, change: Callable[[zipfile.ZipFile, str, bytes], None]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return packed.getvalue()


def test_archives_that_no_program_writes_are_refused():
    """Compressed, shortened, doubled and turned members; another order of bytes; programs."""
    content = written({"w": torch.arange(50.0)})
    same = repacked(content, lambda new, name, data: new.writestr(name, data))
    assert read_listing(same, "mine.pt").take("w").tolist() == list(range(50))

    def compress(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, data, zipfile.ZIP_DEFLATED)

    def shorten(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, data[:-1] if name.endswith("data/0") else data)

    def turn(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, b"big" if name.endswith("byteorder") else data)

    def program(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, data)
        new.writestr(
            name.replace("data.pkl", "constants.pkl"), data
        ) if "data.pkl" in name else None

    def double(part: str) -> bytes:
        def write(new: zipfile.ZipFile, name: str, data: bytes) -> None:
            new.writestr(name, data)
            if name.endswith(part):
                with pytest.warns(UserWarning, match="Duplicate name"):
                    new.writestr(name, data)

        return repacked(content, write)

    # Which of two is meant, readers do not agree on.
    for part in ("data.pkl", "data/0", "byteorder"):
        refused(double(part), "neither a safetensors")
    refused(
        repacked(content, compress),
        r"compressed inside, as `torch\.save` writes no file\. Load it and save",
    )
    refused(repacked(content, shorten), "not all values of w are in the file")
    refused(repacked(content, turn), "written on a machine that orders bytes the other way round")
    refused(
        repacked(content, program),
        r"is a TorchScript program, which se_viz does not run\. Write `torch\.jit",
    )
    # Two members on the same bytes, by the list at the end of the archive: it tells where each
    # begins.
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    refused(
        content[: second + 42] + content[first + 42 : first + 46] + content[second + 46 :],
        "neither a safetensors",
    )


def header(values: object, body: bytes = b"") -> bytes:
    text = values if isinstance(values, bytes) else json.dumps(values).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype: str, shape: list[int], start: int, stop: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


LYING = {
    "a header longer than the file": struct.pack("<Q", 2**60) + b"{" + bytes(50),
    "values beyond the end": header({"w": entry("F32", [3], 0, 12)}, bytes(8)),
    "values in one another": header(
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, bytes(12)
    ),
    "another size than its values": header({"w": entry("F32", [3], 0, 8)}, bytes(8)),
    "a negative side": header({"w": entry("F32", [-3], 0, 12)}, bytes(12)),
    "a side that is no number": header({"w": entry("F32", ["3"], 0, 12)}, bytes(12)),  # type: ignore[list-item]
    "no dictionary": header(b"{]"),
    "deep JSON": header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "too many names": header({str(place): entry("U8", [0], 0, 0) for place in range(60_000)}),
}


@pytest.mark.parametrize("content", LYING.values(), ids=LYING)
def test_a_safetensors_header_that_lies_is_refused(content: bytes):
    """Lengths and places in it are a stranger's words."""
    refused(
        content,
        r"^mine\.pt (is a damaged safetensors file|holds more than 50000|takes deeper nesting)",
    )


ODD = {
    "float8_e4m3fn": lambda: torch.zeros(2).to(torch.float8_e4m3fn),
    "complex64": lambda: torch.zeros(2, dtype=torch.complex64),
    "sparse": lambda: torch.eye(2).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "meta": lambda: torch.zeros(2, device="meta"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_a_tensor_of_a_kind_that_is_not_read_is_named(kind: str):
    """They end in one sentence with the tensor's name, and in none where nobody asks for them."""
    content = written({"fc.weight": ODD[kind](), "fc.bias": torch.ones(1)})
    assert read_listing(content, "mine.pt").take("fc.bias").item() == 1
    refused(content, rf"fc\.weight is a tensor of the kind {kind}\. Save `model\.state_dict\(\)`")


@pytest.mark.parametrize("name", ["posix system", "os system", "builtins eval", "subprocess Popen"])
def test_a_file_that_would_run_a_program_is_refused_by_name(name: str):
    """Nothing is run in any case; whoever was given such a file should know what it is."""
    call = b"c" + name.replace(" ", "\n").encode() + b"\nX\x02\x00\x00\x00ls\x85R"
    refused(
        legacy(call), rf"neither a safetensors file .* \(it holds {name.replace(' ', '[.]')}\)\.$"
    )


def test_more_tensors_than_any_network_has_are_refused_in_each_format():
    """The sentence says what is wrong; "damaged" would send people to export the same file
    again.
    """
    names = {f"t{number}": entry("F32", [0], 0, 0) for number in range(50_001)}
    refused(header(names), r"^mine\.pt holds more than 50000 tensors")


def test_a_long_list_of_tensors_stays_in_the_child():
    """600 kB can hold one tensor of 64 sides under 49,000 names; read by the server, their list
    took 280 MB of it.
    """
    tensor = torch.zeros(1).as_strided((1,) * 64, (2**40,) * 64)
    content = written(dict.fromkeys((str(number) for number in range(20_000)), tensor))
    refused(content, r"^mine\.pt takes a list of tensors longer than any network's to read")


def test_a_name_of_ten_megabytes_is_one_line():
    """Names of tensors stand in sentences, on pages and on terminals."""
    long = "a" * 10**7
    evil = "\x1b[2J\u202e`![x](http://x/y.png)"
    assert len(show_name(long)) == 80
    assert show_name(evil) == "\ufffd[2J\ufffd'![x](http://x/y.png)"
    content = written({evil: torch.zeros(2).to(torch.complex64)})
    assert "\x1b" not in refused(content, "is a tensor of the kind complex64")
    assert not read_listing(written({long: torch.ones(1)}), "mine.pt").entries


def test_a_tensor_claims_no_more_than_its_file_can_hold():
    """A stride of zero lets four bytes stand for a gigabyte."""
    refused(
        written({"w": torch.zeros(1).expand(2**28)}), r"its tensors claim 1074 MB\. Save `model"
    )


def survives(content: bytes) -> None:
    """Run the child's function here, so that an exception it does not foresee is seen."""
    try:
        out = io.BytesIO()
        formats.list_tensors(memoryview(content), out, title="mine.pt")
    except (CheckpointError, MemoryError, RecursionError):
        return
    listed = json.loads(out.getvalue())
    entries = {values[0]: formats.Entry(*values) for values in listed["entries"]}
    listing = Listing("mine.pt", content, listed["root"], entries, ())
    try:
        listing.check_size(list(entries))
        [listing.take(name) for name in entries]
    except CheckpointError:
        return


@pytest.fixture
def little_memory() -> Iterator[None]:
    """The child's limit: a damaged length may ask for gigabytes, and is told at once that there
    are none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + 2**29, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("form", ["archive", "legacy", "safetensors"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(form: str):
    """Cut at every hundredth, or with some bytes changed: the draws are the same every time."""
    state = {
        "a.weight": torch.arange(12.0).view(3, 4),
        "a.bias": torch.ones(3),
        "n": torch.tensor(5),
    }
    content = save(state) if form == "safetensors" else written(state, legacy=form == "legacy")
    for hundredth in range(100):
        survives(content[: len(content) * hundredth // 100])
    draws = random.Random(7)
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(draws.choice([1, 1, 2, 8])):
            damaged[draws.randrange(len(damaged))] = draws.randrange(256)
        survives(bytes(damaged))
