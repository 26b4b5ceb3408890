"""8-bit integer weights and matrix products, by onnxruntime's static quantizer.

The scales of the activations come from rows of the training data. Of the quantizer's methods
the plain range (MinMax) with a scale for each output unit kept most labels on validation images;
7-bit weights cost nothing there, and keep sums of two products within 16 bits, which processors
without VNNI saturate at.
"""

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from mnist_estimator.exceptions import ExportError
from mnist_estimator.export._agreement import feeds_of, spread
from mnist_estimator.export._canonical import canonicalize
from mnist_estimator.export._graph import Graph, rename_tensor

_INTEGER_PRODUCTS = ("Conv", "Gemm", "MatMul")
_MAX_CALIBRATION_ROWS = 1000
_CALIBRATION_BATCH = 100


def quantize_int8(model, calibration_data):
    """Return the model with 8-bit weights, as a QDQ graph of ONNX's own operators.

    Every matrix product stands between DequantizeLinear and QuantizeLinear nodes, which
    onnxruntime fuses into one integer product when it loads the file. Pixels that are bytes go
    into the first product as they are.

    Parameters
    ----------
    model : onnx.ModelProto
        A float model, simplified. It is left as it is.
    calibration_data : array-like or DataFrame
        Rows of the training data; at most 1,000 are taken, evenly spread.

    Returns
    -------
    quantized : onnx.ModelProto
        The same inputs and outputs.

    Raises
    ------
    ExportError
        If the model has no matrix product or convolution.
    """
    if not any(node.op_type in _INTEGER_PRODUCTS for node in model.graph.node):
        raise ExportError(
            "quantize='int8' found no matrix product or convolution to quantize. Leave it out."
        )
    model = canonicalize(model)  # the quantizer goes by the nodes' names
    bytes_as_floats = _casts_of_bytes(Graph(model))
    overrides = {
        name: [{"scale": np.array(1, np.float32), "zero_point": np.array(0, np.uint8)}]
        for name in bytes_as_floats
    }
    with _root_logger_untouched(), tempfile.TemporaryDirectory() as folder:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        given, path = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, given)
        quantize_static(
            given,
            path,
            _rows_reader(model, calibration_data),
            quant_format=QuantFormat.QDQ,
            # onnxruntime 1.20 wants to know the range of a Softmax, quantized or not.
            op_types_to_quantize=[*_INTEGER_PRODUCTS, "Softmax"],
            nodes_to_exclude=[node.name for node in model.graph.node if node.op_type == "Softmax"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"TensorQuantOverrides": overrides},
        )
        graph = Graph(onnx.load(path))
    _drop_idle_pairs(graph)
    _feed_bytes(graph, bytes_as_floats)
    graph.relink()
    return graph.to_model()


def _rows_reader(model, calibration_data):
    from onnxruntime.quantization import CalibrationDataReader

    class RowsReader(CalibrationDataReader):
        """Hands the quantizer a batch of rows at a time."""

        def __init__(self):
            feeds = feeds_of(model, spread(calibration_data, _MAX_CALIBRATION_ROWS))
            n_rows = len(next(iter(feeds.values())))
            self.batches = iter(
                {name: rows[start : start + _CALIBRATION_BATCH] for name, rows in feeds.items()}
                for start in range(0, n_rows, _CALIBRATION_BATCH)
            )

        def get_next(self):
            return next(self.batches, None)

    return RowsReader()


def _casts_of_bytes(graph):
    """Return the float tensors that are bytes, cast for nothing but a product."""
    return [
        node.output[0]
        for node in graph.nodes
        if node.op_type == "Cast"
        and graph.element_type(node.input[0]) == TensorProto.UINT8
        and all(reader.op_type in _INTEGER_PRODUCTS for reader in graph.readers[node.output[0]])
    ]


def _drop_idle_pairs(graph):
    """Drop the rounding to 8 bits wherever no integer product reads the result."""
    for node in list(graph.nodes):
        rounding = graph.maker.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if rounding is None or rounding.op_type != "QuantizeLinear":
            continue
        readers = graph.readers[node.output[0]]
        if not any(reader.op_type in _INTEGER_PRODUCTS for reader in readers):
            rename_tensor(readers, node.output[0], rounding.input[0])
            graph.relink()


def _feed_bytes(graph, bytes_as_floats):
    """Give the bytes to the product directly, instead of through float and back."""
    for node in graph.nodes:
        rounding = graph.maker.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if rounding is not None and rounding.input[0] in bytes_as_floats:
            node.input[0] = graph.maker[rounding.input[0]].input[0]


@contextmanager
def _root_logger_untouched():
    """Undo what the quantizer does to the root logger, and keep its advice to itself."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = [logging.NullHandler()]
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
