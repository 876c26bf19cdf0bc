"""A checked graph as the converter takes it: constants as weights, one opset, any number of images.

The answers stay as they were; `checking` compares them.
"""

import onnx
import onnx_ir as ir
from onnx import ModelProto, helper, numpy_helper
from onnxscript import optimizer

_OPSET = 17
"""What the converter knows of every operator."""
_REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd")
"""Operators that took axes as an attribute (`ReduceSum` has taken an input all along)."""
_NEW_OPTIONS = {"noop_with_empty_axes", "num_outputs", "antialias", "saturate"}
_PASSED_ON = ("Identity", "Cast")


def simplify(model: ModelProto, shape: tuple[int, ...]) -> ModelProto:
    """Return the graph for one input of ``shape`` with all folded that no input changes.

    Shapes that were written down are forgotten and inferred anew: some files lie about them.
    """
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    weights = {tensor.name for tensor in model.graph.initializer}
    given = next(value for value in model.graph.input if value.name not in weights)
    for side in shape:
        given.type.tensor_type.shape.dim.add().dim_value = side
    graph = ir.serde.deserialize_model(model)
    optimizer.optimize(graph)
    return onnx.shape_inference.infer_shapes(ir.serde.serialize_model(graph), data_prop=True)


def free_batch(model: ModelProto) -> None:
    """Let a graph that was made for one image take several: a reshape to one image copies the
    number of its input instead.
    """
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input)
    }
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Reshape" or len(node.input) < 2 or node.input[1] not in weights:
            continue
        target = numpy_helper.to_array(weights[node.input[1]]).tolist()
        if 0 in target:
            continue
        before = shapes.get(node.input[0], [])
        if target and target[0] == 1 and before[:1] == [1]:
            target[0] = 0
        _set_input(model, node, 1, target)
        # Zeros mean "as the input" from here on.
        for attribute in [item for item in node.attribute if item.name == "allowzero"]:
            node.attribute.remove(attribute)


def lower_opset(model: ModelProto) -> None:
    """Write a graph in the newest opset that the converter knows.

    Since then operators have taken more kinds of numbers, lists of axes as inputs and options that
    are off by default; whatever else is new fails the check that follows.
    """
    entry = next(item for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if entry.version <= _OPSET:
        return
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    for node in model.graph.node:
        options = {item.name: item for item in node.attribute}
        if "num_outputs" in options:
            axis = options["axis"].i if "axis" in options else 0
            _set_input(model, node, 1, [shapes[name][axis] for name in node.output])
        if node.op_type in _REDUCTIONS and len(node.input) > 1 and node.input[1] in weights:
            axes = numpy_helper.to_array(weights[node.input[1]]).tolist()
            del node.input[1:]
            node.attribute.append(helper.make_attribute("axes", axes))
        for name in _NEW_OPTIONS & options.keys():
            node.attribute.remove(options[name])
    entry.version = _OPSET


def cut_probabilities(model: ModelProto) -> str:
    """Let a graph that ends in a softmax or sigmoid answer with what goes in there, the logits.

    Return the operator that was cut, or nothing.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    answer = model.graph.output[0]
    node = makers.get(answer.name)
    while node is not None and node.op_type in _PASSED_ON:
        node = makers.get(node.input[0])
    if node is None or node.op_type not in ("Softmax", "Sigmoid"):
        return ""
    users = sum(name == node.output[0] for other in model.graph.node for name in other.input)
    if users > 1:
        return ""
    answer.name = node.input[0]
    return node.op_type


def drop_unused(model: ModelProto) -> None:
    """Leave out nodes and weights that the first output does not need."""
    del model.graph.output[1:]
    makers = {name: node for node in model.graph.node for name in node.output}
    needed: set[str] = set()
    waiting = [model.graph.output[0].name]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(makers[name].input if name in makers else ())
    nodes = [node for node in model.graph.node if needed.intersection(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)


def _set_input(model: ModelProto, node: onnx.NodeProto, place: int, values: list[int]) -> None:
    # A weight of its own: others may share the old one.
    name = f"{node.output[0]}_input_{place}"
    tensor = helper.make_tensor(name, onnx.TensorProto.INT64, [len(values)], values)
    model.graph.initializer.append(tensor)
    if len(node.input) > place:
        node.input[place] = name
    else:
        node.input.append(name)
