"""What the child process does with an ONNX file: look at it, or simplify, convert and compare it.

Limits stand before this is imported.
"""

import json
import re
from dataclasses import asdict
from io import BufferedIOBase
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from se_viz.errors import CheckpointError
from se_viz.names import show_name
from se_viz.networks.onnx.guesses import guess
from se_viz.networks.onnx.reading import find_input, parse_model, read_shape, refuse_operators

_TOLERANCE = 1e-3
"""Largest difference from onnxruntime, as a share of the largest answer."""
_BATCH = 2


def look(content: memoryview, out: BufferedIOBase, *, title: str) -> None:
    """Write what a file seems to take, as JSON."""
    out.write(json.dumps(asdict(guess(parse_model(bytes(content), title), title))).encode())


def prepare(
    content: memoryview,
    out: BufferedIOBase,
    *,
    title: str,
    shape: list[int],
    channels_last: bool,
) -> None:
    """Write a line of JSON, what was found, and the simplified graph behind it.

    ``shape`` is that of one input: (channels, height, width) for an image.
    """
    model = parse_model(bytes(content), title)
    given = find_input(model, title)
    own = [*shape[1:], shape[0]] if channels_last else shape
    _check_shape(read_shape(given), own, title)
    try:
        ready, cut = _rewrite(model, own, title)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(_say_failed(title, "simplified", error)) from error
    images = np.random.default_rng(0).standard_normal((_BATCH, *shape), dtype=np.float32)
    laid = np.moveaxis(images, 1, -1) if channels_last else images
    expected = _run(bytes(content), given.name, np.ascontiguousarray(laid), title)
    answer = _convert_and_run(ready, images, channels_last=channels_last, title=title)
    # Probabilities may all be next to nothing: their unit is 1.
    unit = 1.0 if cut else float(np.abs(expected).max()) or 1.0
    difference = _compare(_finish(answer, cut), expected, unit, title)
    found = {"cut": cut, "difference": difference, "answer": list(answer.shape[1:])}
    out.write(json.dumps(found).encode() + b"\n")
    out.write(ready.SerializeToString())


def _check_shape(declared: tuple[int | None, ...], own: list[int], title: str) -> None:
    if not declared:
        return
    names = "x".join(str(side or "?") for side in declared[1:])
    if len(declared) != len(own) + 1 or any(
        side not in (None, wanted) for side, wanted in zip(declared[1:], own, strict=True)
    ):
        raise CheckpointError(
            f"{title} takes inputs of {names}, and not of {'x'.join(map(str, own))}. Give the size "
            "that it takes, by `--input` or in the form."
        )


def _rewrite(model: ModelProto, own: list[int], title: str) -> tuple[ModelProto, str]:
    # Late: what only looks at a file has no use for them.
    from se_viz.networks.onnx.conversion import missing_operators
    from se_viz.networks.onnx.naming import name_nodes
    from se_viz.networks.onnx.rewriting import (
        cut_probabilities,
        drop_unused,
        free_batch,
        lower_opset,
        simplify,
    )

    model = simplify(model, (1, *own))
    cut = cut_probabilities(model)
    free_batch(model)
    if missing := missing_operators(model):
        refuse_operators(missing, title, "that cannot be converted")
    lower_opset(model)
    drop_unused(model)
    name_nodes(model)
    onnx.checker.check_model(model)
    return model, cut


def _run(content: bytes, name: str, images: np.ndarray, title: str) -> np.ndarray:
    """Return what onnxruntime answers, image by image: some files take no more than one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        answers: list[Any] = [session.run(None, {name: image[None]})[0] for image in images]
    except MemoryError:
        raise
    except Exception as error:
        # onnxruntime has a class of its own for each kind of problem.
        raise CheckpointError(_say_failed(title, "run by onnxruntime", error)) from error
    first = answers[0]
    if not isinstance(first, np.ndarray) or first.ndim < 1 or first.dtype.kind != "f":
        raise CheckpointError(
            f"{title} answers with {type(first).__name__}, and se_viz explains numbers. Export the "
            "network without what it does to its logits."
        )
    if not all(np.isfinite(answer).all() for answer in answers):
        raise CheckpointError(
            f"{title} answers noise with values that are not finite: its weights are damaged, or "
            "it takes another input. Check both, and export it anew."
        )
    return np.concatenate(answers)


def _convert_and_run(
    model: ModelProto, images: np.ndarray, *, channels_last: bool, title: str
) -> np.ndarray:
    import torch

    from se_viz.networks.onnx.conversion import convert_model

    try:
        module = convert_model(model, channels_last=channels_last)
    except Exception as error:
        # A converter of somebody else may raise anything; what it says is the best there is.
        raise CheckpointError(_say_failed(title, "converted to PyTorch", error)) from error
    inputs = torch.from_numpy(images)
    with torch.inference_mode():
        single: Any = module(inputs[:1])
        try:
            both: Any = module(inputs)
        except Exception as error:
            raise CheckpointError(_say_one_image(title)) from error
    if not isinstance(both, torch.Tensor) or len(both) != len(inputs):
        raise CheckpointError(_say_one_image(title))
    if not torch.allclose(single[0], both[0], rtol=_TOLERANCE, atol=_TOLERANCE):
        raise CheckpointError(_say_one_image(title))
    return both.float().numpy()


def _finish(answer: np.ndarray, cut: str) -> np.ndarray:
    if cut == "Softmax":
        powers = np.exp(answer - answer.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)
    return 1 / (1 + np.exp(-answer)) if cut == "Sigmoid" else answer


def _compare(answer: np.ndarray, expected: np.ndarray, unit: float, title: str) -> float:
    if answer.shape != expected.shape:
        raise CheckpointError(
            f"{title} was converted to a network that answers {answer.shape[1:]} values instead of "
            f"{expected.shape[1:]}. Give its PyTorch module by `--network file.py:callable`."
        )
    difference = float(np.abs(answer - expected).max()) / unit
    # What is not a number is no small difference.
    if not difference <= _TOLERANCE:
        raise CheckpointError(
            f"{title} was converted to a network whose answers differ from onnxruntime's by "
            f"{difference:.1%}. Give its PyTorch module by `--network file.py:callable`."
        )
    return difference


def _say_one_image(title: str) -> str:
    return (
        f"{title} was exported for one image at a time, and se_viz runs several. Export it with an "
        "open number of images, e.g. by `dynamic_shapes` of `torch.onnx.export`."
    )


def _say_failed(title: str, what: str, error: Exception) -> str:
    # onnxruntime begins with its own name, a number and a code.
    text = re.sub(r"^\[ONNXRuntimeError\]( : [^:]*){2} : ", "", " ".join(str(error).split()))
    words = show_name(text.rstrip("."))
    return (
        f"{title} could not be {what} ({type(error).__name__}: {words}). Export the network anew, "
        "or give its PyTorch module by `--network file.py:callable`."
    )
