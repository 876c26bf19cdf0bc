"""An ONNX file of a stranger: what is in it, and what se_viz cannot take, in a sentence.

Runs in a child process with limits: the libraries that parse and check graphs are written in C++.
"""

from collections.abc import Iterable, Iterator
from math import prod

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, inliner

from se_viz.errors import CheckpointError
from se_viz.names import show_name

_ADVICE = "Export the network anew, as one file for inference."
_MOST_NODES = 10_000
_SLACK = 2**24
_LOOPS = {"Loop", "Scan", "SequenceMap"}
_DOMAINS = ("", "ai.onnx")


def parse_model(content: bytes, title: str) -> ModelProto:
    """Return the graph of a file, its functions written out; nothing of it has run.

    Raises:
        CheckpointError: it is no ONNX file, or needs what is outside of it or of the standard.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise CheckpointError(f"{title} is no readable ONNX file. {_ADVICE}") from error
    if not model.HasField("graph") or not model.graph.node:
        raise CheckpointError(f"{title} holds no network: its graph has no nodes. {_ADVICE}")
    if (count := len(model.graph.node)) > _MOST_NODES:
        raise CheckpointError(
            f"{title} has {count:,} nodes, more than the {_MOST_NODES:,} that se_viz reads. Export "
            "a smaller network."
        )
    _check_tensors(model, len(content), title)
    if model.functions:
        model = inliner.inline_local_functions(model)
    _check_operators(model.graph, title)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        words = show_name(str(error).strip().split("\n")[0].rstrip(".: "))
        raise CheckpointError(f"{title} is no valid ONNX graph: {words}. {_ADVICE}") from error
    return model


def find_input(model: ModelProto, title: str) -> onnx.ValueInfoProto:
    """Return the one input that is not a weight.

    Raises:
        CheckpointError: there is none, or more than one.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(show_name(value.name) for value in inputs[:4]) or "none"
        raise CheckpointError(
            f"{title} has {len(inputs)} inputs ({names}), and se_viz gives a network one: its "
            "image. Export the network with one input."
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        known = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else kind
        raise CheckpointError(
            f"{title} takes numbers of the kind {str(known).lower()}, and se_viz gives a network "
            "float32. Export the network in single precision."
        )
    return inputs[0]


def read_shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """Return the sides of a tensor, None for those that are left open."""
    return tuple(
        side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None
        for side in value.type.tensor_type.shape.dim
    )


def _check_tensors(model: ModelProto, size: int, title: str) -> None:
    """Refuse tensors that lie elsewhere, or claim more values than the file holds."""
    claimed = 0
    for tensor in _tensors(model):
        name = show_name(tensor.name)
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise CheckpointError(
                f"{title} keeps the weight {name} in another file. Save it as one file, e.g. by "
                "`onnx.save(onnx.load(path), one_file)`."
            )
        if any(side < 0 for side in tensor.dims):
            raise CheckpointError(f"{title} has a tensor {name} with a negative side. {_ADVICE}")
        claimed += prod(tensor.dims) * _bytes_of(tensor)
        if claimed > 2 * size + _SLACK:
            raise CheckpointError(
                f"{title} has {size / 1e6:.1f} MB, and its tensors claim {claimed / 1e6:.0f} MB. "
                f"{_ADVICE}"
            )
        if tensor.HasField("raw_data") and len(tensor.raw_data) != _raw_bytes(tensor):
            raise CheckpointError(
                f"{title} is damaged: the weight {name} has {len(tensor.raw_data)} bytes instead "
                f"of {_raw_bytes(tensor)}. {_ADVICE}"
            )


def _bytes_of(tensor: TensorProto) -> int:
    try:
        return max(1, helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except KeyError:
        return 1


def _raw_bytes(tensor: TensorProto) -> int:
    values = prod(tensor.dims)
    halves = (TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1)
    return (values + 1) // 2 if tensor.data_type in halves else values * _bytes_of(tensor)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    for graph in _graphs(model.graph):
        yield from graph.initializer
        yield from (part for sparse in graph.sparse_initializer for part in (sparse.values,))
        yield from _attributes(graph.node)
    for function in model.functions:
        yield from _attributes(function.node)


def _attributes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _check_operators(graph: GraphProto, title: str) -> None:
    custom = {f"{node.domain}.{node.op_type}" for node in graph.node if node.domain not in _DOMAINS}
    if custom:
        refuse_operators(custom, title, "of no standard")
    if loops := {node.op_type for part in _graphs(graph) for node in part.node} & _LOOPS:
        refuse_operators(loops, title, "that cannot be converted")


def refuse_operators(names: Iterable[str], title: str, kind: str) -> None:
    """Name operators that cannot be converted.

    Raises:
        CheckpointError: always.
    """
    names = sorted(map(show_name, names))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    raise CheckpointError(
        f"{title} uses operators {kind}: {', '.join(names[:4])}{more}. Export the network without "
        "them, or give its PyTorch module by `--network file.py:callable`."
    )
