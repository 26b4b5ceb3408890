"""register_converters: explicit, once, and enough for skl2onnx by itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skl2onnx
from onnxruntime import InferenceSession
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import mnist_estimator
from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline, to_onnx
from mnist_estimator.onnx_converters import register_converters, register_subclass


def small(**params):
    return make_mnist_pipeline(
        hidden_layer_sizes=(8,), epochs=2, validation_split=0.0, random_state=0, **params
    )


@pytest.fixture(scope="module")
def fitted(digits):
    """Fit a small pipeline on labels of text."""
    X, y = digits
    return small().fit(X[:300], np.array([f"digit {i}" for i in range(10)])[y[:300]])


def convert(estimator, X, options, target_opset=18):
    model = skl2onnx.to_onnx(estimator, X[:1], options=options, target_opset=target_opset)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def test_importing_registers_nothing():
    script = (
        "import mnist_estimator.onnx_converters, sys;"
        "from skl2onnx._supported_operators import sklearn_operator_name_map as known;"
        "assert not [c for c in known if c.__module__.startswith(('mnist_', 'scikeras'))];"
        "assert 'tensorflow' not in sys.modules"
    )
    root = str(Path(mnist_estimator.__file__).parents[1])
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, timeout=120)


def test_registering_again_changes_nothing():
    register_converters()
    before = dict(sklearn_operator_name_map)
    register_converters()
    assert before == sklearn_operator_name_map
    assert before[KerasMLPClassifier] == "MnistEstimatorKerasClassifier"


class TestOptions:
    """skl2onnx's options of classifiers, on skl2onnx's own function."""

    @pytest.fixture(autouse=True)
    def _registered(self):
        register_converters()

    def test_dictionaries_unless_told(self, fitted, digits):
        X = digits[0][:20]
        out = convert(fitted, X, None)
        expected = fitted.predict_proba(X)
        rows = [[row[name] for name in fitted.classes_] for row in out["output_probability"]]
        np.testing.assert_allclose(rows, expected, atol=1e-5)
        np.testing.assert_array_equal(out["output_label"], fitted.predict(X))

    def test_no_zipmap(self, fitted, digits):
        X = digits[0][:20]
        out = convert(fitted, X, {id(fitted["mlp"]): {"zipmap": False}})
        np.testing.assert_allclose(out["probabilities"], fitted.predict_proba(X), atol=1e-5)
        np.testing.assert_array_equal(out["label"], fitted.predict(X))

    def test_one_output_a_class(self, fitted, digits):
        out = convert(fitted, digits[0][:20], {id(fitted["mlp"]): {"zipmap": "columns"}})
        expected = fitted.predict_proba(digits[0][:20])[:, 4]
        np.testing.assert_allclose(out["sdigit 4"], expected, atol=1e-5)

    def test_no_class_labels(self, fitted, digits):
        X = digits[0][:20]
        out = convert(fitted, X, {id(fitted["mlp"]): {"zipmap": False, "nocl": True}})
        np.testing.assert_array_equal(out["label"], fitted.predict_proba(X).argmax(axis=1))

    def test_raw_scores(self, fitted, digits):
        X = digits[0][:20]
        out = convert(fitted, X, {id(fitted["mlp"]): {"zipmap": False, "raw_scores": True}})
        odds = np.exp(out["probabilities"])
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        assert out["probabilities"].min() < 0
        np.testing.assert_allclose(probabilities, fitted.predict_proba(X), atol=1e-5)

    def test_list_of_classes(self, digits):
        X, y = digits[0][:200], digits[1][:200]
        estimator = small().fit(X, y + 3)
        options = {id(estimator["mlp"]): {"zipmap": False, "output_class_labels": True}}
        out = convert(estimator, X, options)
        np.testing.assert_array_equal(out["class_labels"], np.arange(3, 13))

    def test_unknown_option(self, fitted, digits):
        with pytest.raises(NameError, match="'zipmapp' not in"):
            convert(fitted, digits[0], {id(fitted["mlp"]): {"zipmapp": False}})


@pytest.mark.parametrize("opset", [15, 21])
def test_two_networks_of_one_architecture_in_one_graph(digits, opset):
    register_converters()
    X, y = digits[0][:300].astype(np.float32), digits[1][:300]
    members = [("a", small()), ("b", small().set_params(mlp__random_state=1))]
    voting = VotingClassifier(members, voting="soft", flatten_transform=False).fit(X, y)
    out = convert(voting, X, {id(voting): {"zipmap": False}}, opset)
    np.testing.assert_allclose(out["probabilities"], voting.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(out["label"], voting.predict(X))


@pytest.mark.parametrize("base", [small, LogisticRegression])
def test_calibration_by_skl2onnx_itself(digits, base):
    """Its own converter asks the network for raw scores, which scikit-learn does not."""
    register_converters()
    X, y = digits[0][:300].astype(np.float32), digits[1][:300]
    model = make_pipeline(PixelScaler(), CalibratedClassifierCV(base(), cv=2)).fit(X, y)
    out = convert(model, X, {id(model[-1]): {"zipmap": False}})
    np.testing.assert_allclose(out["probabilities"], model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(out["label"], model.predict(X))


class InkScaler(PixelScaler):
    """A subclass that somebody else wrote."""


class NamedPipeline(Pipeline):
    """A subclass that somebody else wrote."""


class WideClassifier(KerasMLPClassifier):
    """A subclass that somebody else wrote."""


def test_subclasses_export_as_their_parents_do(digits):
    X, y = digits[0][:300], digits[1][:300]
    steps = [("scale", InkScaler()), ("mlp", WideClassifier((8,), epochs=1, random_state=0))]
    estimator = VotingClassifier([("one", NamedPipeline(steps))], voting="soft").fit(X, y)
    model = to_onnx(estimator)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    label, probabilities = session.run(None, {"X": X})
    np.testing.assert_allclose(probabilities, estimator.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(label, estimator.predict(X))


@pytest.mark.parametrize("step", [InkScaler, NamedPipeline, WideClassifier])
def test_subclasses_can_be_registered(step):
    register_subclass(step)
    assert step in sklearn_operator_name_map


def test_foreign_classes_cannot_be_registered():
    with pytest.raises(TypeError, match=r"Got LogisticRegression instead.*skl2onnx\.update"):
        register_subclass(LogisticRegression)
