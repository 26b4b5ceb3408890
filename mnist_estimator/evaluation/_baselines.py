"""What simple classifiers reach, for comparison."""

import warnings

import numpy as np


def baseline_accuracies(X_train, y_train, X_test, y_test):
    """Fit three simple classifiers, and return what each reaches on the test rows.

    A network is worth its trouble where it beats the most frequent class, the nearest of the
    class means, and logistic regression (at most 50 steps of L-BFGS).

    Parameters
    ----------
    X_train, X_test : array-like of shape (n_rows, n_features) or (n_rows, height, width)
        Grey levels, 0 or more, without missing values.
    y_train, y_test : array-like of shape (n_rows,)
        The labels.

    Returns
    -------
    accuracies : dict of str to float
        The share of test rows read rightly by each method, weakest method first.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from mnist_estimator.evaluation import baseline_accuracies
    >>> rows = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> X_train, X_test, y_train, y_test = rows
    >>> accuracies = baseline_accuracies(X_train, y_train, X_test, y_test)
    >>> for method, accuracy in accuracies.items():
    ...     print(f"{method}: {accuracy:.0%}")
    most frequent class: 8%
    nearest class mean: 90%
    logistic regression: 96%
    """
    # Only this function needs scikit-learn, which takes a second to load.
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid

    X_train = np.asarray(X_train, dtype=np.float32).reshape(len(X_train), -1)
    X_test = np.asarray(X_test, dtype=np.float32).reshape(len(X_test), -1)
    scale = X_train.max() or 1.0
    methods = {
        "most frequent class": DummyClassifier(strategy="most_frequent"),
        "nearest class mean": NearestCentroid(),
        "logistic regression": LogisticRegression(max_iter=50),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, constant pixels: no matter here
        return {
            method: float(classifier.fit(X_train / scale, y_train).score(X_test / scale, y_test))
            for method, classifier in methods.items()
        }
