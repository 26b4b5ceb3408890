"""What a classifier gets right and wrong: accuracy by class, confused pairs, doubtful labels.

It starts from labels (integers, strings or booleans) and probabilities, of whatever classifier.
"""

from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter

import numpy as np

from mnist_estimator.evaluation._baselines import baseline_accuracies

__all__ = [
    "ClassAccuracy",
    "ConfusedPair",
    "Evaluation",
    "baseline_accuracies",
    "evaluate",
    "rank_ambiguous",
    "rank_label_issues",
    "rank_misread",
]

N_CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassAccuracy:
    """How often the rows of one class were read rightly.

    Attributes
    ----------
    label : int, str or bool
        The class.
    n_rows : int
        How many rows truly are of this class.
    n_correct : int
        How many of them were read as it.

    Examples
    --------
    >>> from mnist_estimator.evaluation import ClassAccuracy
    >>> ClassAccuracy("seven", n_rows=20, n_correct=19).accuracy
    0.95
    """

    label: object
    n_rows: int
    n_correct: int

    @property
    def accuracy(self):
        """Share of `n_rows` read rightly (the class's recall); NaN for a class without rows."""
        return self.n_correct / self.n_rows if self.n_rows else float("nan")


@dataclass(frozen=True)
class ConfusedPair:
    """How often two classes were taken for each other.

    Attributes
    ----------
    first, second : int, str or bool
        The two classes, in the order of the classifier's classes.
    first_as_second : int
        How many rows of `first` were read as `second`.
    second_as_first : int
        How many rows of `second` were read as `first`.

    Examples
    --------
    >>> from mnist_estimator.evaluation import ConfusedPair
    >>> ConfusedPair(4, 9, first_as_second=12, second_as_first=9).count
    21
    """

    first: object
    second: object
    first_as_second: int
    second_as_first: int

    @property
    def count(self):
        """Mistakes in both directions."""
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True)
class Evaluation:
    """The figures of one classifier on one set of rows; ``str(evaluation)`` puts them in words.

    Attributes
    ----------
    n_rows : int
        How many rows were read.
    accuracy : float
        Share of rows read rightly.
    log_loss : float
        Mean of ``-log(probability of the true class)``, natural logarithm: the cross-entropy
        that the network minimises.
    calibration_error : float
        Expected calibration error, 0 to 1: with the rows sorted into 15 equally wide bins of
        their confidence (the largest probability), the mean over the rows of the difference
        between confidence and accuracy of their bin. A classifier that says 0.8 and is right
        eight times in ten has none.
    per_class : tuple of ClassAccuracy
        One entry a class, in the order of the classes.
    confused_pairs : tuple of ConfusedPair
        The pairs confused at least once, most mistakes first.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from mnist_estimator.evaluation import evaluate
    >>> probabilities = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]
    >>> evaluation = evaluate([4, 9, 9, 9], [4, 4, 9, 9], probabilities, classes=[4, 9])
    >>> evaluation.accuracy, evaluation.n_misread, evaluation.worst.label
    (0.75, 1, 9)
    """

    n_rows: int
    accuracy: float
    log_loss: float
    calibration_error: float
    per_class: tuple[ClassAccuracy, ...]
    confused_pairs: tuple[ConfusedPair, ...]

    @property
    def n_misread(self):
        """How many rows were read wrongly."""
        return self.n_rows - sum(entry.n_correct for entry in self.per_class)

    @property
    def best(self):
        """The ClassAccuracy of the class read best, of those that have rows."""
        return max((entry for entry in self.per_class if entry.n_rows), key=attrgetter("accuracy"))

    @property
    def worst(self):
        """The ClassAccuracy of the class read worst, of those that have rows."""
        return min((entry for entry in self.per_class if entry.n_rows), key=attrgetter("accuracy"))

    def __str__(self):
        sentences = [
            f"Accuracy {self.accuracy:.2%} on {self.n_rows:,} rows ({self.n_misread:,} misread), "
            f"log-loss {self.log_loss:.4f}, calibration error {self.calibration_error:.2%}.",
            f"Best read: {self.best.label} ({self.best.accuracy:.2%} of {self.best.n_rows:,}); "
            f"worst: {self.worst.label} ({self.worst.accuracy:.2%} of {self.worst.n_rows:,}).",
        ]
        if self.confused_pairs:
            pairs = ", ".join(
                f"{pair.first} ↔ {pair.second} ({pair.count:,})" for pair in self.confused_pairs[:3]
            )
            sentences.append(f"Most confused: {pairs}.")
        return "\n".join(sentences)


