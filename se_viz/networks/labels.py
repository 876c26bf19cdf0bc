"""Readable names for classes: ImageNet's by their number, and a user's own list."""

import csv
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from se_viz.errors import DataError
from se_viz.files import read_file
from se_viz.names import show_name

MAX_BYTES = 4 << 20
"""Largest list of labels that is read."""
_IMAGENET = Path(__file__).with_name("imagenet.txt")


@cache
def imagenet_classes(count: int) -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, or of a larger set as far as timm knows it.

    Sets are told apart by their number of classes, as timm does; an unknown number gives ``class
    0`` and so on.
    """
    if count == 1000:
        # A file: torchvision has the same names, and brings PyTorch.
        return tuple(_IMAGENET.read_text(encoding="utf-8").splitlines())
    return _timm_classes(count) or numbered_classes(count)


def numbered_classes(count: int) -> tuple[str, ...]:
    """Return a name for each class that nobody has named."""
    return tuple(f"class {index}" for index in range(count))


def parse_labels(text: str, name: str = "The list of labels") -> tuple[str, ...]:
    """Read names of classes, in the order of the logits.

    One a line, of which empty ones count for nothing; JSON: a list, names by number or numbers by
    name, also as Hugging Face's ``id2label``; or CSV with a header. ``name`` is the file's.

    Raises:
        DataError: numbers of classes are missing or twice, or there is no column of names.
    """
    text = text.lstrip("\ufeff")
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return _order(_pairs_of(json.loads(text)), name)
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            if name.lower().endswith(".json"):
                raise DataError(f"{name} is no readable JSON ({error}). {_JSON_STEP}") from error
    return _parse_table(text, name) or tuple(filter(None, map(str.strip, text.splitlines())))


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a file of class names, see `parse_labels`.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = read_file(path, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise DataError(
                f"{path} has more than {MAX_BYTES >> 20} MB, too many for labels. Write one label "
                "a line."
            )
        return parse_labels(content.decode("utf-8-sig"), path.name)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Name a text file, one label a line."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read as text ({error}). Save it as UTF-8, one label a line."
        ) from error


def _pairs_of(values: Any) -> list[tuple[Any, Any]]:
    """Return number and name of each class in a JSON value."""
    if isinstance(values, list):
        return [*enumerate(map(_last, values))]
    values = values.get("id2label", values)
    pairs = [*values.items()] if isinstance(values, dict) else []
    if all(type(number) is int for _, number in pairs):
        return [(number, label) for label, number in pairs]
    return [(int(key) if key.isdecimal() else key, _last(value)) for key, value in pairs]


def _last(value: Any) -> Any:
    # Of ["n01440764", "tench"] the second is for people.
    return value[-1] if isinstance(value, list) and value else value


def _order(pairs: Sequence[tuple[Any, Any]], name: str) -> tuple[str, ...]:
    """Return names in the order of their numbers, from 0 on without a gap."""
    labels = dict(pairs)
    missing = [number for number in range(len(pairs)) if number not in labels]
    if not pairs or missing:
        gap = f"has no class {missing[0]} among {len(pairs)}" if pairs else "holds no names"
        raise DataError(f"{show_name(name)} {gap}. {_JSON_STEP}")
    ordered = [labels[number] for number in range(len(pairs))]
    if odd := [label for label in ordered if not isinstance(label, str) or not label.strip()]:
        raise DataError(f"{show_name(name)}: {show_name(odd[0])!r} is no name. {_JSON_STEP}")
    return tuple(label.strip() for label in ordered)


def _parse_table(text: str, name: str) -> tuple[str, ...]:
    """Return the names in a table with a header; none where the text is no table."""
    is_csv = name.lower().endswith((".csv", ".tsv"))
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    columns = {title: [row[at : at + 1] for row in rows[1:]] for at, title in enumerate(header)}
    names = [title for title in _NAMES if title in columns and not _are_numbers(columns[title])]
    if not names or not (is_csv or len(header) > 1):
        if is_csv:
            raise DataError(f"{show_name(name)} has no column of names. {_CSV_STEP}")
        return ()
    numbers = [title for title in _NUMBERS if title in columns and _are_numbers(columns[title])]
    labels = ["".join(cell) for cell in columns[names[0]]]
    order = [int(cell[0]) for cell in columns[numbers[0]]] if numbers else range(len(labels))
    return _order([*zip(order, labels, strict=True)], name)


def _are_numbers(cells: Sequence[list[str]]) -> bool:
    return all(cell and cell[0].strip().isdecimal() for cell in cells)


_NAMES = ("name", "label", "class_name", "label_name", "display_name", "class", "title")
_NUMBERS = ("index", "id", "idx", "class_id", "label_id", "class_index", "number", "class", "label")
"""Columns of a table of classes; those of names first that are most likely meant for people."""
_JSON_STEP = 'Write a list of names, {"0": "name", …} from 0 on without a gap, or one name a line.'
_CSV_STEP = "Give it a header, e.g. index,name, or write one name a line into a .txt file."


def _timm_classes(count: int) -> tuple[str, ...]:
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
