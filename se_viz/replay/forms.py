"""Settings of a bundle from plain JSON values that a stranger wrote: every one is checked."""

import math
from collections.abc import Callable
from typing import Any

from se_viz.errors import BundleError
from se_viz.gates.surgery import GateEdit
from se_viz.names import show_name
from se_viz.replay.records import MapSettings, Settings

_MAPS = 16
_NAMES = 64
_EDITS = 4096
_CHANNELS = 1 << 16
_LETTERS = 4096
_OWN = ("network", "inputs", "target", "method", "against", "baseline", "stage", "watch", "report")
"""Arguments of `attribute` that are settings of their own."""


def settings_from_json(values: dict[str, Any]) -> Settings:
    """Return the settings that plain JSON values describe; names that are not known are left out.

    Raises:
        BundleError: one is missing, or of another kind.
    """
    try:
        return Settings(
            network=_text(values["network"]),
            weights=_text(values["weights"]),
            photo=_text(values["photo"]),
            name=_text(values.get("name", "")),
            maps=_several(values.get("maps", []), _map, _MAPS),
            edits=_several(values.get("edits", []), _edit, _EDITS),
            block=_or_none(values.get("block"), _text),
            channel=_or_none(values.get("channel"), _whole),
            classes=_several(values.get("classes", []), _text, _MAPS),
            device=_text(values.get("device", "cpu")),
            precision=_text(values.get("precision", "float32")),
            versions=_versions(values.get("versions", {})),
            machine=_text(values.get("machine", "")),
        )
    except KeyError as error:
        raise _refusal(f"{error.args[0]} is missing") from error
    except TypeError as error:
        raise _refusal(show_name(error)) from error


def _refusal(what: str) -> BundleError:
    return BundleError(f"settings.json of the bundle is damaged: {what}. Make the bundle again.")


def _map(values: Any) -> MapSettings:
    return MapSettings(
        target=_whole(values["target"]),
        method=_text(values["method"]),
        against=_or_none(values.get("against"), _whole),
        baseline=_text(values.get("baseline", "mean")),
        stage=_or_none(values.get("stage"), _whole),
        options=_several(values.get("options", []), _option, _NAMES),
    )


def _option(values: Any) -> tuple[str, Any]:
    name, value = _several(values, _value, 2)
    if not isinstance(name, str) or not name.isidentifier() or name in _OWN:
        raise TypeError(f"{name!r} is no option of a method")
    return name, value


def _value(value: Any) -> Any:
    """Return a text, number, truth value, nothing, or a tuple of such."""
    if isinstance(value, list):
        return _several(value, _value, 16)
    if value is None or isinstance(value, bool):
        return value
    return _text(value) if isinstance(value, str) else _number(value)


def _edit(values: Any) -> GateEdit:
    action = _text(values["action"])
    if action not in ("set", "scale", "level"):
        raise TypeError(f"{action!r} is no change of gates")
    targets = _several(values["targets"], _target, _EDITS)
    return GateEdit(targets, action, float(_number(values["amount"])))  # pyright: ignore


def _target(values: Any) -> tuple[str, tuple[int, ...] | None]:
    block, channels = _several(values, lambda part: part, 2)
    numbers = _or_none(channels, lambda part: _several(part, _whole, _CHANNELS))
    return _text(block), numbers and tuple(sorted(set(numbers)))


def _versions(values: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(values, dict) or len(values) > _NAMES:
        raise TypeError("versions are no names with their versions")
    return tuple((_text(name), _text(version)) for name, version in values.items())


def _several(values: Any, read: Callable[[Any], Any], most: int) -> tuple[Any, ...]:
    if not isinstance(values, list) or len(values) > most:
        raise TypeError(f"a list of at most {most} is needed, not {values!r}")
    return tuple(map(read, values))


def _or_none(value: Any, read: Callable[[Any], Any]) -> Any:
    return None if value is None else read(value)


def _text(value: Any) -> str:
    # JSON can write halves of letters, which no page and no file can show.
    if not isinstance(value, str) or len(value) > _LETTERS or not value.isprintable():
        raise TypeError(f"{value!r} is no text of at most {_LETTERS} letters")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise TypeError(f"{value!r} is no whole number from 0 on")
    return value


def _number(value: Any) -> int | float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    if not math.isfinite(value) or abs(value) > 2**31:
        raise TypeError(f"{value!r} is out of range")
    return value
