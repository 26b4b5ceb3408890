"""SciKeras estimators as ONNX nodes: the network, and what SciKeras does around it."""

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from skl2onnx.common.shape_calculator import _infer_linear_classifier_output_types
from skl2onnx.common.utils_classifier import get_label_classes

from mnist_estimator.exceptions import ExportError
from mnist_estimator.onnx_converters._emitter import Emitter
from mnist_estimator.onnx_converters._keras import network_to_onnx


def classifier_shapes(operator):
    if not isinstance(operator.outputs[1].type, DoubleTensorType):
        operator.outputs[1].type = FloatTensorType()
    _infer_linear_classifier_output_types(operator)


def convert_classifier(scope, operator, container):
    """Network → probabilities [→ ArgMax → label]."""
    classifier = operator.raw_operator
    _check_scikeras(classifier)
    options = container.get_options(classifier, {"raw_scores": False})
    emit = Emitter(scope, container)
    network = network_to_onnx(classifier.model_, container.target_opset)
    if options["raw_scores"]:
        _drop_last_activation(network.graph)
    scores = emit.network(network, operator.inputs[0])
    if classifier.model_.output_shape[-1] == 1:
        # One sigmoid unit: the probability of the second class.
        other = emit("Neg", scores) if options["raw_scores"] else None
        other = other or emit("Sub", emit.constant(np.float32(1)), scores)
        scores = emit("Concat", other, scores, axis=1)
    emit.scores_and_label(scores, operator, get_label_classes(scope, classifier))


def _check_scikeras(classifier):
    """Refuse what SciKeras can train and a file of labels and probabilities cannot hold."""
    kind = getattr(classifier, "target_type_", "multiclass")
    if kind not in ("binary", "multiclass"):
        raise ExportError(
            f"{type(classifier).__name__} was fitted on a target of type {kind!r}; only one label "
            "a row exports ('binary' or 'multiclass'). Fit one classifier an output instead."
        )
    _check_feature_encoder(classifier)


def _check_feature_encoder(estimator):
    encoder = getattr(estimator, "feature_encoder_", None)
    if getattr(encoder, "func", None) is not None or type(encoder).__name__ not in (
        "FunctionTransformer",
        "NoneType",
    ):
        raise ExportError(
            f"{type(estimator).__name__} has a feature encoder of its own "
            f"({type(encoder).__name__}), which skl2onnx never sees. Make it a step of a Pipeline "
            "in front of the network."
        )


def _drop_last_activation(graph):
    """Cut the softmax or sigmoid off a network's graph."""
    (last,) = [node for node in graph.node if graph.output[0].name in node.output]
    if last.op_type not in ("Softmax", "Sigmoid"):
        raise ExportError(
            f"Option 'raw_scores' wants the scores before the softmax or sigmoid, but the network "
            f"ends with {last.op_type}. Leave the option out."
        )
    graph.output[0].name = last.input[0]


def regressor_shapes(operator):
    N = operator.inputs[0].get_first_dimension()
    if not isinstance(operator.outputs[0].type, DoubleTensorType):
        operator.outputs[0].type = FloatTensorType()
    operator.outputs[0].type.shape = [N, operator.raw_operator.model_.output_shape[-1]]


def convert_regressor(scope, operator, container):
    regressor = operator.raw_operator
    _check_feature_encoder(regressor)
    emit = Emitter(scope, container)
    network = network_to_onnx(regressor.model_, container.target_opset)
    emit.like(operator.outputs[0], emit.network(network, operator.inputs[0]))
