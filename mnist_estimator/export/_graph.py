"""A graph that can be changed: constants as arrays, and who makes and who reads each tensor."""

from collections import defaultdict

import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

# Large constants go into type inference as shapes alone.
_MAX_INFERRED_ELEMENTS = 256


class Graph:
    """A graph with constants as arrays, and who makes and who reads each tensor."""

    def __init__(self, model):
        graph = model.graph
        self.nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node]
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        # Everything but nodes and constants.
        self.frame = onnx.ModelProto()
        self.frame.CopyFrom(model)
        frame = self.frame.graph
        del frame.node[:], frame.initializer[:], frame.value_info[:]
        self.inputs = {value.name for value in graph.input}
        self.outputs = [value.name for value in graph.output]
        self.opsets = {opset.domain: opset.version for opset in model.opset_import}
        self.n_made = 0
        self.relink()
        self.infer_types()

    def relink(self):
        """Drop what no output needs; note again who makes and who reads each tensor."""
        needed, alive = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(reads(node))
                alive.append(node)
        self.nodes = alive[::-1]
        self.constants = {name: c for name, c in self.constants.items() if name in needed}
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.readers = defaultdict(list)
        for node in self.nodes:
            for name in reads(node):
                self.readers[name].append(node)

    def infer_types(self):
        """Work out the type and shape of every tensor."""
        # Large constants go in as inputs: inference wants their shape, never their megabytes.
        large = {name for name, c in self.constants.items() if c.size > _MAX_INFERRED_ELEMENTS}
        model = self.to_model(without=large)
        model.graph.input.extend(
            helper.make_tensor_value_info(name, self.element_type(name), self.constants[name].shape)
            for name in large
        )
        for node in model.graph.node:
            # ONNX infers no type for these; they keep the shape.
            if node.op_type in ("Imputer", "Scaler", "Normalizer"):
                stand_in = helper.make_node("Cast", node.input, node.output, to=TensorProto.FLOAT)
                node.CopyFrom(stand_in)
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph
        self.types = {
            value.name: value.type.tensor_type
            for value in (*inferred.input, *inferred.value_info, *inferred.output)
        }

    def to_model(self, without=()):
        """Return the model as it stands, some constants left out."""
        model = onnx.ModelProto()
        model.CopyFrom(self.frame)
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name)
            for name, array in self.constants.items()
            if name not in without
        )
        return model

    def element_type(self, name):
        """Return the ONNX element type of a tensor, 0 where unknown."""
        if name in self.constants:
            return helper.np_dtype_to_tensor_dtype(self.constants[name].dtype)
        return self.types[name].elem_type if name in self.types else TensorProto.UNDEFINED

    def shape(self, name):
        """Return a tensor's shape as a list of int, str or None; None where the rank is unknown."""
        if name in self.constants:
            return list(self.constants[name].shape)
        tensor = self.types.get(name)
        if tensor is None or not tensor.HasField("shape"):
            return None
        return [
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
            for dim in tensor.shape.dim
        ]

    def new_name(self):
        """Return a name that no tensor has yet."""
        while True:
            self.n_made += 1
            name = f"mnist_estimator_{self.n_made}"
            if not any(name in names for names in (self.maker, self.constants, self.inputs)):
                return name

    def add_constant(self, array):
        """Add a constant under a new name and return the name."""
        name = self.new_name()
        self.constants[name] = array
        return name

    def insert_before(self, node, added):
        """Put a new node before a node."""
        place = next(i for i, kept in enumerate(self.nodes) if kept is node)
        self.nodes.insert(place, added)

    def bypass(self, node, source):
        """Let everyone who reads the node's output read `source` instead; tell if that worked."""
        (name,) = node.output
        if name in self.outputs:
            # An output keeps its name: the node that makes `source` must take it over.
            maker = self.maker.get(source)
            if maker is None or source in self.outputs:
                return False
            self.remove(node)
            rename_tensor([maker, *self.readers[source]], source, name)
        else:
            self.remove(node)
            rename_tensor(self.readers[name], name, source)
        return True

    def remove(self, node):
        """Remove this very node."""
        self.nodes = [kept for kept in self.nodes if kept is not node]

    def replace(self, node, replacement):
        """Put another node in a node's place."""
        self.nodes = [replacement if kept is node else kept for kept in self.nodes]

    def sole_reader(self, name):
        """Return the only node that reads a tensor, or None."""
        readers = self.readers[name]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None


def reads(node):
    """Return the names that a node reads, those captured by its subgraphs included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            inner = attribute.g
            made = {value.name for value in (*inner.input, *inner.initializer)}
            made.update(name for child in inner.node for name in child.output)
            wanted = [name for child in inner.node for name in reads(child)]
            wanted += [value.name for value in inner.output]
            names += [name for name in wanted if name not in made]
    return names


def rename_tensor(nodes, old, new):
    """Rename a tensor in nodes and their subgraphs, in place.

    Parameters
    ----------
    nodes : iterable of onnx.NodeProto
        The nodes that make or read it.
    old, new : str
        The names.
    """
    for node in nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                rename_tensor(attribute.g.node, old, new)
                for value in attribute.g.output:
                    value.name = new if value.name == old else value.name
