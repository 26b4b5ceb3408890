"""scikit-learn's own checks of an estimator, whole."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from mnist_estimator import KerasMLPClassifier, PixelScaler, make_mnist_pipeline
from mnist_estimator._tensorflow import keras

# scikit-learn checks its own MLPClassifier here with solver="lbfgs" in place of its default
# (PER_ESTIMATOR_CHECK_PARAMS): a full-batch optimizer in float64, where nothing is random. Ours
# draws dropout masks a row and computes in float32; below it is held to what float32 can show.
STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "repeated rows draw more dropout masks",
}
# scikit-learn declares these for its own Pipeline, whose parameter `steps` holds the estimators
# that `fit` fits.
STEPS = {
    "check_estimators_overwrite_params": "Pipeline fits the estimators in `steps` themselves",
    "check_dont_overwrite_parameters": "Pipeline makes a new list of its `steps`",
}


def expected_failures(estimator):
    if isinstance(estimator, Pipeline):
        return STEPS
    return STOCHASTIC if isinstance(estimator, KerasMLPClassifier) else {}


# 30 epochs, because the checks have 30 to 300 rows and want them learnt.
@parametrize_with_checks(
    [
        PixelScaler(),
        KerasMLPClassifier(epochs=30),
        make_mnist_pipeline(epochs=30, random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# scikit-learn's own array stand-in does not know NumPy 2's `copy`.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


def test_weights_of_rows_count_as_repetitions_where_nothing_is_random():
    rng = np.random.default_rng(0)
    X, y, weight = rng.random((15, 30)), rng.integers(3, size=15), rng.integers(5, size=15)
    # Adam's step does not depend on the scale of the loss, but for its epsilon.
    adam = keras.optimizers.Adam(epsilon=1e-12)
    mlp = KerasMLPClassifier(dropout=0, batch_size=1000, optimizer=adam, random_state=0)
    weighted = clone(mlp).fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = mlp.fit(X.repeat(weight, axis=0), y.repeat(weight)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-5)
