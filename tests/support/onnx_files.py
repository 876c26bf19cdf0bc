"""Small ONNX files, built node by node: one that is right, and those of somebody who means harm."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

CHANNELS = 8
CLASSES = 4


def make_weights() -> dict[str, np.ndarray]:
    """Return the weights of `make_file`, seeded."""
    numbers = np.random.default_rng(0)
    shapes = {
        "stem": (CHANNELS, 3, 3, 3),
        "reduce": (2, CHANNELS, 1, 1),
        "expand": (CHANNELS, 2, 1, 1),
        "head": (CHANNELS, CLASSES),
    }
    return {
        name: numbers.standard_normal(shape).astype(np.float32) * 0.3
        for name, shape in shapes.items()
    }


def make_file(*, last: str = "", size: int | str = 16, channels_last: bool = False) -> ModelProto:
    """Return a convolution, an SE block and a classifier; ``last`` is what follows the logits.

    With ``channels_last`` it takes (n, size, size, channels) and says nothing of the channels.
    """
    sides: list[int | str] = [size, size]
    given = ("pixels", [*sides, "channels"]) if channels_last else ("image", [3, *sides])
    turn = [node("Transpose", "pixels", "image", perm=[0, 3, 1, 2])] if channels_last else []
    nodes = [
        *turn,
        node("Conv", "image stem", "map", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "map", "squeeze"),
        node("Conv", "squeeze reduce", "hidden"),
        node("Relu", "hidden", "active"),
        node("Conv", "active expand", "logit"),
        node("Sigmoid", "logit", "gate"),
        node("Mul", "map gate", "scaled"),
        node("GlobalAveragePool", "scaled", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("Gemm", "flat head", "answer"),
    ]
    if last:
        nodes.append(node(last, "answer", "probabilities"))
    weights = [numpy_helper.from_array(value, name) for name, value in make_weights().items()]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, ["n", *given[1]])],
        [
            helper.make_tensor_value_info(
                "probabilities" if last else "answer", TensorProto.FLOAT, ["n", CLASSES]
            )
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(kind: str, inputs: str, output: str, **options: Any) -> NodeProto:
    """Return a node of the inputs that a text names."""
    return helper.make_node(kind, inputs.split(" "), [output], **options)


def answer(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gates and logits of `make_file` for one (3, height, width) image, by loops and plain
    products in double precision.
    """
    weights = {name: value.astype(np.float64) for name, value in make_weights().items()}
    _, height, width = image.shape
    padded = np.pad(image.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    maps = np.zeros((CHANNELS, height, width))
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + height, column : column + width]
            maps += np.einsum("oc,chw->ohw", weights["stem"][:, :, row, column], part)
    hidden = np.maximum(weights["reduce"][:, :, 0, 0] @ maps.mean((1, 2)), 0)
    gate = 1 / (1 + np.exp(-weights["expand"][:, :, 0, 0] @ hidden))
    return gate, (gate * maps.mean((1, 2))) @ weights["head"]


def _add(model: ModelProto, name: str, values: object, kind: type = np.int64) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))


def _deep(model: ModelProto) -> None:
    result = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    leaf = helper.make_graph([node("Identity", "image", "o")], "leaf", [], [result])
    inner = leaf
    for level in range(25):
        branch = helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=leaf)
        inner = helper.make_graph([branch], f"level{level}", [], [result])
    model.graph.node.insert(
        0, helper.make_node("If", ["yes"], ["o"], then_branch=inner, else_branch=leaf)
    )
    model.graph.node[1].input[0] = "o"
    # Which way it goes depends on the image.
    mean = node("ReduceMean", "image", "mean", keepdims=0)
    model.graph.node.insert(0, node("Greater", "mean zero", "yes"))
    model.graph.node.insert(0, mean)
    _add(model, "zero", 0, np.float32)


