"""What no method can run with, in words: no image, no such class, more passes than anybody has
room for.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from se_viz.attribution.catalogue import Method
from se_viz.attribution.question.targets import Target
from se_viz.errors import AttributionError
from se_viz.networks import Network

MOST_STEPS = 2_000
"""Steps of Integrated Gradients: the nodes of its quadrature are found in cubic time."""
MOST_PASSES = 200_000
MOST_BYTES = 4 << 30
"""Of inputs that lie in memory at once, before the network makes anything of them."""


def check_question(network: Network, inputs: Any, target: Target) -> None:
    """Refuse a class that a network does not have, and what `check_inputs` refuses.

    Raises:
        AttributionError: there is no such class, or the inputs are no image.
    """
    target.check(len(network.classes))
    check_inputs(network, inputs)


def check_inputs(network: Network, inputs: Any) -> None:
    """Refuse what is not one image for a network.

    Raises:
        AttributionError: no tensor of (1, channels, *sides), of another type or device, or with
            values that are no numbers; or the network has no weights any more.
    """
    like = next(network.model.parameters(), torch.empty(0, device=network.device))
    if like.is_meta:
        raise AttributionError(
            f"{network.card.title} has no weights any more: it was moved to the device meta. Load "
            "it again."
        )
    if not isinstance(inputs, Tensor):
        description = f"a {type(inputs).__name__}"
    elif not _fits(inputs, network.card.shape):
        description = f"a tensor of {tuple(inputs.shape)}"
    elif inputs.dtype not in (torch.float32, like.dtype):
        description = f"of {inputs.dtype}"
    elif inputs.device != like.device:
        description = f"on {inputs.device}"
    elif not inputs.isfinite().all():
        description = "one with values that are NaN or infinite"
    else:
        return
    raise AttributionError(
        f"{_name_needed(network)} of {like.dtype} on {like.device}, and this is {description}. "
        f"Make it with network.{'preprocess(image)' if network.sees_photos else 'prepare(file)'}."
    )


def _name_needed(network: Network) -> str:
    if network.sees_photos:
        return "One image is needed, (1, 3, height, width)"
    return f"One input is needed, {(1, *network.card.shape)}"


def _fits(inputs: Tensor, shape: tuple[int, ...]) -> bool:
    # Of another height and width is fine: many networks take them.
    return (
        inputs.ndim == 1 + len(shape) and inputs.shape[:2] == (1, shape[0]) and inputs.numel() > 0
    )


def check_steps(title: str, settings: Mapping[str, Any]) -> None:
    """Refuse whole numbers below 1, and more steps than there can be.

    Raises:
        AttributionError: such a number.
    """
    for name, value in settings.items():
        for number in value if isinstance(value, tuple) else (value,):
            if (
                # True is a whole number to Python, and any whole number is a seed.
                isinstance(number, int)
                and name != "seed"
                and not isinstance(number, bool)
                and number < 1
            ):
                raise AttributionError(
                    f"{title} cannot run with {name}={value!r}. Choose 1 or more."
                )
    steps = settings.get("n_steps")
    if isinstance(steps, int) and steps > MOST_STEPS:
        raise AttributionError(
            f"{title} can take {MOST_STEPS:,} steps at most, not {steps:,}. Lower n_steps."
        )


def check_settings(row: Method, settings: Mapping[str, Any], inputs: Tensor) -> int:
    """Refuse numbers that a method would fail with, or never end.

    Return how many images run forward.

    Raises:
        AttributionError: a whole number below 1, or a number too large.
    """
    check_steps(row.title, settings)
    try:
        passes, _ = row.passes(settings, shape=tuple(inputs.shape[1:]))
        # A piece larger than the whole is the whole.
        together = min(settings.get(row.piece) or passes, passes)
    except (TypeError, IndexError) as error:
        raise AttributionError(
            f"{row.title} cannot read its options. Give whole numbers, and sizes and strides as "
            "(3, rows, columns)."
        ) from error
    if passes > MOST_PASSES:
        raise AttributionError(
            f"{row.title} would run the network {passes:,} times, and the most here is "
            f"{MOST_PASSES:,}. Lower {_names(row)}."
        )
    size = together * inputs.numel() * inputs.element_size()
    if size > MOST_BYTES:
        raise AttributionError(
            f"{row.title} would hold {together:,} copies of the image at once, {size / 1e9:.0f} "
            f"GB, and the most is {MOST_BYTES / 1e9:.0f} GB. Lower {row.piece or _names(row)}."
        )
    return passes


def _names(row: Method) -> str:
    return " or ".join(row.repeats) or "the number of windows: larger strides"
