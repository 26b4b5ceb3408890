"""Everything that must export, each compared on real rows with its scikit-learn original."""

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.fixes import parse_version

from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline, to_onnx
from mnist_estimator.export._agreement import TOLERANCE
from mnist_estimator.export._exportable import as_exportable
from mnist_estimator.export._save_onnx import ROUNDING

# The benchmark of the export sets these to the reference network and real MNIST.
NETWORK = {"hidden_layer_sizes": (12,), "epochs": 3, "batch_size": 16}
PIXEL_MAX = 16


def network(seed=0):
    return KerasMLPClassifier(**NETWORK, random_state=seed)


def pixels(seed=0):
    pipeline = make_mnist_pipeline(**NETWORK, validation_split=0.0, random_state=seed)
    return pipeline.set_params(scale__pixel_max=PIXEL_MAX)


def linear():
    return make_pipeline(MinMaxScaler(), LogisticRegression())


def halves():
    return ColumnTransformer(
        [("top", StandardScaler(), list(range(32))), ("rest", MinMaxScaler(), slice(32, 50))],
        remainder="passthrough",
    )


SIZES = {"mlp__hidden_layer_sizes": [(8,), (12,)]}
MODELS = {
    "the reference": pixels,
    "SimpleImputer": lambda: make_pipeline(SimpleImputer(), pixels()),
    "StandardScaler": lambda: make_pipeline(StandardScaler(), network()),
    "MinMaxScaler": lambda: make_pipeline(MinMaxScaler(), network()),
    "PCA": lambda: make_pipeline(PixelScaler(), PCA(20), network()),
    "SelectKBest": lambda: make_pipeline(SelectKBest(k=30), pixels()),
    "ColumnTransformer": lambda: make_pipeline(halves(), network()),
    "FeatureUnion": lambda: make_pipeline(
        FeatureUnion([("pca", PCA(10)), ("best", SelectKBest(k=10))]), StandardScaler(), network()
    ),
    "nested pipelines": lambda: Pipeline(
        [
            ("clean", make_pipeline(SimpleImputer(), "passthrough", PixelScaler())),
            ("model", Pipeline([("pca", PCA(20)), ("inner", make_pipeline(network()))])),
        ]
    ),
    "GridSearchCV": lambda: GridSearchCV(pixels(), SIZES, cv=2),
    "RandomizedSearchCV": lambda: RandomizedSearchCV(pixels(), SIZES, n_iter=2, cv=2),
    "HalvingGridSearchCV": lambda: HalvingGridSearchCV(pixels(), SIZES, cv=2, random_state=0),
    "VotingClassifier, soft": lambda: VotingClassifier(
        [("a", pixels()), ("b", pixels(1)), ("c", "drop"), ("d", linear())],
        voting="soft",
        weights=[1, 2, 5, 1],
    ),
    "VotingClassifier, hard": lambda: VotingClassifier(
        [("a", pixels()), ("b", pixels(1)), ("c", linear())]
    ),
    "StackingClassifier": lambda: StackingClassifier([("a", pixels()), ("b", linear())], cv=2),
    "StackingClassifier, a network on top": lambda: StackingClassifier(
        [("a", pixels()), ("b", linear())], network(), cv=2, passthrough=True
    ),
    "BaggingClassifier": lambda: BaggingClassifier(pixels(), 2, random_state=0),
    "BaggingClassifier, half of the pixels": lambda: BaggingClassifier(
        pixels(), 2, max_features=0.5, random_state=0
    ),
    "CalibratedClassifierCV, sigmoid": lambda: CalibratedClassifierCV(pixels(), cv=2),
    "CalibratedClassifierCV, isotonic": lambda: CalibratedClassifierCV(
        pixels(), method="isotonic", cv=2
    ),
    "CalibratedClassifierCV of a linear model": lambda: make_pipeline(
        PixelScaler(), CalibratedClassifierCV(make_pipeline(linear()), cv=2)
    ),
    "OneVsRestClassifier": lambda: OneVsRestClassifier(pixels()),
}
HAS_TEMPERATURE = parse_version(sklearn.__version__) >= parse_version("1.8")
if HAS_TEMPERATURE:
    MODELS["CalibratedClassifierCV, temperature"] = lambda: CalibratedClassifierCV(
        pixels(), method="temperature", cv=2
    )
    MODELS["CalibratedClassifierCV of a linear model, temperature"] = lambda: make_pipeline(
        PixelScaler(), CalibratedClassifierCV(linear(), method="temperature", cv=2)
    )
