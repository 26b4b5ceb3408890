"""CalibratedClassifierCV as ONNX nodes, as scikit-learn computes it."""

import numpy as np
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import Int64TensorType
from skl2onnx.common.utils_classifier import get_label_classes
from sklearn.pipeline import Pipeline

from mnist_estimator.exceptions import ExportError
from mnist_estimator.onnx_converters._emitter import Emitter

_FAR_BELOW = -1e38  # below every score, and float32 holds its distance to them


def convert_calibrated(scope, operator, container):
    """Average of the calibrated classifiers' probabilities → label."""
    calibrated = operator.raw_operator
    emit = Emitter(scope, container)
    folds = [
        _calibrated_fold(scope, operator, container, fold)
        for fold in calibrated.calibrated_classifiers_
    ]
    total = emit("Sum", *folds) if len(folds) > 1 else folds[0]
    mean = emit("Mul", total, emit.constant(emit.number(operator, 1 / len(folds))))
    emit.scores_and_label(mean, operator, get_label_classes(scope, calibrated))


def _calibrated_fold(scope, operator, container, fold):
    """Return the name of one fold's calibrated probabilities, `(N, n_classes)`."""
    emit = Emitter(scope, container)
    base, n_classes = fold.estimator, len(fold.classes)
    has_scores = hasattr(base, "decision_function")
    if has_scores:
        for step in _final_steps(base):
            if container.has_options(step, "raw_scores"):
                # A step with options of its own no longer takes the pipeline's.
                wanted = {"raw_scores": True, "zipmap": False}
                container.add_options(id(step), wanted)
                scope.add_options(id(step), wanted)
    inner = scope.declare_local_operator(sklearn_operator_name_map[type(base)], base)
    inner.inputs = operator.inputs
    inner.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
    score_type = operator.outputs[1].type.__class__
    scores = scope.declare_local_variable("uncalibrated", score_type([None, n_classes]))
    inner.outputs.append(scores)
    # Whatever type the inner converter chose to write.
    name = emit("Cast", scores.full_name, to=scores.type._get_element_onnx_type())
    if n_classes == 2:
        name = emit("Gather", name, emit.constant(np.array([1])), axis=1)
    if fold.method == "temperature":
        return _temperature(emit, operator, name, fold, has_scores)
    if fold.method == "sigmoid":
        slope = emit.constant(emit.number(operator, [-c.a_ for c in fold.calibrators]))
        shift = emit.constant(emit.number(operator, [-c.b_ for c in fold.calibrators]))
        probabilities = emit("Sigmoid", emit("Add", emit("Mul", name, slope), shift))
    elif fold.method == "isotonic":
        probabilities = _isotonic(emit, operator, name, fold.calibrators)
    else:
        raise ExportError(
            f"CalibratedClassifierCV(method={fold.method!r}) has no ONNX converter. Calibrate with "
            "method='sigmoid', 'isotonic' or 'temperature'."
        )
    if n_classes == 2:
        one = emit.constant(emit.number(operator, 1))
        return emit("Concat", emit("Sub", one, probabilities), probabilities, axis=1)
    total = emit("ReduceSum", probabilities, emit.constant(np.array([1])), keepdims=1)
    # A row that every calibrator gives 0 has no preference: scikit-learn makes it uniform.
    empty = emit("Equal", total, emit.constant(emit.number(operator, 0)))
    uniform = emit.constant(emit.number(operator, 1 / n_classes))
    return emit("Where", empty, uniform, emit("Div", probabilities, total))


def _temperature(emit, operator, scores, fold, has_scores):
    """Softmax(beta · logits); probabilities become logits by their logarithm."""
    if len(fold.classes) == 2:
        one = emit.constant(emit.number(operator, 1))
        other = emit("Neg", scores) if has_scores else emit("Sub", one, scores)
        scores = emit("Concat", other, scores, axis=1)
    if not has_scores:
        scores = emit("Log", emit("Add", scores, emit.constant(emit.number(operator, 1e-12))))
    beta = emit.constant(emit.number(operator, fold.calibrators[0].beta_))
    return emit("Softmax", emit("Mul", scores, beta), axis=1)


def _final_steps(estimator):
    """Return the estimator and, through nested pipelines, its last steps."""
    steps = [estimator]
    while isinstance(steps[-1], Pipeline):
        steps.append(steps[-1].steps[-1][1])
    return steps


def _isotonic(emit, operator, scores, calibrators):
    """Piecewise linear interpolation, every class at once.

    f(x) = y_0 + Σ_j (y_{j+1} - y_j) · clip((x - t_j) / (t_{j+1} - t_j), 0, 1)
    """
    n_pieces = max(len(c.X_thresholds_) for c in calibrators)
    pad = [(0, n_pieces - len(c.X_thresholds_)) for c in calibrators]
    # Repeating the last threshold makes pieces of no height.
    x = np.array(
        [np.pad(c.X_thresholds_, p, mode="edge") for c, p in zip(calibrators, pad, strict=True)]
    )
    y = np.array(
        [np.pad(c.y_thresholds_, p, mode="edge") for c, p in zip(calibrators, pad, strict=True)]
    )
    # A first piece that every score has passed lifts the sum to y_0. An Add behind the ReduceSum
    # comes out wrong in OpenVINO (2024.6 to 2026.4), which fuses the two.
    first = np.ones((len(x), 1))
    offset = np.hstack([first * _FAR_BELOW, x[:, :-1]])
    # Narrower ones would be zero to processors that flush subnormal numbers.
    width = np.hstack([first, np.maximum(np.diff(x), np.finfo(np.float32).tiny)])
    height = np.hstack([y[:, :1], np.diff(y)])
    number = emit.number
    column = emit("Unsqueeze", scores, emit.constant(np.array([2])))
    past = emit("Sub", column, emit.constant(number(operator, offset)))
    ratio = emit("Div", past, emit.constant(number(operator, width)))
    zero, one = (emit.constant(number(operator, bound)) for bound in (0, 1))
    part = emit("Mul", emit("Clip", ratio, zero, one), emit.constant(number(operator, height)))
    return emit("ReduceSum", part, emit.constant(np.array([2])), keepdims=0)
