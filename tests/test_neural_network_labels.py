"""Labels of any kind, and what a row or a class counts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from mnist_estimator import KerasMLPClassifier
from mnist_estimator._targets import class_factors, encode_labels

LABELS = {
    "uint8": np.array([0, 1, 2], np.uint8),
    "int8": np.array([-7, 0, 100], np.int8),
    "int64": np.array([10**12, 10**12 + 1, 10**12 + 2]),
    "not from 0": np.array([5, 6, 9]),
    "negative": np.array([-3, -2, -1]),
    "floats": np.array([1.0, 2.0, 4.0]),
    "strings": np.array(["eight", "nine", "ten"]),
    "objects": np.array(["eight", "nine", "ten"], dtype=object),
    "booleans": np.array([False, True]),
    "two integers": np.array([4, 9]),
    "two strings": np.array(["no", "yes"]),
    "many": np.arange(26) * 3,
}


def blobs(n_classes, per_class=20):
    """Rows that a linear model tells apart, class by class."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(n_classes), per_class)
    X = np.eye(n_classes, 30)[codes] + rng.normal(scale=0.05, size=(len(codes), 30))
    return X.astype(np.float32), codes


@pytest.fixture
def mlp():
    return KerasMLPClassifier((16,), epochs=30, learning_rate=0.02, dropout=0, random_state=0)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_come_back_in_their_own_kind(labels, mlp):
    X, codes = blobs(len(labels))
    mlp.set_params(validation_split=0.2).fit(X, labels[codes])
    np.testing.assert_array_equal(mlp.classes_, labels)
    assert mlp.classes_.dtype == labels.dtype
    predicted = mlp.predict(X)
    assert predicted.dtype == labels.dtype
    assert (predicted == labels[codes]).mean() > 0.95
    assert mlp.predict_proba(X).shape == (len(X), len(labels))


@pytest.mark.parametrize("kind", [list, pd.Series, pd.Categorical, tuple])
def test_labels_in_any_container(kind, mlp):
    X, codes = blobs(3)
    labels = LABELS["strings"][codes]
    assert mlp.fit(X, kind(labels)).score(X, labels) > 0.95


def test_kinds_of_labels_do_not_change_the_weights(mlp):
    X, codes = blobs(2)
    fits = [
        clone(mlp).set_params(epochs=2).fit(X, LABELS[kind][codes])
        for kind in ("booleans", "two strings", "two integers")
    ]
    assert len({one.predict_proba(X).tobytes() for one in fits}) == 1