WITH_CLASSES = [
    name
    for name in MODELS
    if name.split(",", maxsplit=1)[0].endswith("Classifier") or name.startswith("Calibrated")
]
# Further variants of a kind whose classes the first variant tests.
COSTLY = [name for name in WITH_CLASSES if "on top" in name or "half" in name]
LABELS = {
    "uint8": np.array([2, 3, 5, 7], dtype=np.uint8),
    "str": np.array(["nought", "one", "two", "three"]),
    "bool": np.array([False, True, True, False]),
}


def assert_same(run, model, estimator, X):
    label, probabilities = run(model, X)
    tolerance = TOLERANCE + ROUNDING * as_exportable(estimator).steepest
    if hasattr(estimator, "predict_proba"):
        expected = estimator.predict_proba(X)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=tolerance)
    top_two = np.sort(probabilities)[:, -2:]
    is_clear = top_two[:, 1] - top_two[:, 0] > tolerance
    np.testing.assert_array_equal(label[is_clear], estimator.predict(X)[is_clear])


# The border pixels of the scans are always 0.
@pytest.mark.filterwarnings(
    "ignore:Features .* are constant", "ignore:invalid value:RuntimeWarning"
)
@pytest.mark.parametrize("name", MODELS)
def test_exports(run, four_digits, name):
    X, y = four_digits
    estimator = MODELS[name]().fit(X, y)
    model = to_onnx(estimator, X[:2])
    assert_same(run, model, estimator, X)
    assert not {"Identity", "ZipMap"} & {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("name", [name for name in WITH_CLASSES if name not in COSTLY])
def test_classes_of_other_dtypes(run, four_digits, name, kind):
    X, y = four_digits
    estimator = MODELS[name]().fit(X, LABELS[kind][y])
    assert_same(run, to_onnx(estimator, X[:2]), estimator, X)


@pytest.mark.parametrize("name", ["StandardScaler", "StackingClassifier", "BaggingClassifier"])
def test_float64_rows(run, four_digits, name):
    X, y = four_digits
    X = X.astype(np.float64)
    estimator = MODELS[name]().fit(X, y)
    assert_same(run, to_onnx(estimator, X[:2]), estimator, X)


def test_missing_values(run, four_digits):
    X, y = four_digits
    X = X.astype(np.float32)
    X[::3, 20] = np.nan
    estimator = make_pipeline(SimpleImputer(), pixels()).fit(X, y)
    model = to_onnx(estimator, X[:2])
    assert "IsNaN" in [node.op_type for node in model.graph.node]
    assert_same(run, model, estimator, X)


def test_isotonic_steps_are_scikit_learns(run, four_digits):
    """Given the same network outputs, the calibrators agree to rounding, however steep."""
    X, y = four_digits
    calibrated = CalibratedClassifierCV(FrozenEstimator(pixels().fit(X, y)), method="isotonic")
    calibrated.fit(X, y)
    (fold,) = calibrated.calibrated_classifiers_
    uncalibrated = run(to_onnx(fold.estimator), X)[1]
    expected = np.column_stack(
        [step.predict(uncalibrated[:, k]) for k, step in enumerate(fold.calibrators)]
    )
    total = expected.sum(axis=1, keepdims=True)
    expected = np.where(total == 0, 1 / 4, expected / np.where(total == 0, 1, total))
    probabilities = run(to_onnx(calibrated), X)[1]
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)
    assert as_exportable(calibrated).steepest > 1