def evaluate(y_true, y_pred, probabilities, *, classes):
    """Summarise how well a classifier read some rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        The true labels.
    y_pred : array-like of shape (n_rows,)
        The predicted labels.
    probabilities : array-like of float, shape (n_rows, n_classes)
        The probability of each class, a column a class.
    classes : array-like of shape (n_classes,)
        The classes in the order of the columns, as in an estimator's `classes_`.

    Returns
    -------
    evaluation : Evaluation
        Accuracy, log-loss, calibration error, accuracy by class, confused pairs.

    Raises
    ------
    ValueError
        If there are no rows, lengths or shapes differ, or a label is not one of `classes`.

    Examples
    --------
    >>> from mnist_estimator.evaluation import evaluate
    >>> probabilities = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]
    >>> print(evaluate(["four", "nine", "nine", "nine"], ["four", "four", "nine", "nine"],
    ...                probabilities, classes=["four", "nine"]))
    Accuracy 75.00% on 4 rows (1 misread), log-loss 0.4004, calibration error 30.00%.
    Best read: four (100.00% of 1); worst: nine (66.67% of 3).
    Most confused: four ↔ nine (1).
    """
    true, predicted, probabilities, labels = _check(y_true, y_pred, probabilities, classes)
    correct = true == predicted
    return Evaluation(
        n_rows=len(true),
        accuracy=float(correct.mean()),
        log_loss=_log_loss(true, probabilities),
        calibration_error=_calibration_error(correct, probabilities),
        per_class=_per_class(true, predicted, labels),
        confused_pairs=_confused_pairs(true, predicted, labels),
    )


def rank_misread(y_true, y_pred, probabilities, *, classes):
    """Return the rows read wrongly, most confident mistake first.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        The true and the predicted labels.
    probabilities : array-like of float, shape (n_rows, n_classes)
        The probability of each class, a column a class.
    classes : array-like of shape (n_classes,)
        The classes in the order of the columns.

    Returns
    -------
    rows : ndarray of int, shape (n_misread,)
        Row numbers, by falling probability of the predicted label.

    Examples
    --------
    >>> from mnist_estimator.evaluation import rank_misread
    >>> rank_misread([4, 4, 9], [9, 9, 9], [[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]], classes=[4, 9])
    array([1, 0])
    """
    true, predicted, probabilities, _ = _check(y_true, y_pred, probabilities, classes)
    rows = np.flatnonzero(true != predicted)
    return rows[np.argsort(-probabilities[rows, predicted[rows]], kind="stable")]


def rank_label_issues(y, probabilities, *, classes):
    """Rank all rows by how wrong their labels look, most doubtful first.

    The score is confident learning's self-confidence, the probability of the given label. The
    probabilities must come from a classifier that was not trained on the row, as
    :func:`sklearn.model_selection.cross_val_predict` gives them with ``method="predict_proba"``;
    means of several such runs, differently shuffled, find more of the wrong labels.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The given labels, some of them perhaps wrong.
    probabilities : array-like of float, shape (n_rows, n_classes)
        Out-of-fold probabilities, a column a class.
    classes : array-like of shape (n_classes,)
        The classes in the order of the columns.

    Returns
    -------
    rows : ndarray of int, shape (n_rows,)
        Row numbers; look at the first ones by eye.

    References
    ----------
    C. Northcutt, L. Jiang and I. Chuang, "Confident learning", JAIR 70, 2021.

    Examples
    --------
    >>> from mnist_estimator.evaluation import rank_label_issues
    >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> rank_label_issues(["one", "one", "seven"], probabilities, classes=["one", "seven"])
    array([1, 2, 0])
    """
    labels, _, probabilities, _ = _check(y, y, probabilities, classes)
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")


