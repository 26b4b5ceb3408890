"""Figures, rankings and baselines against hand-worked cases and scikit-learn's metrics."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, recall_score
from sklearn.model_selection import cross_val_predict, train_test_split

from mnist_estimator.evaluation import (
    ClassAccuracy,
    ConfusedPair,
    baseline_accuracies,
    evaluate,
    rank_ambiguous,
    rank_label_issues,
    rank_misread,
)


@pytest.fixture
def random_case():
    """Labels, predictions and probabilities of 300 rows of five classes, quite often wrong."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(5, 0.3), size=300) * 0.99 + 0.002
    y_true = np.array([rng.choice(5, p=0.7 * row + 0.06) for row in probabilities]) + 3
    return y_true, probabilities.argmax(axis=1) + 3, probabilities, np.arange(3, 8)


def test_figures_agree_with_scikit_learn(random_case):
    y_true, y_pred, probabilities, classes = random_case
    evaluation = evaluate(y_true, y_pred, probabilities, classes=classes)

    assert evaluation.n_rows == 300
    assert evaluation.accuracy == pytest.approx(accuracy_score(y_true, y_pred))
    assert evaluation.log_loss == pytest.approx(log_loss(y_true, probabilities))
    recall = recall_score(y_true, y_pred, average=None)
    assert [entry.accuracy for entry in evaluation.per_class] == pytest.approx(recall)
    assert [entry.label for entry in evaluation.per_class] == [3, 4, 5, 6, 7]
    assert evaluation.n_misread == (y_true != y_pred).sum()
    counts = confusion_matrix(y_true, y_pred)
    for pair in evaluation.confused_pairs:
        i, j = pair.first - 3, pair.second - 3
        assert (pair.first_as_second, pair.second_as_first) == (counts[i, j], counts[j, i])
    both_ways = [pair.count for pair in evaluation.confused_pairs]
    assert both_ways == sorted(both_ways, reverse=True)
    assert sum(both_ways) == evaluation.n_misread


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"],
        [False, True],
        np.array([7, 250], dtype=np.uint8),
        np.array(["four", "nine"], dtype=object),
    ],
    ids=["str", "bool", "uint8", "object"],
)
def test_labels_of_any_kind(labels):
    first, second = labels
    evaluation = evaluate(
        [first, second, second, second],
        [second, second, second, first],
        [[0.4, 0.6], [0.2, 0.8], [0.1, 0.9], [0.5, 0.5]],
        classes=labels,
    )
    first, second = np.asarray(labels).tolist()
    assert evaluation.accuracy == 0.5
    assert evaluation.per_class == (ClassAccuracy(first, 1, 0), ClassAccuracy(second, 3, 2))
    assert evaluation.confused_pairs == (ConfusedPair(first, second, 1, 1),)
    assert evaluation.best.label == second
    assert evaluation.worst.label == first


def test_frozen_and_in_words(random_case):
    y_true, y_pred, probabilities, classes = random_case
    evaluation = evaluate(y_true, y_pred, probabilities, classes=classes)
    with pytest.raises(FrozenInstanceError):
        evaluation.accuracy = 1.0
    lines = str(evaluation).splitlines()
    assert lines[0].startswith(f"Accuracy {evaluation.accuracy:.2%} on 300 rows")
    assert f"Best read: {evaluation.best.label} " in lines[1]
    pair = evaluation.confused_pairs[0]
    assert lines[2].startswith(f"Most confused: {pair.first} ↔ {pair.second} ({pair.count}), ")


def test_everything_right_has_no_pairs():
    evaluation = evaluate([0, 1], [0, 1], np.eye(2), classes=[0, 1])
    assert (evaluation.accuracy, evaluation.n_misread) == (1.0, 0)
    assert (evaluation.log_loss, evaluation.calibration_error) == (0.0, 0.0)
    assert evaluation.confused_pairs == ()
    assert "confused" not in str(evaluation)


def test_class_without_rows_has_no_accuracy_and_is_neither_best_nor_worst():
    evaluation = evaluate([0, 0], [0, 2], [[1, 0, 0], [0, 0, 1]], classes=[0, 1, 2])
    assert np.isnan(evaluation.per_class[1].accuracy)
    assert evaluation.best.label == evaluation.worst.label == 0


def test_probability_zero_of_the_truth_costs_a_finite_loss():
    evaluation = evaluate([0], [1], np.array([[0, 1]], dtype=np.float32), classes=[0, 1])
    assert evaluation.log_loss == pytest.approx(15.94, abs=0.01)


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    # Ten rows at confidence 0.82, six right; ten at 0.65, six right: gaps 0.22 and 0.05.
    probabilities = np.repeat([[0.82, 0.18], [0.65, 0.35]], 10, axis=0)
    y_true = [0] * 6 + [1] * 4 + [0] * 6 + [1] * 4
    evaluation = evaluate(y_true, [0] * 20, probabilities, classes=[0, 1])
    assert evaluation.calibration_error == pytest.approx(0.5 * 0.22 + 0.5 * 0.05)