def test_encoding_by_known_classes():
    codes, classes = encode_labels(np.array(["b", "a"]), np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(codes, [1, 0])
    assert codes.dtype == np.int32
    assert list(classes) == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"labels \['A', 'd'\], which are not among .*'a', 'b'"):
        encode_labels(np.array(["d", "a", "A"]), np.array(["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"labels \[-1\], which are not among"):
        encode_labels(np.array([-1, 2]), np.array([1, 2], np.uint8))


# What a row counts.


def test_rows_of_weight_0_are_left_out(mlp):
    X, codes = blobs(3)
    mlp.set_params(epochs=2, validation_split=0.2)
    weight = np.ones(60)
    weight[40:] = 0
    weighted = clone(mlp).fit(X, np.where(weight, codes, 1), sample_weight=weight)
    alone = clone(mlp).fit(X[:40], codes[:40])
    np.testing.assert_array_equal(weighted.predict_proba(X), alone.predict_proba(X))
    assert weighted.n_samples_fit_ == alone.n_samples_fit_ == 32
    # The class that is nothing but such rows is still one of the classes.
    weighted = clone(mlp).fit(X, codes, sample_weight=weight)
    np.testing.assert_array_equal(weighted.classes_, [0, 1, 2])


def test_weights_decide_between_contradictory_rows(mlp):
    X, codes = blobs(2)
    X, y = np.r_[X, X], np.r_[codes, 1 - codes]
    weight = np.repeat([3.0, 1.0], 40)
    assert clone(mlp).fit(X, y, sample_weight=weight).score(X[:40], codes) > 0.95
    assert clone(mlp).fit(X, y, sample_weight=weight[::-1]).score(X[:40], codes) < 0.05


@pytest.mark.parametrize("scale", [2.0, np.float32(2), 2])
def test_one_weight_for_all_rows_and_the_users_weights_stay_as_they_are(mlp, scale):
    X, codes = blobs(2)
    weight = np.full(40, scale, np.float32)
    mlp.set_params(epochs=2, class_weight={0: 3}).fit(X, codes, sample_weight=weight)
    np.testing.assert_array_equal(weight, 2)
    other = clone(mlp).fit(X, codes, sample_weight=scale)
    np.testing.assert_array_equal(mlp.predict_proba(X), other.predict_proba(X))


def test_no_weight_is_weight_1(mlp):
    X, codes = blobs(2)
    mlp.set_params(epochs=2)
    plain, weighted = clone(mlp).fit(X, codes), clone(mlp).fit(X, codes, np.ones(40))
    np.testing.assert_array_equal(plain.predict_proba(X), weighted.predict_proba(X))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(40, -1.0), "0 or more.*from -1 to -1"),
        (np.zeros(40), "at least one"),
        (np.full(40, np.nan), "NaN"),
        (np.full(40, np.inf), "infinity"),
        (np.ones(39), "39"),
        (np.ones((40, 2)), "1D"),
    ],
)
def test_bad_weights_are_refused(mlp, weight, message):
    X, codes = blobs(2)
    with pytest.raises(ValueError, match=message):
        mlp.fit(X, codes, sample_weight=weight)
    assert not hasattr(mlp, "classes_")


# What a class counts.


def test_class_weights_are_row_weights(mlp):
    X, codes = blobs(3)
    labels = LABELS["strings"][codes]
    mlp.set_params(epochs=2)
    by_class = clone(mlp).set_params(class_weight={"nine": 2, "ten": 0.5}).fit(X, labels)
    by_row = clone(mlp).fit(X, labels, sample_weight=np.array([1, 2, 0.5])[codes])
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))


def test_class_weights_multiply_row_weights(mlp):
    X, codes = blobs(2)
    mlp.set_params(epochs=2)
    weight = np.random.default_rng(0).random(40) + 0.5
    both = clone(mlp).set_params(class_weight={1: 4}).fit(X, codes, weight)
    rows = clone(mlp).fit(X, codes, weight * np.array([1, 4])[codes])
    np.testing.assert_allclose(both.predict_proba(X), rows.predict_proba(X), rtol=1e-5)


def test_balanced_counts_every_class_alike(mlp):
    X, codes = blobs(2)
    few = np.r_[0:20, 20:24]
    mlp.set_params(epochs=2)
    balanced = clone(mlp).set_params(class_weight="balanced").fit(X[few], codes[few])
    by_hand = clone(mlp).set_params(class_weight={0: 24 / 40, 1: 24 / 8}).fit(X[few], codes[few])
    np.testing.assert_array_equal(balanced.predict_proba(X), by_hand.predict_proba(X))


def test_balance_is_counted_on_the_training_rows():
    factors = class_factors("balanced", np.array(["a", "b", "c"]), np.array([0, 0, 0, 2]))
    np.testing.assert_allclose(factors, [2 / 3, 1, 2])  # "b" has no row to count


def test_class_weights_leave_the_validation_figures_alone(mlp):
    X, codes = blobs(2)
    mlp.set_params(epochs=1, learning_rate=1e-30, validation_split=0.5)
    plain = clone(mlp).fit(X, codes).history_
    weighted = clone(mlp).set_params(class_weight={1: 10}).fit(X, codes).history_
    assert weighted["val_loss"] == plain["val_loss"]
    assert weighted["loss"][0] > plain["loss"][0]


def test_class_weights_of_classes_that_are_none_are_named(mlp):
    X, codes = blobs(2)
    with pytest.raises(ValueError, match=r"class_weight names the classes \['1', 2\].*\[0, 1\]"):
        mlp.set_params(class_weight={0: 1, "1": 2, 2: 1}).fit(X, codes)
