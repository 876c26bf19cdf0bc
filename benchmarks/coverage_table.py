"""The report of the coverage check: totals, one line a family, and every name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measure import as_table

HEAD = ("library", "family", "networks", "blocks found", "captured exactly", "not", "spelling")
_INTRODUCTION = """\
# Coverage

Every network that torchvision and timm list, looked at by one command:

    python -m benchmarks.coverage --rows coverage.jsonl --out docs/coverage.md

Each has random weights (norms and what starts at zero are given values) and sees two images of
noise, of the smallest size from 64 pixels that it takes. Names that begin with `quantized_` are
built in floating point. "Found" is what `inspect_gates` lists. "Captured exactly" means that the
recorded gate times the block's input was the block's output bit for bit, both seen by the check's
own hooks. "Missing" is a module that `inspect_gates` does not name although its output is its input
times one value a channel that depends on the image; the check finds these by what modules do, not
by what they are called.
"""


def write_report(rows: Sequence[dict[str, Any]], out: Path | None, *, listed: int) -> str:
    """Return the report of the rows as Markdown, and write it to ``out``.

    ``listed`` is how many names there are.
    """
    gated = [row for row in rows if row["gating"] or row["found"] or row["refused"]]
    attentions = [row for row in rows if row["others"]]
    parts = [
        _INTRODUCTION,
        _totals(rows, gated, listed),
        as_table(HEAD, _families(gated)),
        _wrong(rows),
    ]
    parts += [
        _other_kinds(attentions),
        _names("Networks with gates, by family", gated),
        _failed(rows),
    ]
    text = "\n\n".join(part.strip() for part in parts if part) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    return text


def _totals(rows: Sequence[dict[str, Any]], gated: Sequence[dict[str, Any]], listed: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    lines = []
    for library in dict.fromkeys(row["package"] for row in rows):
        own = [row for row in gated if row["package"] == library]
        blocks, exact, missing, followed = (
            sum(_count(row, key) for row in own)
            for key in ("found", "exact", "missing", "followed")
        )
        lines.append(
            f"- {library}: {len(own)} networks with gates, {blocks:,} blocks found, {exact:,} "
            f"captured exactly, {blocks - exact} not, {missing} missing; {followed:,} with the "
            "table of spellings switched off"
        )
    looked = sum(bool(row["size"]) for row in rows)
    rest = f" {listed - len(rows):,} are still to be looked at." if listed > len(rows) else ""
    summary = f"{listed:,} names listed, {len(rows):,} looked at, {looked:,} networks run.{rest}"
    return "\n".join([*lines, "", f"{summary} {versions}."])


def _families(gated: Iterable[dict[str, Any]]) -> list[list[str]]:
    families: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in gated:
        families[row["package"], row["family"]].append(row)
    return [_family(*key, rows) for key, rows in sorted(families.items(), reverse=True)]


def _family(library: str, family: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    blocks, exact = (sum(row[key] for row in rows) for key in ("found", "exact"))
    forms = sorted({form.split(" ", 1)[-1] for row in rows for form in row["forms"]})
    return [
        library,
        family,
        str(len(rows)),
        str(blocks),
        str(exact),
        str(blocks - exact),
        ", ".join(forms),
    ]


def _wrong(rows: Iterable[dict[str, Any]]) -> str:
    lines = [
        f"- {row['package']} {row['name']}: {row['found'] - row['exact']} not exact, missing "
        f"{row['missing']}, refused {row['refused']}"
        for row in rows
        if row["found"] != row["exact"] or row["missing"] or row["refused"]
    ]
    return (
        "\n".join(["## Not right", "", *lines])
        if lines
        else "None is wrong, none is missing, none is refused."
    )


def _other_kinds(rows: Iterable[dict[str, Any]]) -> str:
    kinds: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for sentence in row["others"]:
            kinds[sentence].append(row["name"])
    lines = [
        f"- {sentence} {len(names)} networks: {', '.join(names)}."
        for sentence, names in kinds.items()
    ]
    return "\n".join(["## Not an SE gate, and said so", "", *lines]) if lines else ""


def _names(title: str, rows: Iterable[dict[str, Any]]) -> str:
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        families[row["package"], row["family"]].append(
            f"{row['name']} ({row['exact']}/{row['found']})"
        )
    lines = [
        f"- {library} {family}: {', '.join(names)}"
        for (library, family), names in sorted(families.items())
    ]
    return "\n".join([f"## {title}", "", "Captured exactly / found.", "", *_folded(lines)])


def _failed(rows: Iterable[dict[str, Any]]) -> str:
    lines = [f"- {row['package']} {row['name']}: {row['error']}" for row in rows if row["error"]]
    return "\n".join(["## Could not be run", "", *_folded(lines)]) if lines else ""


def _folded(lines: Sequence[str]) -> list[str]:
    return ["<details><summary>All names</summary>", "", *lines, "", "</details>"]


def _count(row: dict[str, Any], key: str) -> int:
    return len(row[key]) if isinstance(row[key], list) else row[key]
