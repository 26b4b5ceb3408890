"""Adding nodes to skl2onnx's container, one by one or a whole network at a time."""

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType


class Emitter:
    """Adds nodes under unique names to skl2onnx's container."""

    def __init__(self, scope, container):
        self.scope = scope
        self.container = container

    def __call__(self, op_type, *inputs, output=None, **attributes):
        """Add one node and return its output's name."""
        output = output or self.scope.get_unique_variable_name(op_type.lower())
        name = self.scope.get_unique_operator_name(op_type)
        self.container.add_node(op_type, list(inputs), [output], name=name, **attributes)
        return output

    def constant(self, value):
        """Add an initializer and return its name."""
        tensor = numpy_helper.from_array(
            np.asarray(value), self.scope.get_unique_variable_name("constant")
        )
        self.container.initializers.append(tensor)
        return tensor.name

    @staticmethod
    def number(operator, value):
        """Return `value` in the dtype of the operator's probabilities."""
        is_double = isinstance(operator.outputs[-1].type, DoubleTensorType)
        return np.asarray(value, dtype=np.float64 if is_double else np.float32)

    def like(self, variable, name):
        """Give the tensor `name` out as `variable`, in the type declared for it."""
        declared = variable.type._get_element_onnx_type()
        self("Cast", name, output=variable.full_name, to=declared)

    def scores_and_label(self, scores, operator, classes):
        """Give `scores` out as probabilities and the class of the largest one as label."""
        label, probabilities = operator.outputs[:2]
        self.like(probabilities, scores)
        best = self("ArgMax", scores, axis=1, keepdims=0)
        if classes.dtype.kind in "biuf":
            if np.array_equal(classes, np.arange(len(classes))) and classes.dtype.kind != "b":
                self("Identity", best, output=label.full_name)
                return
            table = classes.astype(np.int64)
        else:
            table = classes.astype(object)
        self("Gather", self.constant(table), best, output=label.full_name, axis=0)

    def network(self, network, variable):
        """Copy a whole graph in, fed by `variable`, and return its output's name."""
        graph = network.graph
        (keras_input,) = graph.input
        wanted = keras_input.type.tensor_type.elem_type
        given = variable.full_name
        if variable.type.to_onnx_type().tensor_type.elem_type != wanted:
            given = self("Cast", given, to=wanted)
        renamed = {keras_input.name: given, "": ""}
        for tensor in graph.initializer:
            copied = TensorProto()
            copied.CopyFrom(tensor)
            copied.name = self._rename(tensor.name, renamed)
            self.container.initializers.append(copied)
        for node in graph.node:
            self.container.nodes.append(self._renamed_node(node, renamed))
        for opset in network.opset_import:
            if opset.domain == "":
                self.container.node_domain_version_pair_sets.add(("", opset.version))
        return renamed[graph.output[0].name]

    def _rename(self, name, renamed):
        if name not in renamed:
            renamed[name] = self.scope.get_unique_variable_name("network")
        return renamed[name]

    def _renamed_node(self, node, renamed):
        """Return a copy of a node, its subgraphs included, under names unique in the container."""
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.name = self.scope.get_unique_operator_name(node.op_type)
        copied.input[:] = [self._rename(name, renamed) for name in node.input]
        copied.output[:] = [self._rename(name, renamed) for name in node.output]
        for attribute in copied.attribute:
            if attribute.type == helper.AttributeProto.GRAPH:
                self._rename_subgraph(attribute.g, renamed)
        return copied

    def _rename_subgraph(self, graph, renamed):
        for tensor in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
            tensor.name = self._rename(tensor.name, renamed)
        nodes = [self._renamed_node(node, renamed) for node in graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
