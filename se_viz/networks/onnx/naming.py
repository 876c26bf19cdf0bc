"""Names of a graph's nodes as paths of modules, as the network's author would write them."""

import ast
import re
from collections import Counter

from onnx import ModelProto, NodeProto

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where PyTorch's exporter writes the modules around a node."""


def name_nodes(model: ModelProto) -> None:
    """Give every node a dotted path that no other has: ``layer1.0.se.Mul``."""
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        path = _path_of(node)
        seen[path] += 1
        node.name = f"{path}_{seen[path]}" if seen[path] > 1 else path


def _path_of(node: NodeProto) -> str:
    scopes = {item.key: item.value for item in node.metadata_props}.get(_SCOPES, "")
    parts = _read_scopes(scopes) if scopes else _read_name(node.name)
    holder = [re.sub(r"\W+", "_", part) for part in parts if part]
    return ".".join([*(part for part in holder if part), node.op_type])


def _read_scopes(text: str) -> list[str]:
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    # The last is the operator, the one before it the path of its module.
    return str(scopes[-2]).split(".") if isinstance(scopes, list) and len(scopes) > 1 else []


def _read_name(name: str) -> list[str]:
    """Read ``/layer1/layer1.0/se/Mul``, where each part repeats those before it that are lists."""
    parts: list[str] = []
    before = ""
    for part in name.split("/")[:-1]:
        inner = part.removeprefix(f"{before}.") if before else part
        parts.extend(inner.split("."))
        before = part
    return parts
