"""to_onnx: a fitted scikit-learn model as one ONNX model."""

import json
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, version_converter
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mnist_estimator.exceptions import ExportError
from mnist_estimator.export._canonical import canonicalize
from mnist_estimator.export._exportable import as_exportable
from mnist_estimator.export._input import describe_input
from mnist_estimator.export._interface import is_classifier, name_inputs, name_outputs
from mnist_estimator.export._metadata import describe_model, package_version
from mnist_estimator.export._quantize import quantize_int8
from mnist_estimator.export._simplify import simplify
from mnist_estimator.export._standard_operators import in_standard_operators
from mnist_estimator.onnx_converters import quiet_conversion, register_converters

MIN_OPSET = 15
# onnxruntime has run it since 1.14, and every converter writes it without a translation.
DEFAULT_OPSET = 18


def to_onnx(
    estimator,
    X=None,
    *,
    quantize=None,
    calibration_data=None,
    target_opset=None,
    columns_as="inputs",
    licence="MIT",
):
    """Convert a fitted estimator that holds this package's steps to one ONNX model.

    Parameters
    ----------
    estimator : BaseEstimator
        A fitted `PixelScaler` or network (`KerasMLPClassifier`, or a SciKeras ``KerasClassifier``
        or ``KerasRegressor``), or any fitted scikit-learn model around them: pipelines, searches,
        ensembles, calibration.
    X : array-like or DataFrame, default=None
        A sample of the input, a row or more, whose dtype and shape the file will take:
        ``(n_samples, n_features)`` or ``(n_samples, height, width)``. None means uint8 pixels in
        the shape that the estimator was fitted on.
    quantize : {None, "int8"}, default=None
        "int8" stores weights as 8-bit integers and computes the matrix products with them.
    calibration_data : array-like, default=None
        Rows of the training data, a few hundred, whose range of activations sets the scales of
        `quantize`. None takes `X`.
    target_opset : int, default=None
        The ONNX operator set, 15 or newer. None takes 18.
    columns_as : {"inputs", "matrix"}, default="inputs"
        What becomes of a DataFrame `X`: one input a column, under the column's name and of shape
        ``(N, 1)``, or one matrix ``"X"``.
    licence : str, default="MIT"
        The licence that the file names.

    Returns
    -------
    model : onnx.ModelProto
        Input "X", of any number of rows; outputs "label" (int64 or string, ``(N,)``) and
        "probabilities" (float32, ``(N, n_classes)``). A regressor has one output, "variable".

    Raises
    ------
    NotFittedError
        If `estimator` is not fitted.
    ExportError
        If a step has no ONNX counterpart, or the estimator holds none of this package's steps.
    ValueError
        If a parameter is out of its range, or `X` does not fit the estimator.

    See Also
    --------
    save_onnx : The same, compared with the estimator and written to a file.

    Notes
    -----
    The same fitted model gives the same bytes, whenever it is exported. (The exception are
    recurrent layers that become a loop, whose variables tf2onnx orders at random.)

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator import PixelScaler, to_onnx
    >>> scaler = PixelScaler().fit(np.zeros((1, 4), dtype=np.uint8))
    >>> [node.op_type for node in to_onnx(scaler).graph.node]
    ['Cast', 'Div']
    """
    check_is_fitted(estimator)
    _check_choice("quantize", quantize, (None, "int8"))
    if quantize is not None and X is None and calibration_data is None:
        raise ValueError(
            "quantize='int8' sets the scale of its integers by real rows: pass a few hundred rows "
            "of the training data as calibration_data."
        )
    _check_choice("columns_as", columns_as, ("inputs", "matrix"))
    target_opset = _check_opset(target_opset)
    register_converters()
    exportable = as_exportable(estimator)
    if not exportable.networks and not exportable.scalers:
        raise ExportError(
            f"{type(estimator).__name__} holds no PixelScaler and no Keras network, so this "
            "package has nothing to add: use skl2onnx.to_onnx."
        )
    described = describe_input(exportable.estimator, X, columns_as)
    model = _convert(exportable, described, target_opset)
    if is_classifier(estimator):
        name_outputs(model, np.asarray(estimator.classes_))
    name_inputs(model, described)
    model = simplify(model)
    metadata = describe_model(estimator, exportable, described, licence)
    if quantize is not None:
        model = quantize_int8(model, calibration_data if calibration_data is not None else X)
        metadata["quantization"] = json.dumps(quantize)
    # After quantizing, which would round the weights of linear models over a few features too.
    model = canonicalize(in_standard_operators(model))
    model.ir_version = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    model.producer_name = "mnist_estimator"
    model.producer_version = package_version()
    model.graph.name = type(estimator).__name__
    model.domain, model.model_version = "", 0
    helper.set_model_props(model, metadata)
    return model


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"The {name!r} parameter of to_onnx must be one of {list(choices)}. Got {value!r} "
            "instead."
        )


