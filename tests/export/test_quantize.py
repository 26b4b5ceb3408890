"""quantize="int8": bytes in, integer products, the same labels."""

import logging

import numpy as np
import onnx
import pandas as pd
import pytest

from mnist_estimator import PixelScaler, to_onnx
from mnist_estimator.exceptions import ExportError


def makers(model):
    return {name: node for node in model.graph.node for name in node.output}


def test_pixels_enter_the_first_product_as_bytes(pipeline, digits):
    model = to_onnx(pipeline, digits[0], quantize="int8")
    made_by = makers(model)
    products = [node for node in model.graph.node if node.op_type == "Gemm"]
    first = made_by[products[0].input[0]]
    assert first.op_type == "DequantizeLinear"
    assert first.input[0] == "X"
    scales = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert scales[first.input[1]] == 1
    assert scales[first.input[2]] == 0
    assert len(products) == 3
    for product in products:
        assert {made_by[name].op_type for name in product.input} == {"DequantizeLinear"}
    # Rounding happens before products only, not before the softmax.
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 2
    assert "Cast" not in kinds


@pytest.mark.parametrize("opset", [15, 18, 21])
def test_same_labels(run, pipeline, digits, opset):
    X = digits[0]
    model = to_onnx(pipeline, X, quantize="int8", target_opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    label, probabilities = run(model, X)
    assert np.mean(label == pipeline.predict(X)) > 0.99
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert run(model, X[:0])[0].shape == (0,)


def test_same_bytes_twice_and_same_interface(pipeline, digits):
    one, two = (to_onnx(pipeline, digits[0], quantize="int8") for _ in range(2))
    assert one.SerializeToString() == two.SerializeToString()
    plain = to_onnx(pipeline)
    assert list(one.graph.input) == list(plain.graph.input)
    assert list(one.graph.output) == list(plain.graph.output)
    extra = {prop.key for prop in one.metadata_props} - {prop.key for prop in plain.metadata_props}
    assert extra == {"quantization"}


def test_images_and_columns(run, image_pipeline, digits):
    X, y = digits
    images = to_onnx(image_pipeline, X.reshape(-1, 8, 8), quantize="int8")
    kinds = [node.op_type for node in images.graph.node]
    assert kinds[:2] == ["Flatten", "DequantizeLinear"]
    assert np.mean(run(images, X.reshape(-1, 8, 8))[0] == y) > 0.8
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    columns = to_onnx(image_pipeline, frame, quantize="int8")
    label = run(columns, {name: frame[[name]].to_numpy() for name in frame})[0]
    np.testing.assert_array_equal(label, run(images, X.reshape(-1, 8, 8))[0])


def test_float_pixels_are_rounded_by_the_graph(run, pipeline, digits):
    X = digits[0].astype(np.float32)
    model = to_onnx(pipeline, X, quantize="int8")
    assert model.graph.node[0].op_type == "QuantizeLinear"
    assert np.mean(run(model, X)[0] == pipeline.predict(X)) > 0.98


def test_calibration_data_alone(pipeline, digits):
    model = to_onnx(pipeline, quantize="int8", calibration_data=digits[0])
    expected = to_onnx(pipeline, digits[0], quantize="int8")
    assert model.SerializeToString() == expected.SerializeToString()


def test_nothing_to_quantize(digits):
    with pytest.raises(ExportError, match="no matrix product"):
        to_onnx(PixelScaler().fit(digits[0]), digits[0], quantize="int8")


def test_logging_and_terminal_stay_as_they_are(pipeline, digits, capfd, caplog):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    to_onnx(pipeline, digits[0], quantize="int8")
    assert (root.handlers, root.level) == before
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_size_and_accuracy_on_mnist(run, mnist_pipeline, mnist):
    X, _, X_test, y_test = mnist
    plain = to_onnx(mnist_pipeline)
    model = to_onnx(mnist_pipeline, quantize="int8", calibration_data=X)
    assert len(model.SerializeToString()) <= 0.3 * len(plain.SerializeToString())
    accuracy, expected = (np.mean(run(m, X_test)[0] == y_test) for m in (model, plain))
    assert abs(accuracy - expected) <= 0.001
