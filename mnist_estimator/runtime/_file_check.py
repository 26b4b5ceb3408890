"""Look through a model file's bytes, and refuse it before onnxruntime parses a hostile one.

An ONNX file is a program. onnxruntime runs whatever stands in it: loops without end, files
beside the model, plug-in operators, tensors of any size; and some of its kernels end the process
on malformed attributes. So the bytes are walked here first, in Protocol Buffers' wire format,
which takes about a millisecond and saves importing `onnx`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from mnist_estimator.runtime._texts import MAX_COUNTED_BYTES, LongTexts

MAX_FILE_BYTES = 512 * 2**20
MAX_METADATA_BYTES = 2**20
MAX_NODES = 5_000
# Weights in raw data are kept in memory of ours (see _session.py); of others, and of those smaller
# than this, no more than that.
MIN_WEIGHT_BYTES = 1024
MAX_TEXT_BYTES = 255
MAX_OTHER_BYTES = 16 * 2**20
# A field takes about half a microsecond to walk over, so this is a second.
MAX_FIELDS = 2_000_000
# onnxruntime builds a tree recursively, and overflows an 8 MB stack at a depth of 10,000 to
# 20,000. The depth of a binary tree is at most half its nodes.
MAX_NODES_PER_TREE = 15_000

# Operators that compute their outputs from their inputs and nothing else. Left out are control
# flow, sequences and optionals, random numbers, string processing and image decoding, and support
# vector machines and `Resize`, which take memory beyond the bound on it.
_OPERATORS_OF_DOMAIN = {
    "": """
        Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
        BatchNormalization Cast Ceil Celu Clip Compress Concat Constant ConstantOfShape
        Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div
        Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU
        Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
        Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity
        InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual
        Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean
        MeanVarianceNormalization Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow
        QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1
        ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Relu Reshape Round Selu Shape Shrink
        Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt
        Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile Transpose Trilu Unsqueeze
        Where Xor
        """,
    "ai.onnx.ml": """
        ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier
        LinearRegressor Normalizer OneHotEncoder Scaler
        TreeEnsembleClassifier TreeEnsembleRegressor
        """,
    # What onnxruntime's quantizer writes.
    "com.microsoft": """
        DequantizeLinear DynamicQuantizeMatMul FusedGemm FusedMatMul Gelu MatMulIntegerToFloat
        QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearGlobalAveragePool
        QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QuantizeLinear
        """,
}
_ALLOWED_OPERATORS = {
    domain: frozenset(operators.split()) for domain, operators in _OPERATORS_OF_DOMAIN.items()
}
_ALLOWED_OPERATORS["ai.onnx"] = _ALLOWED_OPERATORS[""]

# Operators whose weights onnxruntime copies in an order that suits the processor.
_PRODUCT_NAMES = """
    Attention Conv ConvInteger ConvTranspose DynamicQuantizeMatMul FusedGemm FusedMatMul GRU Gemm
    LSTM MatMul MatMulInteger MatMulIntegerToFloat QGemm QLinearConv QLinearMatMul RNN
    """
_PRODUCTS = frozenset(_PRODUCT_NAMES.split())

# Wire types, and field numbers of onnx.proto.
_VARINT, _BYTES, _RUN = 0, 2, -1
_MODEL_GRAPH, _MODEL_METADATA, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 14, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE_INITIALIZER = 1, 5, 15
_NODE_INPUT, _NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS, _ATTRIBUTE_TENSORS = 1, 5, 8, 10
_ATTRIBUTE_TEXT, _ATTRIBUTE_TEXTS, _ATTRIBUTE_INT = 4, 9, 3
_ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = {6, 11}, {22, 23}
_TENSOR_DIMS, _TENSOR_DATA_TYPE, _TENSOR_STRINGS, _TENSOR_NAME, _TENSOR_RAW_DATA = 1, 2, 6, 8, 9
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
# float_data and double_data, all values in one field or one in each: bytes of a value.
_TENSOR_FIXED_DATA = {(4, _BYTES): 4, (4, 5): 4, (10, _BYTES): 8, (10, 1): 8}
_TENSOR_VARINT_DATA = {5, 7, 11}  # int32_data, int64_data, uint64_data

# ONNX's data type → bytes of an element: float, uint8, int8, uint16, int16, int32, int64, string
# (which is never raw), bool, float16, double, uint32, uint64. What is left out (complex numbers,
# 8-bit floats, 4-bit integers) no model of ours holds.
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 8: 0, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
_DTYPES = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2"}
_DTYPES |= {11: "f8", 12: "u4", 13: "u8"}

# Attributes of one text that a node gives out. Those of other nodes name a way of computing.
_TEXT_VALUES = {"default_string", "value_string"}
_STRING = 8

# The lists of numbers in an attribute (fields 7 and 8) are written one number a field. A forest
# has millions, so whole runs are taken at once.
_NUMBER_RUN = re.compile(rb"(?:\x3d[\s\S]{4})+|(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+")


class FileCheck:
    """What a model file contains, as far as it matters before running it.

    Parameters
    ----------
    content : bytes
        The whole file.
    trusted : bool, default=False
        Whether any operator may be used, and graphs within nodes.

    Attributes
    ----------
    operators : set of str
        The operator types of the graph's nodes.
    metadata : dict of str to bytes
        The file's `metadata_props`, unparsed.
    texts : LongTexts
        The file's long texts, and its content without them, which is what may be run.
    weights : dict of str to ndarray
        The graph's initializers that lie in the file as they are, by their names: views of it.
    n_copied_bytes : int
        How much onnxruntime allocates for weights at most: it copies each, and onnxruntime 1.20
        once more for every product that uses it.

    Raises
    ------
    ValueError
        If the bytes are not an ONNX model, or one that asks for more than arithmetic on what it
        holds. The message says what was found.
    """

    def __init__(self, content: bytes, trusted: bool = False) -> None:
        self._trusted = trusted
        self.operators: set[str] = set()
        self.metadata: dict[str, bytes] = {}
        self.weights: dict[str, np.ndarray] = {}
        self._uses: Counter[str] = Counter()  # by products
        self._used_elsewhere: set[str] = set()
        self._n_products = 0
        self._n_nodes = 0
        self._n_other_bytes = 0
        self._n_fields = 0
        self._text_places: list[tuple[int, int]] = []
        if not content:
            raise ValueError("it is empty")
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_FILE_BYTES >> 20} MiB")
        self._start = _address(memoryview(content))
        try:
            self._check_model(memoryview(content))
        except IndexError:
            raise ValueError("it is truncated, or not an ONNX model") from None
        self.texts = LongTexts(content, self._text_places)
        # What is not given to the products directly could reach all of them.
        self.n_copied_bytes = len(content) + self._n_products * self._n_other_bytes
        for name, values in self.weights.items():
            is_elsewhere = name in self._used_elsewhere
            n_uses = self._uses[name] + is_elsewhere * self._n_products
            self.n_copied_bytes += n_uses * values.nbytes

    def _check_model(self, model: memoryview) -> None:
        graphs = []
        metadata_bytes = 0
        for number, wire, value in self._fields(model):
            if number in (_MODEL_FUNCTIONS, _MODEL_TRAINING):
                raise ValueError("it defines functions or training steps, which are not run")
            if wire == _BYTES and number == _MODEL_GRAPH:
                graphs.append(value)
            elif wire == _BYTES and number == _MODEL_METADATA:
                metadata_bytes += len(value)
                if metadata_bytes > MAX_METADATA_BYTES:
                    raise ValueError(f"its metadata exceeds {MAX_METADATA_BYTES >> 20} MiB")
                entry = {n: v for n, w, v in self._fields(value) if w == _BYTES}
                self.metadata[_text(entry.get(1, b""))] = bytes(entry.get(2, b""))
        if len(graphs) != 1:
            raise ValueError(f"it holds {len(graphs)} graphs where an ONNX model has one")
        for number, wire, value in self._fields(graphs[0]):
            if number == _GRAPH_SPARSE_INITIALIZER:
                raise ValueError("it holds sparse weights")
            if wire == _BYTES and number == _GRAPH_NODE:
                self._check_node(value)
            elif wire == _BYTES and number == _GRAPH_INITIALIZER:
                self._check_tensor(value, is_weight=True)

    def _check_node(self, node: memoryview) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES:,} nodes")
        operator = domain = ""
        inputs: list[str] = []
        for number, wire, value in self._fields(node):
            if wire != _BYTES:
                continue
            if number == _NODE_INPUT:
                inputs.append(_text(value))
            elif number == _NODE_OP_TYPE:
                operator = _text(value)
            elif number == _NODE_DOMAIN:
                domain = _text(value)
            elif number == _NODE_ATTRIBUTE:
                self._check_attribute(value)
        if not self._trusted and operator not in _ALLOWED_OPERATORS.get(domain, ()):
            of_domain = f" of the domain {domain!r}" if domain else ""
            raise ValueError(
                f"it uses the operator {operator!r}{of_domain}, which is run only with trusted=True"
            )
        self.operators.add(operator)
        if operator in _PRODUCTS:
            self._n_products += 1
            self._uses.update(inputs)
        else:
            self._used_elsewhere.update(inputs)

    def _check_attribute(self, attribute: memoryview) -> None:
        single: dict[int, Any] = {_ATTRIBUTE_NAME: b"", _ATTRIBUTE_TEXT: b"", _ATTRIBUTE_INT: 0}
        n_tensors = 0
        ints = []
        for number, wire, value in self._fields(attribute, runs=True):
            self._check_kind(number)
            if number in single and wire == (_VARINT if number == _ATTRIBUTE_INT else _BYTES):
                single[number] = value
            elif number == _ATTRIBUTE_TEXTS and wire == _BYTES:
                self._check_text(value)
            elif number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS) and wire == _BYTES:
                # Two of them would be merged by the parser into one of more dimensions.
                n_tensors += number == _ATTRIBUTE_TENSOR
                self._check_tensor(value)
            elif number == _ATTRIBUTE_INTS and wire == _RUN:
                ints.append(_decode_varints(value)[1::2])  # the others are the field's tags
            elif number == _ATTRIBUTE_INTS and wire == _BYTES and len(value):
                ints.append(_decode_varints(value))
        if n_tensors > 1:
            raise ValueError("an attribute is given twice")
        name = _text(single[_ATTRIBUTE_NAME])
        if name in _TEXT_VALUES:
            self._check_text(memoryview(single[_ATTRIBUTE_TEXT]))
        if name == "to" and single[_ATTRIBUTE_INT] == _STRING and not self._trusted:
            raise ValueError("it makes texts of numbers, which is run only with trusted=True")
        if name == "nodes_treeids" and ints:
            largest = np.unique(np.concatenate(ints), return_counts=True)[1].max()
            if largest > MAX_NODES_PER_TREE:
                raise ValueError(f"a tree has {largest:,} nodes, more than {MAX_NODES_PER_TREE:,}")

    def _check_kind(self, number: int) -> None:
        """Refuse attributes that are more than numbers and texts."""
        if number in _ATTRIBUTE_GRAPHS and not self._trusted:
            raise ValueError("a node holds a graph, which is run only with trusted=True")
        if number in _ATTRIBUTE_SPARSE:
            raise ValueError("it holds sparse weights")

    def _check_tensor(self, tensor: memoryview, is_weight: bool = False) -> None:
        """Hold the dimensions against the data: onnxruntime's own look is newer than 1.20."""
        dims: list[int] = []
        data_type = n_values = 0
        name, raw = "", None
        for number, wire, value in self._fields(tensor):
            if number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0):
                raise ValueError("its weights lie in another file")
            if number == _TENSOR_DIMS and wire == _VARINT:
                dims.append(value)
            elif number == _TENSOR_DIMS and wire == _BYTES:
                dims += _decode_varints(value).tolist() if len(value) else []
            elif number == _TENSOR_DATA_TYPE and wire == _VARINT:
                data_type = value
            elif number == _TENSOR_RAW_DATA and wire == _BYTES:
                raw = value
            elif number == _TENSOR_NAME and wire == _BYTES:
                name = _text(value)
            else:
                n_values += self._count_values(number, wire, value)
        if data_type not in _ITEM_BYTES:
            raise ValueError(f"it holds a tensor of ONNX's data type {data_type}")
        n_expected = math.prod(dims)  # negative dimensions arrive as huge ones
        n_found = n_values if raw is None else len(raw) / (_ITEM_BYTES[data_type] or math.inf)
        if n_found != n_expected or (n_values and raw is not None):
            raise ValueError(
                f"it declares a tensor of {n_expected:,} elements and holds {n_found:,.0f}"
            )
        if is_weight and raw is not None and len(raw) >= MIN_WEIGHT_BYTES:
            self._keep_weight(name, np.frombuffer(raw, _DTYPES[data_type]).reshape(dims))
            return
        self._n_other_bytes += len(tensor)
        if self._n_other_bytes > MAX_OTHER_BYTES:
            raise ValueError(f"more than {MAX_OTHER_BYTES >> 20} MiB of it are constants")

    def _count_values(self, number: int, wire: int, value: Any) -> int:
        """Return how many elements of a tensor a field holds."""
        if (number, wire) in _TENSOR_FIXED_DATA:
            return len(value) // _TENSOR_FIXED_DATA[number, wire]
        if number in _TENSOR_VARINT_DATA and wire == _BYTES:
            return int(np.count_nonzero(np.frombuffer(value, np.uint8) < 0x80))
        if number == _TENSOR_STRINGS and wire == _BYTES:
            self._check_text(value)
            return 1
        return int(number in _TENSOR_VARINT_DATA and wire == _VARINT)

    def _check_text(self, text: memoryview) -> None:
        if len(text) > MAX_TEXT_BYTES:
            raise ValueError(f"it holds a text of {len(text):,} bytes, more than {MAX_TEXT_BYTES}")
        if len(text) > MAX_COUNTED_BYTES:
            self._text_places.append((_address(text) - self._start, len(text)))

    def _keep_weight(self, name: str, values: np.ndarray) -> None:
        if name in self.weights:
            raise ValueError("two of its weights have the same name")
        self.weights[name] = values

    def _fields(self, message: memoryview, runs: bool = False) -> Iterator[tuple]:
        """Yield the number, wire type and value of each field of a message."""
        position, end = 0, len(message)
        while position < end:
            self._n_fields += 1
            if self._n_fields > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            if runs and (run := _NUMBER_RUN.match(message, position)):
                value = message[position : run.end()]
                position = run.end()
                yield value[0] >> 3, _RUN, value
                continue
            key, position = _read_varint(message, position)
            if key < 8 or key >> 32:
                raise ValueError("it is not an ONNX model")
            wire = key & 7
            if wire == _VARINT:
                number, position = _read_varint(message, position)
                yield key >> 3, wire, number
                continue
            if wire == _BYTES:
                length, position = _read_varint(message, position)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise ValueError("it is not an ONNX model")
            if length > end - position:
                raise ValueError("it is truncated, or not an ONNX model")
            yield key >> 3, wire, message[position : position + length]
            position += length


def _address(value: memoryview) -> int:
    return int(np.frombuffer(value, np.uint8).ctypes.data)


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number of variable length that starts at `position`, and where it ends."""
    value = message[position]
    if value < 0x80:
        return value, position + 1
    value &= 0x7F
    for shift in range(7, 70, 7):
        position += 1
        byte = message[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position + 1
    raise ValueError("it is not an ONNX model")


def _decode_varints(data: memoryview) -> np.ndarray:
    """Return all numbers of variable length in `data`, as uint64."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])
    values = np.zeros(len(ends), np.uint64)
    for place in range(10):
        longer = np.flatnonzero(starts + place <= ends)
        if not len(longer):
            break
        digits = (octets[starts[longer] + place] & 0x7F).astype(np.uint64)
        values[longer] |= digits << np.uint64(7 * place)
    return values


def _text(value: bytes | memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")
