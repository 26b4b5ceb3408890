"""OnnxClassifier as a scikit-learn classifier, and what a process that only predicts imports."""

import copy
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted

from mnist_estimator import OnnxClassifier, PixelScaler, inference, save_onnx
from mnist_estimator.exceptions import ModelFileError

ROWS = np.random.default_rng(0).integers(0, 256, (600, 784), dtype=np.uint8)


@pytest.fixture
def path(network_file, tmp_path):
    path = tmp_path / "digits.onnx"
    path.write_bytes(network_file(classes=np.arange(10, dtype=np.uint8)).SerializeToString())
    return path


@pytest.fixture
def classifier(path):
    return OnnxClassifier(path)


def test_it_is_fitted_from_the_beginning(classifier):
    check_is_fitted(classifier)
    assert is_classifier(classifier)
    assert is_classifier(make_pipeline(classifier))
    assert get_tags(classifier).requires_fit is False
    assert classifier.classes_.tolist() == list(range(10))
    assert classifier.classes_.dtype == np.uint8
    assert classifier.n_features_in_ == 784
    assert classifier.metadata_["licence"] == "MIT"
    assert not hasattr(classifier, "feature_names_in_")


def test_predictions(classifier):
    probabilities = classifier.predict_proba(ROWS)
    labels = classifier.predict(ROWS)
    assert probabilities.shape == (600, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(labels, classifier.classes_[probabilities.argmax(axis=1)])
    assert labels.dtype == np.uint8
    y = np.arange(600) % 10
    weights = np.linspace(0, 1, 600)
    assert classifier.score(ROWS, y, weights) == accuracy_score(y, labels, sample_weight=weights)


def test_messages_name_the_classifier(classifier):
    message = "X has 783 features, but OnnxClassifier is expecting 784 features as input."
    for method in (classifier.predict, classifier.predict_proba):
        with pytest.raises(ValueError, match=message):
            method(ROWS[:, :783])


def test_fit_checks_the_file_and_changes_nothing(classifier, tmp_path):
    before = classifier.predict_proba(ROWS)
    assert classifier.fit(ROWS, np.zeros(600), sample_weight=np.ones(600)) is classifier
    np.testing.assert_array_equal(classifier.predict_proba(ROWS), before)
    with pytest.raises(ModelFileError, match="there is no such file"):
        OnnxClassifier(tmp_path / "nowhere.onnx").fit()


def test_a_constructor_only_assigns(tmp_path):
    nowhere = tmp_path / "nowhere.onnx"
    classifier = OnnxClassifier(nowhere, n_threads=0)
    expected = {"path": nowhere, "providers": None, "n_threads": 0, "trusted": False}
    assert vars(classifier) == expected
    for ask in (
        lambda: classifier.set_params(n_threads=1).predict(ROWS),
        lambda: classifier.classes_,
        lambda: pickle.dumps(classifier),
    ):
        with pytest.raises(ModelFileError, match="there is no such file"):
            ask()


def test_bad_parameters(classifier):
    with pytest.raises(ValueError, match="'n_threads' parameter must be"):
        classifier.set_params(n_threads=-2).predict(ROWS)
    with pytest.raises(ValueError, match="'providers' parameter must be"):
        classifier.set_params(n_threads=None, providers=["Teapot"]).predict(ROWS)


def test_changed_parameters_open_the_file_anew(classifier, network_file, tmp_path):
    assert classifier.predict(ROWS[:1]).shape == (1,)
    other = tmp_path / "other.onnx"
    other.write_bytes(network_file((8, 2), classes=["no", "yes"]).SerializeToString())
    classifier.set_params(path=str(other))
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.predict(ROWS[:3, :8]).shape == (3,)


def test_a_support_vector_machine_is_run_where_the_file_is_trusted(digits, tmp_path):
    X, y = digits
    machine = CalibratedClassifierCV(SVC(), cv=2)
    vote = VotingClassifier([("a", machine), ("b", LogisticRegression())], voting="soft")
    pipe = make_pipeline(PixelScaler(), vote).fit(X[:300], y[:300])
    save_onnx(pipe, tmp_path / "vote.onnx", X)
    classifier = OnnxClassifier(tmp_path / "vote.onnx", trusted=True)
    for copied in (classifier, clone(classifier), pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_array_equal(copied.predict(X), pipe.predict(X))
    with pytest.raises(ModelFileError, match=r"'SVM.*run only with trusted=True"):
        classifier.set_params(trusted=False).predict(X)


def test_copies_need_no_file(classifier, path):
    expected = classifier.predict_proba(ROWS)
    path.unlink()
    for copied in (
        clone(classifier),
        copy.copy(classifier),
        copy.deepcopy(classifier),
        pickle.loads(pickle.dumps(classifier)),
        clone(pickle.loads(pickle.dumps(classifier))),
    ):
        assert copied is not classifier
        assert copied.get_params() == classifier.get_params()
        np.testing.assert_array_equal(copied.predict_proba(ROWS), expected)
        with pytest.raises(ValueError, match="but OnnxClassifier is expecting 784"):
            copied.predict(ROWS[:, 1:])


def test_a_clone_of_an_unopened_classifier_is_unopened(tmp_path):
    cloned = clone(OnnxClassifier(tmp_path / "nowhere.onnx", providers=["CPUExecutionProvider"]))
    assert cloned.path == tmp_path / "nowhere.onnx"
    assert cloned.providers == ["CPUExecutionProvider"]


def test_a_pickle_works_in_another_process(classifier, path, tmp_path):
    files = [tmp_path / "classifier.joblib", tmp_path / "rows.npy", tmp_path / "expected.npy"]
    joblib.dump(classifier, files[0])
    np.save(files[1], ROWS)
    np.save(files[2], classifier.predict_proba(ROWS))
    path.unlink()
    script = (
        "import joblib, numpy as np, sys\n"
        "classifier = joblib.load(sys.argv[1])\n"
        "found = classifier.predict_proba(np.load(sys.argv[2]))\n"
        "np.testing.assert_array_equal(found, np.load(sys.argv[3]))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *map(str, files)], check=False)
    assert done.returncode == 0


def test_threads_that_come_at_once_open_the_file_once(classifier, monkeypatch):
    opened = []

    class Slow(inference.OnnxModel):
        def __init__(self, *args, **kwargs):
            opened.append(args)
            time.sleep(0.05)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(inference, "OnnxModel", Slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(classifier.predict, [ROWS] * 4))
    assert len(opened) == 1
    assert all((labels == found[0]).all() for labels in found)


def test_meta_estimators(classifier):
    y = np.arange(600) % 10
    scores = cross_val_score(classifier, ROWS, y, cv=3)
    assert scores == pytest.approx(
        [classifier.score(ROWS[part], y[part]) for part in np.split(np.arange(600), 3)], abs=0.05
    )
    search = GridSearchCV(classifier, {"n_threads": [1, 2]}, cv=2).fit(ROWS, y)
    np.testing.assert_array_equal(search.predict(ROWS), classifier.predict(ROWS))
    assert classifier.n_threads is None
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier)).fit(ROWS, y)
    assert calibrated.predict_proba(ROWS).shape == (600, 10)
    voting = VotingClassifier(
        [("onnx", classifier), ("line", LogisticRegression(max_iter=1))], voting="soft"
    )
    with pytest.warns(match="failed to converge"):
        voting.fit(ROWS / 255 > 0.5, y)
    assert voting.predict(ROWS).shape == (600,)


def test_joblib_workers(classifier):
    with joblib.parallel_config(backend="loky", n_jobs=2):
        scores = cross_val_score(classifier, ROWS, np.arange(600) % 10, cv=2)
    assert scores.shape == (2,)


def test_columns(tmp_path):
    from onnx import TensorProto, helper

    names = ["width", "height"]
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Concat", names, ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "columns",
        [info(name, TensorProto.FLOAT, ["N", 1]) for name in names],
        [
            info("label", TensorProto.INT64, ["N"]),
            info("probabilities", TensorProto.FLOAT, ["N", 2]),
        ],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    columns = '{"columns": [{"name": "width"}, {"name": "height"}]}'
    helper.set_model_props(
        model, {"classes": "[0, 1]", "classes_dtype": '"int64"', "input": columns}
    )
    path = tmp_path / "columns.onnx"
    path.write_bytes(model.SerializeToString())
    classifier = OnnxClassifier(path)
    assert classifier.feature_names_in_.tolist() == names
    assert classifier.n_features_in_ == 2
    assert classifier.predict({"height": [0.1, 0.9], "width": [0.5, 0.5]}).tolist() == [0, 1]


# Those of scikit-learn's checks that fit nothing on data of their own.
CHECKS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_mixin_order,
    estimator_checks.check_set_params,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks(classifier, check):
    check("OnnxClassifier", classifier)


def test_representations(classifier):
    assert repr(classifier).startswith("OnnxClassifier(path=")
    assert "digits.onnx" in classifier._repr_html_()
    assert isinstance(classifier, BaseEstimator)


def test_predicting_imports_nothing_of_tensorflow(path):
    script = (
        "import sys, numpy as np\n"
        "from mnist_estimator import OnnxClassifier\n"
        "classifier = OnnxClassifier(sys.argv[1])\n"
        "classifier.predict_proba(np.zeros((2, 784), np.uint8))\n"
        "classifier.score(np.zeros((2, 784), np.uint8), [0, 1])\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"sklearn", "onnxruntime"} <= set(loaded)
    heavy = {"tensorflow", "keras", "scikeras", "tf2onnx", "skl2onnx", "onnx", "matplotlib"}
    assert heavy.isdisjoint(loaded)