def _check_opset(target_opset):
    if target_opset is None:
        return DEFAULT_OPSET
    newest = newest_opset()
    if not isinstance(target_opset, int) or not MIN_OPSET <= target_opset <= newest:
        raise ValueError(
            f"The 'target_opset' parameter of to_onnx must be an int in the range [{MIN_OPSET}, "
            f"{newest}], the newest that the installed onnxruntime runs. Got {target_opset!r} "
            "instead."
        )
    return target_opset


@cache
def newest_opset():
    """Return the newest ONNX operator set that the installed onnxruntime runs.

    Returns
    -------
    opset : int
        At most the newest that the installed onnx package knows.

    Examples
    --------
    >>> from mnist_estimator.export import newest_opset
    >>> newest_opset() >= 21
    True
    """
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 4
    tensor = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N"])
    result = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph([helper.make_node("Relu", ["X"], ["Y"])], "probe", [tensor], [result])
    for opset in range(onnx.defs.onnx_opset_version(), MIN_OPSET, -1):
        opsets = [helper.make_opsetid("", opset)]
        probe = helper.make_model_gen_version(graph, opset_imports=opsets)
        probe.ir_version = helper.find_min_ir_version_for(opsets)
        try:
            InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception:  # onnxruntime has no public class for "opset too new"
            continue
        return opset
    return MIN_OPSET


def _convert(exportable, described, target_opset):
    """Return skl2onnx's model; whatever it raises becomes an error that names the step."""
    import skl2onnx
    from skl2onnx.proto import get_latest_tested_opset_version

    base_opset = min(target_opset, get_latest_tested_opset_version())
    estimator = exportable.estimator
    try:
        with quiet_conversion():
            model = skl2onnx.convert_sklearn(
                estimator,
                name="model",
                initial_types=described.skl2onnx_types(),
                target_opset=base_opset,
                options={id(estimator): {"zipmap": False}} if is_classifier(estimator) else None,
            )
            if target_opset > base_opset:
                model = version_converter.convert_version(model, target_opset)
    except ExportError:
        raise
    except Exception as error:  # skl2onnx raises whatever its converters happen to raise
        raise ExportError(_explain(error, exportable)) from error
    return model


def _explain(error, exportable):
    """Name the step whose conversion failed, the reason and what to do."""
    step, traceback = exportable.estimator, error.__traceback__
    while traceback is not None:
        local = traceback.tb_frame.f_locals
        operator = local.get("operator", local.get("self"))
        candidate = getattr(operator, "raw_operator", None)
        if isinstance(candidate, BaseEstimator):
            step = candidate
        traceback = traceback.tb_next
    name = exportable.names.get(id(step), "")
    where = f"The step {name!r} ({type(step).__name__})" if name else type(step).__name__
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{where} cannot be converted to ONNX: {reason} Replace the step, apply it to the data "
        "before the exported model, or give skl2onnx a converter for it "
        "(skl2onnx.update_registered_converter)."
    )
