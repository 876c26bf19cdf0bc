"""Shapes and types that functions state are held to at each call."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.support.checked import check_calls

pytest.importorskip("beartype")

SOURCE = """
from dataclasses import dataclass
from jaxtyping import Float
from torch import Tensor

def weigh(maps: Float[Tensor, "batch channels"], gates: list[Float[Tensor, "channels"]]) -> int:
    return len(maps)

def turn(maps: Float[Tensor, "rows columns"]) -> Float[Tensor, "columns rows"]:
    return maps

def count(number: int) -> str:
    return number

def outer(number):
    def inner(inside: int) -> None: ...
    inner(number)

class Wide:
    @classmethod
    def make(cls, number: int) -> None: ...

    @property
    def name(self) -> str:
        return 3

@dataclass(frozen=True)
class Record:
    maps: Float[Tensor, "batch channels"]
    gates: Float[Tensor, "batch channels"]

@dataclass
class Plain:
    number: int

def later(record: "Plain | None") -> None: ...
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Return a module that was imported while its functions were checked."""
    folder: Path = tmp_path_factory.mktemp("package")
    (folder / "stated.py").write_text(SOURCE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, check_calls("stated"):
        patch.syspath_prepend(folder)
        return importlib.import_module("stated")


def maps(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (lambda p: p.weigh(maps(4), []), lambda p: p.weigh(maps(4, 3), [])),
        (lambda p: p.weigh(maps(4, 3), [maps(2)]), lambda p: p.weigh(maps(4, 3), [maps(3)])),
        (lambda p: p.turn(maps(2, 3)), lambda p: p.turn(maps(2, 2))),
        (lambda p: p.turn(maps(2, 2).long()), lambda p: p.turn(maps(3, 3))),
        (lambda p: p.Record(maps(4, 3), maps(4, 2)), lambda p: p.Record(maps(4, 3), maps(4, 3))),
        (lambda p: p.Plain("one"), lambda p: p.Plain(1)),
        (lambda p: p.outer("one"), lambda p: p.outer(1)),
        (lambda p: p.Wide.make("one"), lambda p: p.Wide.make(1)),
        (lambda p: p.later(1), lambda p: p.later(p.Plain(1))),
    ],
)
def test_what_a_function_states_is_what_it_takes(
    package: ModuleType, wrong: Callable[..., Any], right: Callable[..., Any]
):
    """An axis has one length in one call, and may have another one in the next."""
    right(package)
    with pytest.raises(Exception, match=r"violates type hint|Type-check error"):
        wrong(package)
    right(package)


@pytest.mark.parametrize("wrong", [lambda p: p.count(3), lambda p: p.Wide().name])
def test_what_a_function_states_is_what_it_returns(package: ModuleType, wrong: Callable[..., Any]):
    """A reader relies on it as on what it takes."""
    with pytest.raises(Exception, match=r"violates type hint|Type-check error"):
        wrong(package)
