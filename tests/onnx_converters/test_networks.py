"""Plain SciKeras estimators, and whatever layers Keras has that tf2onnx can convert."""

import keras
import numpy as np
import onnx
import pytest
import skl2onnx
import sklearn
import tensorflow as tf
from keras import layers
from onnx import parser
from onnxruntime import InferenceSession
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from mnist_estimator import KerasMLPClassifier, to_onnx
from mnist_estimator.exceptions import ExportError, ModelFileError
from mnist_estimator.export import newest_opset
from mnist_estimator.onnx_converters import network_to_onnx, register_converters
from mnist_estimator.onnx_converters._keras import _spell_out_omitted_inputs
from mnist_estimator.runtime import OnnxModel

# SciKeras and Keras against newer releases of scikit-learn and NumPy than they know.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*_get_tags:FutureWarning"),
    pytest.mark.skipif(
        parse_version(sklearn.__version__) < parse_version("1.7"),
        reason="scikit-learn 1.6 itself raises on plain SciKeras estimators",
    ),
]

CROSS_ENTROPY = "sparse_categorical_crossentropy"


def network(*hidden, shape=(64,), loss=CROSS_ENTROPY):
    """Return a function that builds and compiles a network, as SciKeras wants it."""

    def build():
        keras.utils.set_random_seed(0)
        fresh = [layer.__class__.from_config(layer.get_config()) for layer in hidden]
        model = keras.Sequential([keras.Input(shape), *fresh])
        model.compile("sgd", loss)
        return model

    return build


def fit(wrapper, build, X, y, **params):
    return wrapper(build, epochs=1, verbose=0, **params).fit(X, y)


def run(model, X):
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})


@pytest.fixture(scope="module")
def rows(digits):
    return digits[0][:200].astype(np.float32) / 16, digits[1][:200]


IMAGE = layers.Reshape((8, 8, 1))
SEQUENCE = layers.Reshape((8, 8))
OUTPUT = layers.Dense(10, "softmax")
NETWORKS = {
    "dense": [layers.Dense(8, "silu"), layers.BatchNormalization(), OUTPUT],
    "gelu": [layers.Dense(8, "gelu"), OUTPUT],
    "convolution": [IMAGE, layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), OUTPUT],
    "upsampling": [IMAGE, layers.UpSampling2D(), layers.GlobalMaxPooling2D(), OUTPUT],
    "LSTM": [SEQUENCE, layers.LSTM(6), OUTPUT],
    "GRU": [SEQUENCE, layers.GRU(6), OUTPUT],
}
if hasattr(keras.activations, "celu"):  # Keras 3.9 and newer
    NETWORKS["celu"] = [layers.Dense(8, "celu"), OUTPUT]


@pytest.mark.parametrize("name", NETWORKS)
def test_layers(rows, name):
    X, y = rows
    classifier = fit(KerasClassifier, network(*NETWORKS[name]), X, y)
    model = to_onnx(classifier, X)
    label, probabilities = run(model, X)
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, classifier.predict(X))
    trusted = name == "GRU"  # a loop
    content = model.SerializeToString()
    np.testing.assert_array_equal(OnnxModel(content, trusted=trusted).predict(X), label)
    if trusted:
        with pytest.raises(ModelFileError, match="only with trusted=True"):
            OnnxModel(content)
    if name != "GRU":  # a loop, whose variables tf2onnx orders at random
        assert model.SerializeToString() == to_onnx(classifier, X).SerializeToString()


def test_images_without_a_scaler(rows):
    X, y = rows[0].reshape(-1, 8, 8), rows[1]
    classifier = fit(KerasClassifier, network(IMAGE, layers.Flatten(), OUTPUT, shape=(8, 8)), X, y)
    probabilities = run(to_onnx(classifier, X), X)[1]
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("labels", [["even", "odd"], [False, True], [3, 4]])
def test_one_sigmoid_unit(rows, labels):
    X, y = rows[0], np.array(labels)[rows[1] % 2]
    build = network(layers.Dense(1, "sigmoid"), loss="binary_crossentropy")
    classifier = fit(KerasClassifier, build, X, y)
    model = to_onnx(classifier, X)
    label, probabilities = run(model, X)
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, classifier.predict(X))
    register_converters()
    options = {id(classifier): {"raw_scores": True, "zipmap": False}}
    scores = run(skl2onnx.to_onnx(classifier, X[:1], options=options, target_opset=18), X)[1]
    np.testing.assert_allclose(scores[:, 0], -scores[:, 1])
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), probabilities, atol=1e-5)


