"""What is said of an attribution method: one row of the catalogue, and what a run of it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, prod
from typing import Any, TypeAlias

Passes: TypeAlias = tuple[int, int]
"""How many images run forward, and how many back."""

PHOTO = (3, 224, 224)
"""The usual shape of one input: channels, height and width."""


@dataclass(frozen=True, slots=True)
class Method:
    """One attribution method: what it is called, what it promises and how Captum runs it."""

    key: str
    """Name in calls."""
    title: str
    """Name for people."""
    source: str
    """Where it was published."""
    looks_for: str
    """One sentence: what the map shows."""
    algorithm: str
    """Name of Captum's class."""
    channels: str
    """How the values of all channels become one: ``sum``, ``mean`` or ``max`` (of magnitudes)."""
    kind: str = "gradient"
    """What it computes with: one of ``KINDS``."""
    signed: bool = True
    """Whether the map has negative values."""
    complete: bool = False
    """Whether the theory promises that the map sums to the change of the logit."""
    needs: tuple[str, ...] = ()
    """What not every network has: keys of ``NEEDS``."""
    baseline: bool = False
    """Whether it compares the image with a baseline."""
    piece: str = ""
    """Option that says how many images one pass holds, halved when memory runs out; empty: Captum
    has none."""
    repeats: tuple[str, ...] = ()
    """Options whose product says how often the network runs."""
    options: dict[str, Any] = field(default_factory=dict)
    """Arguments of Captum's ``attribute`` and of what is prepared for it; callers may override
    each."""

    @property
    def layered(self) -> bool:
        """Return whether it attributes to the output of a stage."""
        return self.kind == "layer"

    @property
    def staged(self) -> bool:
        """Return whether a stage can be chosen."""
        return "stage" in self.needs

    @property
    def copied(self) -> bool:
        """Return whether Captum hangs rules on the network's modules, and so runs on a copy of its
        own.
        """
        return "differences" in self.needs

    @property
    def guided(self) -> bool:
        """Return whether it changes how ReLU modules pass gradients back."""
        return "relu" in self.needs

    @property
    def drawn(self) -> bool:
        """Return whether its map depends on what is drawn at random, by the option ``seed``."""
        return "seed" in self.options and any(name in self.options for name in _SAMPLES)

    def tell(self, settings: Mapping[str, Any], *, shape: tuple[int, ...]) -> str:
        """Return what a map with these options shows, with the size of the square where one is
        covered.

        Sizes are in pixels of an input of this ``shape``, (channels, *sides).
        """
        window = self._fitted(settings, shape).get("sliding_window_shapes")
        if window is None:
            return self.looks_for
        size, sides = (" x ".join(map(str, values[:0:-1])) for values in (window, shape))
        what = "square" if shape[0] == 3 and len(shape) == 3 else "window"
        unit = "pixels" if len(shape) == 3 else "values"
        return self.looks_for.replace(
            "a square is", f"a {what} of {size} {unit}, of the {sides} that the network sees, is", 1
        )

    def passes(
        self, settings: Mapping[str, Any] | None = None, *, shape: tuple[int, ...] = PHOTO
    ) -> Passes:
        """Return about how many images run forward and backward, for inputs of this ``shape``,
        (channels, *sides).
        """
        merged = self._fitted(settings or {}, shape)
        if "strides" in merged:
            runs = _windows(merged, shape)
        else:
            runs = prod(merged.get(name, 1) for name in self.repeats)
        # With a baseline, or with the gradient at a stage.
        if self.kind == "rule" and (self.baseline or self.staged):
            runs *= 2
        forward_only = self.kind in ("occlusion", "superpixel")
        # What covers or switches off compares with the image as it is.
        extra = int(forward_only)
        if self.complete:
            # The rise that the map must sum to: the image, and each baseline.
            extra += 1 + merged.get("draws", 1)
        return runs + extra, 0 if forward_only else runs

    def _fitted(self, settings: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
        usual = fit_windows(shape) if "strides" in self.options else {}
        return {**self.options, **usual, **settings}


def fit_windows(shape: tuple[int, ...], window: int = 32, stride: int = 16) -> dict[str, Any]:
    """Return the windows that Captum covers of inputs of a shape, (channels, *sides).

    Of a photo of any size they have ``window`` pixels a side and begin every ``stride`` pixels. Of
    another input they take the same shares of its sides as they would of a photo of 224 pixels.
    """
    if shape[0] == 3 and len(shape) == 3 and shape[1] == shape[2]:
        sides, steps = [window] * 2, [stride] * 2
    else:
        share = 224
        sides = [max(1, round(side * window / share)) for side in shape[1:]]
        steps = [
            max(1, min(size, round(side * stride / share)))
            for side, size in zip(shape[1:], sides, strict=True)
        ]
    return {"sliding_window_shapes": (shape[0], *sides), "strides": (shape[0], *steps)}


_SAMPLES = ("n_samples", "nt_samples", "draws", "donors")
"""Options that say how often something is drawn."""

KINDS = {
    "gradient": "One gradient",
    "path": "Gradients on the way from a baseline",
    "smooth": "Gradients of noisy copies",
    "rule": "A backward pass with rules of its own",
    "layer": "One gradient at a stage",
    "occlusion": "Squares are covered",
    "superpixel": "Patches are switched off",
    "channel": "Channels are shut",
    "pass": "One pass forward",
}
"""What methods compute with, and how to say it."""

NEEDS = {
    "stage": "a module that ends a stage, whose output it looks at",
    "relu": "ReLU modules, whose derivative it replaces",
    "differences": "functions that differences can be passed back through, so that its shares add "
    "up",
}
"""What methods need that not every network has, and how to say it."""


def _windows(settings: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    sizes = settings["sliding_window_shapes"][1:]
    strides = settings["strides"][1:]
    return prod(
        ceil((side - size) / step) + 1
        for side, size, step in zip(shape[1:], sizes, strides, strict=True)
    )
