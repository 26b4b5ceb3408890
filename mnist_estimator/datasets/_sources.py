"""The data sets that the command line trains on, each as a train and a test part."""

import os
from os import PathLike
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mnist_estimator.datasets._mnist import fetch_mnist
from mnist_estimator.exceptions import DatasetError


def load_image_data(
    source: str | PathLike[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load a data set of digits, split into a train and a test part.

    Parameters
    ----------
    source : str or path-like
        - ``"mnist"``: MNIST as `fetch_mnist` finds or downloads it, 60,000 and 10,000 images of
          28 × 28 pixels, grey levels 0–255.
        - ``"digits"``: the 1,797 scans inside scikit-learn, 8 × 8 pixels, grey levels 0–16. They
          need no network. A stratified fifth, always the same, is the test part.
        - anything else: a folder that holds MNIST's four IDX files. Nothing is downloaded to it.

    Returns
    -------
    X_train : ndarray of uint8, shape (n_train, n_pixels)
        Images to learn from, one flat row each.
    y_train : ndarray of int64, shape (n_train,)
        Their digits, 0–9.
    X_test : ndarray of uint8, shape (n_test, n_pixels)
        Images to be judged on.
    y_test : ndarray of int64, shape (n_test,)
        Their digits, 0–9.

    Raises
    ------
    DatasetError
        If `source` is neither a known name nor a folder, or if a file is missing or is not what
        was published.

    Examples
    --------
    >>> from mnist_estimator.datasets import load_image_data
    >>> X_train, y_train, X_test, y_test = load_image_data("digits")
    >>> X_train.shape, X_test.shape
    ((1437, 64), (360, 64))
    """
    if source == "digits":
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(
            X.astype(np.uint8), y.astype(np.int64), test_size=0.2, stratify=y, random_state=0
        )
        return X_train, y_train, X_test, y_test
    if source == "mnist":
        options = {}
    elif Path(os.path.expanduser(source)).is_dir():  # noqa: PTH111
        options = {"data_home": source, "download_if_missing": False}
    else:
        raise DatasetError(
            f"No data at {str(source)!r}: expected 'mnist', 'digits' (scans that need no "
            "network), or a folder that holds MNIST's four IDX files."
        )
    return (
        *fetch_mnist(subset="train", return_X_y=True, **options),
        *fetch_mnist(subset="test", return_X_y=True, **options),
    )
