"""A simplified graph as a module of PyTorch, one module a node."""

from onnx import ModelProto
from onnx2torch import convert
from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY
from torch import fx, nn


def missing_operators(model: ModelProto) -> set[str]:
    """Return the operators of a graph that cannot be converted."""
    known = {(entry.domain, entry.operation_type) for entry in _CONVERTER_REGISTRY}
    return {node.op_type for node in model.graph.node if (node.domain, node.op_type) not in known}


def convert_model(model: ModelProto, *, channels_last: bool) -> nn.Module:
    """Return a graph as a module of (batch, channels, *sides) inputs, frozen, in evaluation mode;
    ``channels_last`` says that the graph itself takes (batch, *sides, channels).
    """
    paths = {node.name.replace(".", "/"): node.name for node in model.graph.node}
    module = convert(model)
    for node in module.graph.nodes:
        path = paths.get(str(node.target)) if node.op == "call_module" else None
        if path and path != node.target:
            module.add_submodule(path, module.get_submodule(str(node.target)))
            module.delete_submodule(str(node.target))
            node.target = path
    if channels_last:
        _turn_input(module, len(model.graph.input[0].type.tensor_type.shape.dim))
    module.graph.lint()
    module.recompile()
    # Every such module has a class of its own, whose name messages use.
    type(module).__name__ = "OnnxNetwork"
    return module.eval().requires_grad_(False)


def _turn_input(module: fx.GraphModule, dimensions: int) -> None:
    given = next(node for node in module.graph.nodes if node.op == "placeholder")
    with module.graph.inserting_after(given):
        turned = module.graph.call_method("permute", (given, 0, *range(2, dimensions), 1))
    given.replace_all_uses_with(turned, delete_user_cb=lambda user: user is not turned)