def test_one_hot_encoded_loss(rows):
    X, y = rows
    loss = "categorical_crossentropy"
    classifier = fit(KerasClassifier, network(OUTPUT, loss=loss), X, y, loss=loss)
    np.testing.assert_array_equal(run(to_onnx(classifier, X), X)[0], classifier.predict(X))


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regressor(rows, n_outputs, dtype):
    X = rows[0].astype(dtype)
    y = np.column_stack([rows[1], rows[1] ** 2])[:, :n_outputs].astype(np.float32)
    y = y.ravel() if n_outputs == 1 else y
    build = network(layers.Dense(8, "tanh"), layers.Dense(n_outputs), loss="mse")
    regressor = make_pipeline(StandardScaler(), KerasRegressor(build, epochs=1, verbose=0))
    regressor.fit(X, y)
    (predicted,) = run(to_onnx(regressor, X), X)
    assert predicted.shape == (200, n_outputs)
    expected = regressor.predict(X).reshape(200, n_outputs)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


class TestRefusals:
    """What SciKeras or Keras can do and one file of labels cannot."""

    def test_several_labels_a_row(self, rows):
        build = network(OUTPUT, loss="categorical_crossentropy")
        classifier = fit(KerasClassifier, build, rows[0], np.eye(10)[rows[1]])
        with pytest.raises(ExportError, match="target of type 'multilabel-indicator'"):
            to_onnx(classifier, rows[0])

    def test_feature_encoder(self, rows):
        class Halving(KerasClassifier):
            @property
            def feature_encoder(self):
                return FunctionTransformer(lambda X: X / 2)

        classifier = fit(Halving, network(OUTPUT), *rows)
        with pytest.raises(ExportError, match="feature encoder of its own"):
            to_onnx(classifier, rows[0])

    def test_several_outputs(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(2)(inputs)])
        with pytest.raises(ExportError, match="1 inputs and 2 outputs"):
            network_to_onnx(model, 18)

    def test_operation_that_tf2onnx_does_not_know(self, rows):
        def activation(h):
            return tf.math.lgamma(h + 3)

        classifier = KerasMLPClassifier((4,), activation=activation, epochs=1).fit(*rows)
        with pytest.raises(ExportError, match=r"operation 'Lgamma'.*Replace that layer"):
            to_onnx(classifier, rows[0])

    def test_raw_scores_of_another_last_layer(self, rows):
        register_converters()
        build = network(layers.Dense(10, "softplus"))
        classifier = fit(KerasClassifier, build, *rows)
        options = {id(classifier): {"raw_scores": True, "zipmap": False}}
        with pytest.raises(ExportError, match="ends with Softplus"):
            skl2onnx.to_onnx(classifier, rows[0][:1], options=options, target_opset=18)


def test_nodes_are_of_the_opset_asked_for():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, "softmax")(inputs))
    for opset in (15, 18, newest_opset()):
        converted = network_to_onnx(model, opset)
        assert converted.opset_import[0].version == opset
        onnx.checker.check_model(converted, full_check=True)


def test_omitted_inputs_are_spelled_out():
    graph = parser.parse_graph(
        """g (float[N, 3] X, float[1, 1, 4, 4] image, float[4] scales) => (float[N, 3] Y) {
            Y = Clip(X, low, )
            big = Resize(image, , scales)
        }"""
    )
    graph.node[0].input.append("")  # the parser leaves it out
    _spell_out_omitted_inputs(graph)
    assert [node.op_type for node in graph.node] == ["Clip", "Constant", "Resize"]
    assert list(graph.node[0].input) == ["X", "low"]
    assert graph.node[2].input[1] == graph.node[1].output[0]
    unknown = parser.parse_graph("g (float[N] X) => (float[N] Y) { Y = Clip(X, , high) }")
    with pytest.raises(ExportError, match=r"inputs \[1\] of 'Clip'"):
        _spell_out_omitted_inputs(unknown)
