"""Names and order by place in the graph, so that equal models have equal bytes."""

from collections import Counter

import onnx
from onnx import defs, helper

from mnist_estimator.export._graph import reads


def canonicalize(model):
    """Return the same model with nodes, tensors and opsets named and ordered by their place.

    Parameters
    ----------
    model : onnx.ModelProto
        Any valid model. It is left as it is.

    Returns
    -------
    canonical : onnx.ModelProto
        Equal for equal graphs, whatever their converters called things. Names of inputs and
        outputs are kept.
    """
    canonical = onnx.ModelProto()
    canonical.CopyFrom(model)
    graph = canonical.graph
    del graph.value_info[:]
    graph.doc_string = canonical.doc_string = ""
    nodes = _depth_first(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    opsets = {opset.domain: opset.version for opset in canonical.opset_import}
    _rename_nodes(nodes, names, opsets, Counter())
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    kept = [old for old in names if old in initializers]
    for old in kept:
        initializers[old].name = names[old]
    del graph.initializer[:], graph.node[:], canonical.opset_import[:]
    graph.initializer.extend(initializers[old] for old in kept)
    graph.node.extend(nodes)
    used = {"", *(node.domain for node in nodes)}
    canonical.opset_import.extend(
        helper.make_opsetid(domain, version)
        for domain, version in sorted(opsets.items())
        if domain in used
    )
    return canonical


def _depth_first(graph):
    """Return the nodes that the outputs need, every node after those it reads."""
    maker = {name: node for node in graph.node for name in node.output}
    order, seen = [], set()
    stack = [(value.name, False) for value in reversed(graph.output)]
    while stack:
        name, is_ready = stack.pop()
        node = maker.get(name)
        if node is None or id(node) in seen:
            continue
        if is_ready:
            seen.add(id(node))
            order.append(node)
        else:
            stack.append((name, True))
            stack.extend((read, False) for read in reversed(reads(node)))
    return order


def _rename_nodes(nodes, names, opsets, counter):
    """Rename nodes and tensors in place; `names` (old → new) grows in the order of first use."""

    def rename(old, new):
        if old and old not in names:
            names[old] = new
        return names.get(old, "")

    for node in nodes:
        counter[node.op_type] += 1
        node.name = f"{node.op_type}_{counter[node.op_type]}"
        node.doc_string = ""
        formal = []
        if defs.has(node.op_type, opsets[node.domain], node.domain):
            schema = defs.get_schema(node.op_type, opsets[node.domain], node.domain)
            formal = [parameter.name for parameter in schema.inputs]
        for i, old in enumerate(node.input):
            part = formal[i] if i < len(formal) else f"input{i}"
            node.input[i] = rename(old, f"{node.name}.{part}")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in attributes]
        del node.attribute[:]
        node.attribute.extend(copies)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                inner = attribute.g
                inner.name = f"{node.name}.{attribute.name}"
                del inner.value_info[:]
                for value in (*inner.input, *inner.output):
                    for dimension in value.type.tensor_type.shape.dim:
                        dimension.ClearField("dim_param")
                for value in (*inner.input, *inner.initializer):
                    value.name = rename(value.name, f"{inner.name}.{len(names)}")
                _rename_nodes(inner.node, names, opsets, counter)
                for value in inner.output:
                    value.name = rename(value.name, f"{inner.name}.{len(names)}")
        for i, old in enumerate(node.output):
            node.output[i] = rename(old, node.name if i == 0 else f"{node.name}:{i}")
