"""Why a method cannot run, in words: the network, the image, the memory, or the options where
these are at fault.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from se_viz.devices import line_of, memory_in_words
from se_viz.errors import AttributionError, SeVizError
from se_viz.networks import Network

Result = TypeVar("Result")

_NO_GRADIENT = (
    "no gradient comes back through it, for its code detaches values or turns gradients off",
    "Choose a method that needs none, such as occlusion or feature_ablation.",
)
_IN_PLACE = (
    "its code writes over values that the way back needs",
    "Choose a method without gradients, such as occlusion, or let its layers work out of place "
    "(inplace=False).",
)
_MIXED = (
    "its layers compute in different precisions",
    "Bring them to one with network.model.float().",
)
_REASONS = (
    (
        r"Float did not match|expected scalar type|should be the same|same dtype|expected .* dtype",
        _MIXED,
    ),
    (
        r"not implemented for '(Half|BFloat16)'",
        ("PyTorch has not all of its steps in this precision", _MIXED[1]),
    ),
    (
        r"does not require grad|doesn't require grad|not have been used in the graph|no attribute "
        r"'grad_fn'",
        _NO_GRADIENT,
    ),
    (r"modified by an inplace operation|in-place operation|modified inplace", _IN_PLACE),
    (
        r"Inference tensors",
        (
            "its weights were made in inference mode and cannot be differentiated through",
            "Load it outside torch.inference_mode().",
        ),
    ),
    (
        r"derivative for .* is not implemented|not differentiable",
        ("one of its functions has no derivative in PyTorch", _NO_GRADIENT[1]),
    ),
    (
        r"on meta|meta tensor|meta device",
        ("its weights are gone, for it was moved to the device meta", "Load it again."),
    ),
)
"""What PyTorch says, as a pattern; what it means, and what to do next."""


class RefusedError(AttributionError):
    """What PyTorch or Captum refused while a method ran, in words that blame no option."""

    def __init__(self, title: str, reason: str, step: str = "") -> None:
        method = "saliency" if title == "Occlusion" else "occlusion"
        step = step or f"Choose another method, such as {method}."
        super().__init__(f"{title} cannot run on this network: {reason}. {step}")
        self.title = title
        self.reason = reason

    def __reduce__(self) -> tuple[type[AttributionError], tuple[str]]:
        """Travel to another process as the sentence alone."""
        return AttributionError, (str(self),)


@contextmanager
def in_words(title: str, device: torch.device) -> Iterator[None]:
    """Say in one sentence what PyTorch or Captum refuse while a method runs.

    Raises:
        RefusedError: they do.
        TooLittleMemoryError: memory is too small.
    """
    try:
        with memory_in_words(device, title):
            yield
    except SeVizError:
        raise
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise RefusedError(title, *_read(error)) from error


def run_with_options(
    network: Network, inputs: Tensor, run: Callable[..., Result], options: Mapping[str, Any]
) -> Result:
    """Run a method with options; where it is refused, find out by trying whether they are to blame.

    To be called by who has no turn on the network's device: what is tried takes its own.

    Raises:
        AttributionError: the network does not answer to this image at all, the method does not run
            on it, or not with these options.
    """
    try:
        return run(**options)
    except RefusedError as refusal:
        _check_plainly(network, inputs, refusal.title)
        if not options:
            raise
        # What this raises is the reason: it is not the options.
        run()
        raise AttributionError(
            f"{refusal.title} cannot run with these options: {refusal.reason}. Change them."
        ) from refusal


def _check_plainly(network: Network, inputs: Tensor, method: str) -> None:
    """Refuse a network that does not answer to an image, or not to two at once, whatever the
    method.
    """
    title = network.card.title
    images = inputs.detach().to(network_dtype(network))
    with line_of(network.device).turn(), torch.no_grad():
        try:
            answer = network.model(images)
        # Whatever the network's own code raises.
        except Exception as error:
            reason, *step = _read(error)
            size = (
                "Give it an image of the size that it was made for, with network.preprocess(image)."
            )
            raise AttributionError(
                f"{title} itself cannot run on this image: {reason}. {''.join(step) or size}"
            ) from error
        try:
            network.model(torch.cat([images] * 2))
        except Exception as error:
            raise AttributionError(
                f"{method} runs several images in one pass, and {title} takes only one: "
                f"{_quote(error)}. Choose a method of a single pass, such as saliency or grad_cam."
            ) from error
    count = len(network.classes)
    if not isinstance(answer, Tensor) or answer.shape != (1, count):
        shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise AttributionError(
            f"{title} returns {shape} for one image, and has {count} class names: it was changed "
            "since it was loaded. Make a network of the model anew, with Network.from_model."
        )
    if not answer.isfinite().all():
        half = (
            " In half precision values above 65,504 are infinite."
            if answer.dtype == torch.float16
            else ""
        )
        raise AttributionError(
            f"{title} answers this image with values that are NaN or infinite, so that nothing can "
            f"be explained.{half} Check its weights, or bring it to float32 with "
            "network.model.float()."
        )


def network_dtype(network: Network) -> torch.dtype:
    """Return the precision that a network computes in: that of its first weights."""
    values = (value.dtype for value in network.model.parameters())
    return next((dtype for dtype in values if dtype.is_floating_point), torch.float32)


def _read(error: Exception) -> tuple[str, ...]:
    for pattern, words in _REASONS:
        if re.search(pattern, str(error)):
            return words
    return (_quote(error),)


def _quote(error: Exception) -> str:
    text = str(error).strip().split("\n", 1)[0].rstrip(". ")
    return text or type(error).__name__
