"""scikit-learn's tools around the classifier: searches, ensembles, routing, pandas."""

import os

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    check_cv,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version

from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline


@pytest.fixture(scope="module")
def data(digits):
    """300 rows of four classes, sorted by label: folds that do not stratify miss classes."""
    X, y = digits
    X, y = X[y < 4][:300], y[y < 4][:300]
    order = np.argsort(y, kind="stable")
    return X[order] * np.uint8(15), y[order]  # 0 to 240 of 255


@pytest.fixture
def pipe():
    return make_mnist_pipeline(
        hidden_layer_sizes=(16,), epochs=6, learning_rate=0.02, random_state=0
    )


def test_it_is_a_classifier_through_the_pipeline_too(pipe):
    for estimator in (pipe, pipe["mlp"], GridSearchCV(pipe, {})):
        assert is_classifier(estimator)
        assert get_tags(estimator).estimator_type == "classifier"
        assert get_tags(estimator).classifier_tags.multi_class
        assert isinstance(
            check_cv(3, [0, 1] * 5, classifier=is_classifier(estimator)), StratifiedKFold
        )


def test_cross_validation_stratifies(pipe, data):
    X, y = data
    scores = cross_val_score(pipe, X, y, cv=3)
    assert scores.min() > 0.75  # folds of sorted rows would each lack a class
    result = cross_validate(
        pipe, X, y, cv=3, scoring=["accuracy", "neg_log_loss"], return_estimator=True
    )
    np.testing.assert_array_equal(result["test_accuracy"], scores)
    for fold in result["estimator"]:
        np.testing.assert_array_equal(fold.classes_, range(4))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(pipe, data, n_jobs):
    X, y = data
    grid = {"mlp__hidden_layer_sizes": [(16,), (2,)], "mlp__dropout": [0.0, 0.3]}
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=n_jobs).fit(X, y)
    assert search.best_params_["mlp__hidden_layer_sizes"] == (16,)
    assert search.score(X, y) > 0.9
    # The same weights wherever they were trained: in this process, alone.
    best = clone(pipe).set_params(**search.best_params_)
    expected = cross_val_score(best, X, y, cv=3)
    found = [search.cv_results_[f"split{i}_test_score"][search.best_index_] for i in range(3)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(search.predict_proba(X), best.fit(X, y).predict_proba(X))


def test_workers_use_the_threads_that_are_theirs(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)  # by it a user chooses

    def threads():
        from mnist_estimator._tensorflow import tf

        config = tf.config.threading
        chosen = (
            config.get_intra_op_parallelism_threads(),
            config.get_inter_op_parallelism_threads(),
        )
        return (*chosen, int(os.environ["OMP_NUM_THREADS"]))

    # Workers of an earlier test may have imported TensorFlow by another way than ours.
    get_reusable_executor().shutdown(wait=True)
    for intra, inter, theirs in Parallel(n_jobs=2)(delayed(threads)() for _ in range(2)):
        assert intra == inter == theirs


def test_grids_that_fail_say_why(pipe, data):
    grid = {"mlp__dropout": [0.1, 1.5]}
    with pytest.raises(ValueError, match="'dropout' parameter of KerasMLPClassifier must be"):
        GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(*data)


def test_reports_and_scorers(pipe, data):
    X, y = data
    names = np.array(["zero", "one", "two", "three"])
    pipe.fit(X, names[y])
    report = classification_report(names[y], pipe.predict(X), output_dict=True)
    assert set(names) < set(report)
    assert report["accuracy"] == pipe.score(X, names[y])
    assert get_scorer("neg_log_loss")(pipe, X, names[y]) > -0.5
    assert get_scorer("roc_auc_ovr")(pipe, X, names[y]) > 0.95


def test_out_of_fold_probabilities(pipe, data):
    X, y = data
    probabilities = cross_val_predict(pipe, X, y, cv=3, method="predict_proba")
    assert probabilities.shape == (len(X), 4)
    assert (probabilities.argmax(axis=1) == y).mean() > 0.9


def test_learning_curves_and_importances(pipe, data):
    X, y = data
    sizes, _, scores = learning_curve(pipe, X, y, cv=2, train_sizes=[0.3, 1.0], shuffle=True)
    assert scores.shape == (len(sizes), 2)
    important = permutation_importance(pipe.fit(X, y), X, y, n_repeats=1, random_state=0)
    assert important.importances_mean.max() > 0


@pytest.mark.parametrize(
    "around",
    [
        lambda pipe: VotingClassifier([("a", pipe), ("b", LogisticRegression())], voting="soft"),
        lambda pipe: VotingClassifier([("a", pipe), ("b", clone(pipe))], voting="hard"),
        lambda pipe: StackingClassifier([("a", pipe)], LogisticRegression(), cv=2),
        lambda pipe: CalibratedClassifierCV(pipe, cv=2),
        lambda pipe: CalibratedClassifierCV(pipe, method="isotonic", cv=2, ensemble=False),
        lambda pipe: BaggingClassifier(pipe, n_estimators=2, random_state=0),
        OneVsRestClassifier,
    ],
    ids=["soft vote", "hard vote", "stack", "sigmoid", "isotonic", "bags", "one against the rest"],
)
@pytest.mark.parametrize("labels", [np.arange(4, dtype=np.uint8), np.array(list("abcd"))])
def test_ensembles_around_it(pipe, data, around, labels):
    X, codes = data
    ensemble = around(pipe).fit(X, labels[codes])
    assert ensemble.score(X, labels[codes]) > 0.9
    assert set(ensemble.predict(X)) <= set(labels)


# pandas.


@pytest.fixture
def frame(data):
    return pd.DataFrame(data[0], columns=[f"pixel{i}" for i in range(64)])


def test_pandas_names_are_remembered_and_checked(frame, data):
    mlp = KerasMLPClassifier((16,), epochs=1, random_state=0)
    mlp.fit(frame / 240, pd.Series(data[1]))
    assert list(mlp.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(
        mlp.predict_proba(frame / 240),
        clone(mlp).fit((frame / 240).to_numpy(), data[1]).predict_proba(data[0] / 240),
    )
    with pytest.raises(ValueError, match="feature names should match"):
        mlp.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        mlp.predict(data[0] / 240)


def test_pandas_through_the_pipeline(pipe, frame, data):
    pipe.set_output(transform="pandas").fit(frame, data[1])
    assert list(pipe.feature_names_in_) == list(frame.columns)
    assert list(pipe["mlp"].feature_names_in_) == list(frame.columns)
    assert pipe[:-1].transform(frame).columns[0] == "pixel0"
    plain = clone(pipe).set_output(transform="default").fit(data[0], data[1])
    np.testing.assert_array_equal(pipe.predict_proba(frame), plain.predict_proba(data[0]))


# Row weights.


def test_weights_reach_the_network_through_the_pipeline(pipe, data):
    X, y = data
    weight = (y != 3).astype(float)
    pipe.fit(X, y, mlp__sample_weight=weight)
    assert 3 not in pipe.predict(X)
    assert 3 in pipe.classes_


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn 1.6 does not route to the score of a Pipeline within a search",
)
def test_metadata_routing(pipe, data):
    X, y = data
    weight = (y != 3).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = pipe["mlp"].set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = make_pipeline(PixelScaler(), mlp)
        routed.fit(X, y, sample_weight=weight)
        assert 3 not in routed.predict(X)
        search = GridSearchCV(routed, {"kerasmlpclassifier__dropout": [0.0]}, cv=2)
        search.fit(X, y, sample_weight=weight)
        assert 3 not in search.predict(X)
        assert search.best_score_ > 0.8  # the rows that were not learnt count nothing
        mlp.set_fit_request(sample_weight=None)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            routed.fit(X, y, sample_weight=weight)


def test_partial_fit_requests_routing_too():
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = KerasMLPClassifier().set_partial_fit_request(classes=True, sample_weight=True)
        requests = mlp.get_metadata_routing().partial_fit.requests
    assert requests == {"classes": True, "sample_weight": True}


# The rest of the protocol.


def test_parameters_and_representation():
    mlp = KerasMLPClassifier((32,), dropout=0.1)
    assert repr(mlp) == "KerasMLPClassifier(dropout=0.1, hidden_layer_sizes=(32,))"
    assert "KerasMLPClassifier" in mlp._repr_html_()
    with pytest.raises(ValueError, match="Invalid parameter 'droput'"):
        mlp.set_params(droput=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'droput'"):
        KerasMLPClassifier(droput=0.1)


def test_it_is_sci_keras_classifier():
    from scikeras.wrappers import KerasClassifier

    assert issubclass(KerasMLPClassifier, KerasClassifier)


def test_any_transformer_may_come_first(data):
    X, y = data
    halved = FunctionTransformer(lambda X: X.astype(np.float64) / 480)
    mlp = KerasMLPClassifier((16,), epochs=6, learning_rate=0.02, random_state=0)
    assert make_pipeline(halved, mlp).fit(X, y).score(X, y) > 0.9