def test_calibration_error_of_a_calibrated_classifier_is_small():
    rng = np.random.default_rng(1)
    right = rng.uniform(0.5, 1, size=20_000)
    y_true = (rng.uniform(size=20_000) > right).astype(int)
    probabilities = np.column_stack([right, 1 - right])
    evaluation = evaluate(y_true, np.zeros(20_000, int), probabilities, classes=[0, 1])
    assert evaluation.calibration_error < 0.02


def test_rank_misread_orders_by_confidence(random_case):
    y_true, y_pred, probabilities, classes = random_case
    rows = rank_misread(y_true, y_pred, probabilities, classes=classes)
    assert sorted(rows) == np.flatnonzero(y_true != y_pred).tolist()
    confidence = probabilities[rows].max(axis=1)
    assert (np.diff(confidence) <= 0).all()


def test_planted_wrong_labels_rank_first(digits):
    X, y = digits
    rng = np.random.default_rng(0)
    planted = rng.choice(len(y), size=len(y) // 10, replace=False)
    given = y.copy()
    given[planted] = (y[planted] + rng.integers(1, 10, size=len(planted))) % 10
    classifier = LogisticRegression(C=0.1, tol=1e-3)
    probabilities = cross_val_predict(classifier, X / 16, given, method="predict_proba")
    rows = rank_label_issues(given, probabilities, classes=np.arange(10))
    assert sorted(rows) == list(range(len(y)))
    assert np.isin(rows[: len(planted)], planted).mean() > 0.85


def test_rank_ambiguous_puts_the_even_split_first():
    probabilities = np.array([[0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [0.02, 0.48, 0.5]])
    rows, pairs = rank_ambiguous(probabilities, classes=["a", "b", "c"])
    assert rows.tolist() == [2, 0, 1]
    assert pairs[0].tolist() == ["c", "b"]


def test_rank_ambiguous_puts_a_row_between_two_classes_before_one_between_all():
    probabilities = np.array([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [0.3, 0.4, 0.3]])
    rows, pairs = rank_ambiguous(probabilities, classes=["a", "b", "c"])
    assert rows.tolist() == [1, 0, 2]
    assert pairs.tolist() == [["a", "b"], ["a", "b"], ["b", "a"]]


def test_baselines_grow_with_their_method(digits):
    X, y = digits
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    accuracies = baseline_accuracies(X_train.reshape(-1, 8, 8), y_train, X_test, y_test)
    assert list(accuracies) == ["most frequent class", "nearest class mean", "logistic regression"]
    frequent, mean, logistic = accuracies.values()
    assert frequent < 0.15
    assert 0.85 < mean < logistic


def test_baselines_of_string_labels():
    X = np.array([[0, 9], [8, 0], [1, 8], [0, 7]], dtype=np.uint8)
    accuracies = baseline_accuracies(X, ["a", "b", "a", "a"], X, ["a", "b", "a", "a"])
    assert accuracies["most frequent class"] == 0.75
    assert accuracies["nearest class mean"] == 1.0


def test_baselines_of_black_images_say_what_is_wrong():
    black = np.zeros((4, 6), dtype=np.uint8)
    with pytest.raises(ValueError, match="zero variance"):
        baseline_accuracies(black, [0, 1, 0, 1], black, [0, 1, 0, 1])


def test_mistakes_are_told():
    even = [[0.5, 0.5]]
    with pytest.raises(ValueError, match="no rows to evaluate"):
        evaluate([], [], np.empty((0, 2)), classes=[0, 1])
    with pytest.raises(ValueError, match="1 true labels, but 2 predicted"):
        evaluate([0], [0, 1], even, classes=[0, 1])
    with pytest.raises(ValueError, match=r"shape \(1, 2\); expected \(1, 3\)"):
        evaluate([0], [0], even, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y_true contains labels .*: \['9'\]"):
        evaluate(["9"], [0], even, classes=[0, 9])
    with pytest.raises(ValueError, match=r"y_pred contains labels .*: \[7\]"):
        rank_misread([0], [7], even, classes=[0, 9])
    with pytest.raises(ValueError, match="one column a class"):
        rank_ambiguous(even, classes=[0, 1, 2])


def test_import_needs_numpy_only():
    code = (
        "import sys, mnist_estimator.evaluation\n"
        "print({'sklearn', 'matplotlib', 'tensorflow', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