def rank_ambiguous(probabilities, *, classes):
    """Rank all rows by how evenly they lie between two classes, most evenly first.

    The score is the difference of the two largest probabilities: 0 for a row exactly between two
    classes, 1 for a sure one. Of blends of two digits among MNIST's it found more than the
    second-largest probability alone did.

    Parameters
    ----------
    probabilities : array-like of float, shape (n_rows, n_classes)
        The probability of each class, a column a class.
    classes : array-like of shape (n_classes,)
        The classes in the order of the columns.

    Returns
    -------
    rows : ndarray of int, shape (n_rows,)
        Row numbers.
    pairs : ndarray of shape (n_rows, 2)
        The likeliest and the second likeliest class of each of `rows`, in the same order.

    Examples
    --------
    >>> from mnist_estimator.evaluation import rank_ambiguous
    >>> rows, pairs = rank_ambiguous([[0.1, 0.8, 0.1], [0.0, 0.4, 0.6]], classes=[1, 4, 9])
    >>> rows, pairs[0]
    (array([1, 0]), array([9, 4]))
    """
    probabilities, classes = np.asarray(probabilities), np.asarray(classes)
    _check_shape(probabilities, len(probabilities), len(classes))
    top_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(probabilities, top_two, axis=1).T
    rows = np.lexsort((-second, first - second))
    return rows, classes[top_two[rows]]


def _check(y_true, y_pred, probabilities, classes):
    """Return labels as column numbers, probabilities as an array, classes as Python scalars."""
    labels = np.asarray(classes).tolist()
    true = column_numbers(y_true, labels, "y_true")
    predicted = column_numbers(y_pred, labels, "y_pred")
    probabilities = np.asarray(probabilities)
    if len(true) == 0:
        raise ValueError("Found no rows to evaluate; give at least one label.")
    if len(predicted) != len(true):
        raise ValueError(f"Found {len(true)} true labels, but {len(predicted)} predicted ones.")
    _check_shape(probabilities, len(true), len(labels))
    return true, predicted, probabilities, labels


def column_numbers(y, labels, name):
    """Return for each label of `y` its place in `labels`."""
    # A dictionary, because NumPy would call the integer 4 and the string "4" the same.
    column_of = {label: column for column, label in enumerate(labels)}
    y = np.asarray(y).tolist()
    unknown = sorted(set(y) - set(labels), key=repr)
    if unknown:
        raise ValueError(
            f"{name} contains labels that are not among the classes: {unknown[:5]}. The classes "
            f"are {labels}; give rows of these classes only, with labels of the same type."
        )
    return np.array([column_of[label] for label in y], dtype=np.intp)


def _check_shape(probabilities, n_rows, n_classes):
    """Raise where `probabilities` is not one row a label and one column a class."""
    if probabilities.shape != (n_rows, n_classes):
        raise ValueError(
            f"Found probabilities of shape {probabilities.shape}; expected ({n_rows}, "
            f"{n_classes}): one row a label, one column a class."
        )


def _log_loss(true, probabilities):
    """Return the mean negative log-probability of the true classes."""
    of_truth = probabilities[np.arange(len(true)), true].astype(np.float64)
    # A probability of exactly 0 would make the loss infinite; Keras and scikit-learn clip too.
    smallest = np.finfo(np.float32).eps
    return float(-np.log(np.clip(of_truth, smallest, 1)).mean())


def _calibration_error(correct, probabilities):
    """Return the expected calibration error over equally wide bins."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.ceil(confidence * N_CALIBRATION_BINS).astype(np.intp)
    gaps = np.bincount(bins, weights=correct - confidence)
    return float(np.abs(gaps).sum() / len(correct))


def _per_class(true, predicted, labels):
    """Return one ClassAccuracy a class."""
    n_rows = np.bincount(true, minlength=len(labels)).tolist()
    n_correct = np.bincount(true[true == predicted], minlength=len(labels)).tolist()
    return tuple(map(ClassAccuracy, labels, n_rows, n_correct))


def _confused_pairs(true, predicted, labels):
    """Return the pairs of classes confused at least once, most mistakes first."""
    n_classes = len(labels)
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    counts = counts.reshape(n_classes, n_classes).tolist()
    pairs = (
        ConfusedPair(labels[i], labels[j], counts[i][j], counts[j][i])
        for i, j in combinations(range(n_classes), 2)
    )
    return tuple(sorted((p for p in pairs if p.count), key=lambda pair: -pair.count))
