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
    graph.doc_string = canonical.doc_string = ""
    spelling = _Spelling({opset.domain: opset.version for opset in canonical.opset_import})
    for value in (*graph.input, *graph.output):
        spelling.names[value.name] = value.name
    spelling.spell_graph(graph)
    del canonical.opset_import[:]
    canonical.opset_import.extend(
        helper.make_opsetid(domain, version)
        for domain, version in sorted(spelling.opsets.items())
        if domain in spelling.domains
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


class _Spelling:
    """Names given so far: `names` (old → new) grows in the order of first use."""

    def __init__(self, opsets):
        self.opsets = opsets
        self.domains = {""}
        self.names = {}
        self.counter = Counter()

    def rename(self, old, new):
        """Return the new name of a tensor, `new` where it has none yet."""
        return self.names.setdefault(old, new) if old else ""

    def spell_graph(self, graph):
        """Order and rename a graph in place, and drop what its outputs do not need."""
        nodes = _depth_first(graph)
        for node in nodes:
            self.spell_node(node)
        for i, value in enumerate(graph.output):
            value.name = self.rename(value.name, f"{graph.name}.output{i}")
        initializers = {tensor.name: tensor for tensor in graph.initializer}
        kept = [initializers[old] for old in self.names if old in initializers]
        for tensor in kept:
            tensor.name = self.names[tensor.name]
        del graph.value_info[:], graph.initializer[:], graph.node[:]
        graph.initializer.extend(kept)
        graph.node.extend(nodes)

    def spell_node(self, node):
        """Rename a node and its tensors in place; attributes in the order of their names."""
        domain = node.domain
        self.domains.add(domain)
        self.counter[node.op_type] += 1
        node.name = f"{node.op_type}_{self.counter[node.op_type]}"
        formal = []
        if defs.has(node.op_type, self.opsets[domain], domain):
            schema = defs.get_schema(node.op_type, self.opsets[domain], domain)
            formal = [parameter.name for parameter in schema.inputs]
        for i, old in enumerate(node.input):
            part = formal[i] if i < len(formal) else f"input{i}"
            node.input[i] = self.rename(old, f"{node.name}.{part}")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        for attribute in attributes:
            if attribute.type == onnx.AttributeProto.GRAPH:
                self.spell_subgraph(attribute.g, f"{node.name}.{attribute.name}")
        for i, old in enumerate(node.output):
            node.output[i] = self.rename(old, node.name if i == 0 else f"{node.name}:{i}")
        # Built anew: a field that was once set to its default is written, one never set is not.
        fresh = onnx.NodeProto(op_type=node.op_type, name=node.name)
        fresh.input.extend(node.input)
        fresh.output.extend(node.output)
        fresh.attribute.extend(attributes)
        if domain:
            fresh.domain = domain
        node.CopyFrom(fresh)

    def spell_subgraph(self, graph, name):
        """Rename the graph that a node runs, a branch or the body of a loop, in place."""
        graph.name, graph.doc_string = name, ""
        for value in (*graph.input, *graph.output):
            for dimension in value.type.tensor_type.shape.dim:
                dimension.ClearField("dim_param")  # converters number unknown dimensions
        for i, value in enumerate(graph.input):
            value.name = self.rename(value.name, f"{name}.input{i}")
        self.spell_graph(graph)