def _endless(model: ModelProto) -> None:
    body = helper.make_graph(
        [node("Identity", "go", "still"), node("Identity", "x", "y")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["count", "yes", "image"], ["looped"], body=body)
    model.graph.node.insert(0, loop)
    model.graph.node[1].input[0] = "looped"
    _add(model, "count", 2**62)
    _add(model, "yes", True, bool)


def _external(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def _recursive(model: ModelProto) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    inner = helper.make_node("Again", ["a"], ["b"], domain="mine")
    model.functions.append(helper.make_function("mine", "Again", ["a"], ["b"], [inner], opsets))
    model.opset_import.append(opsets[1])
    model.graph.node[3].domain, model.graph.node[3].op_type = "mine", "Again"


def _tile(model: ModelProto) -> None:
    model.graph.node.insert(1, node("Tile", "map times", "wide"))
    model.graph.node[2].input[0] = model.graph.node[7].input[0] = "wide"
    _add(model, "times", [1, 1, 10**4, 10**4])


def _resize(model: ModelProto) -> None:
    model.graph.node.insert(1, helper.make_node("Resize", ["map", "", "scales"], ["wide"]))
    model.graph.node[2].input[0] = model.graph.node[7].input[0] = "wide"
    _add(model, "scales", [1, 1, 5e3, 5e3], np.float32)


def _constant(model: ModelProto) -> None:
    model.graph.node.insert(0, node("ConstantOfShape", "sides", "zeros"))
    model.graph.node.extend([node("ReduceSum", "zeros", "sum"), node("Add", "answer sum", "more")])
    model.graph.output[0].name = "more"
    _add(model, "sides", [10**5, 10**6])


def _long(model: ModelProto) -> None:
    names = ["answer", *(f"same{index}" for index in range(20_000))]
    model.graph.node.extend(node("Identity", before, after) for before, after in pairwise(names))
    model.graph.output[0].name = names[-1]


def _set(path: str, value: object) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        *holders, name = path.split(".")
        item: object = model
        for holder in holders:
            item = item[int(holder)] if holder.isdecimal() else getattr(item, holder)  # pyright: ignore
        setattr(item, name, value)

    return change


def _shape(side: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.initializer[0].dims[0] = side

    return change


def _kind(kind: int) -> Callable[[ModelProto], None]:
    return _set("graph.input.0.type.tensor_type.elem_type", kind)


def _read_from(place: int, name: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.node[place].input[0] = name

    return change


def _second_input(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def _no_graph(model: ModelProto) -> None:
    model.graph.CopyFrom(GraphProto())


def _no_input(model: ModelProto) -> None:
    del model.graph.input[:]


def _no_data(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")


def _no_numbers(model: ModelProto) -> None:
    wrong = np.full((CHANNELS, CLASSES), np.nan, np.float32)
    model.graph.initializer[3].CopyFrom(numpy_helper.from_array(wrong, "head"))


def _custom(model: ModelProto) -> None:
    model.graph.node[3].domain, model.graph.node[3].op_type = "com.example", "Run"


def _cut_weight(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.raw_data = weight.raw_data[:-8]


HOSTILE: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "a weight cut short": (
        _cut_weight,
        r"the weight stem has 856 bytes instead of 864",
    ),
    "a lying shape": (_shape(2**40), r"its tensors claim \d+ MB"),
    "a negative side": (_shape(-8), r"a tensor stem with a negative side"),
    "a weight without values": (_no_data, r"is no valid ONNX graph"),
    "a cycle": (_read_from(5, "answer"), r"is no valid ONNX graph: Nodes in a graph must be"),
    "an input from nowhere": (_read_from(0, "nowhere"), r"is no valid ONNX graph"),
    "a weight in another file": (_external, r"keeps the weight stem in another file"),
    "an operator of their own": (_custom, r"uses operators of no standard: com\.example\.Run"),
    "an operator that is none": (_set("graph.node.3.op_type", "NoSuch"), r"No Op registered"),
    "a function that calls itself": (_recursive, r"takes a library to its end"),
    "a map of terabytes": (_tile, r"takes more than|could not be"),
    "an enlargement": (_resize, r"takes more than|could not be"),
    "a constant of terabytes": (_constant, r"takes more than|could not be"),
    "an endless loop": (_endless, r"operators that cannot be converted: Loop"),
    "branches in branches": (_deep, r"operators that cannot be converted: If"),
    "twenty thousand nodes": (_long, r"has 20,010 nodes, more than the 10,000"),
    "two inputs": (_second_input, r"has 2 inputs \(image, mask\)"),
    "no input": (_no_input, r"is no valid ONNX graph"),
    "no nodes": (_no_graph, r"holds no network"),
    "half precision": (_kind(TensorProto.FLOAT16), r"numbers of the kind float16"),
    "whole numbers": (_kind(TensorProto.UINT8), r"numbers of the kind uint8"),
    "a kind that is none": (_kind(999), r"kind 999|is no valid"),
    "an opset of the future": (_set("opset_import.0.version", 99), r"could not be|is no valid"),
    "an opset of the past": (_set("opset_import.0.version", 1), r"is no valid ONNX graph"),
    "a format of the future": (_set("ir_version", 99), r"ir_version 99 is higher"),
    "answers that are no numbers": (_no_numbers, r"values that are not finite"),
    "a map as its answer": (_set("graph.output.0.name", "map"), r"needs a classifier|has no sq"),
}
"""What is done to a file, and what is said of it."""
