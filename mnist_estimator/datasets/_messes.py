"""Clean data made messy, reproducibly: to see what a mess costs, and what a remedy brings back."""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, validate_params

_SHARE = [Interval(Real, 0, 1, closed="both")]


@validate_params(
    {
        "X": ["array-like"],
        "pixels": _SHARE,
        "lines": _SHARE,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def hide_pixels(X, *, pixels=0.1, lines=0.1, random_state=None):
    """Lose pixels and whole scan lines, as a bad scanner or a bad connection does.

    Parameters
    ----------
    X : array-like of shape (n_images, n_pixels) or (n_images, height, width)
        Grey levels. Flat rows are taken for square images.
    pixels : float, default=0.1
        The probability, 0 to 1, of each pixel to be missing.
    lines : float, default=0.1
        The probability, 0 to 1, of each row of pixels of an image to be missing as a whole.
    random_state : int, RandomState instance or None, default=None
        Which ones are missing.

    Returns
    -------
    X_hidden : ndarray of float32, same shape as X
        The grey levels, and NaN for those that are missing.

    Raises
    ------
    ValueError
        If `X` holds flat rows that are no square images.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator.datasets import hide_pixels
    >>> hide_pixels(np.full((1, 9), 7, dtype=np.uint8), random_state=62).reshape(3, 3)
    array([[nan,  7.,  7.],
           [ 7.,  7.,  7.],
           [nan, nan, nan]], dtype=float32)
    """
    X = check_array(X, ensure_all_finite="allow-nan", allow_nd=True)
    side = math.isqrt(X[0].size)
    if X.ndim == 2 and side * side != X.shape[1]:
        raise ValueError(
            f"Found rows of {X.shape[1]} pixels, which are no square images; give the images as an "
            "array of shape (n_images, height, width)."
        )
    hidden = X.astype(np.float32)
    images = hidden.reshape(len(X), side, side) if X.ndim == 2 else hidden
    rng = check_random_state(random_state)
    images[rng.uniform(size=images.shape) < pixels] = np.nan
    images[rng.uniform(size=images.shape[:2]) < lines] = np.nan
    return hidden


@validate_params(
    {
        "y": ["array-like"],
        "rare": ["array-like"],
        "ratio": [Interval(Real, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def thin_out(y, rare, *, ratio=20, random_state=None):
    """Choose rows so that some classes are rare.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels.
    rare : array-like of labels
        The classes to make rare.
    ratio : float, default=20
        Of each rare class one row in so many is kept, at least one; of the others all.
    random_state : int, RandomState instance or None, default=None
        Which ones are kept.

    Returns
    -------
    rows : ndarray of int, shape (n_kept,)
        The numbers of the rows kept, ascending.

    Raises
    ------
    ValueError
        If a label of `rare` is not in `y`.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator.datasets import thin_out
    >>> y = np.repeat(["four", "nine"], 40)
    >>> np.unique(y[thin_out(y, ["nine"], random_state=0)], return_counts=True)
    (array(['four', 'nine'], dtype='<U4'), array([40,  2]))
    """
    y = column_or_1d(y)
    keep = np.ones(len(y), dtype=bool)
    rng = check_random_state(random_state)
    for label in np.unique(rare):
        rows = np.flatnonzero(y == label)
        if len(rows) == 0:
            raise ValueError(
                f"The class {label!r} to make rare is not among the labels, which are "
                f"{np.unique(y).tolist()[:20]}."
            )
        n_kept = max(1, round(len(rows) / ratio))
        keep[rng.permutation(rows)[n_kept:]] = False
    return np.flatnonzero(keep)


@validate_params(
    {"y": ["array-like"], "share": _SHARE, "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def mislabel(y, *, share=0.1, random_state=None):
    """Give some rows a wrong label, any of the other classes.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels, of two classes or more.
    share : float, default=0.1
        The share of the rows, 0 to 1, that get a wrong one.
    random_state : int, RandomState instance or None, default=None
        Which rows, and which label.

    Returns
    -------
    y_given : ndarray of shape (n_rows,)
        The labels, some of them wrong.
    is_wrong : ndarray of bool, shape (n_rows,)
        Which ones.

    Raises
    ------
    ValueError
        If all labels are the same.

    Examples
    --------
    >>> from mnist_estimator.datasets import mislabel
    >>> y_given, is_wrong = mislabel([0, 1, 2, 3], share=0.25, random_state=0)
    >>> y_given, is_wrong
    (array([0, 1, 0, 3]), array([False, False,  True, False]))
    """
    classes, codes = np.unique(column_or_1d(y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"All labels are {classes.tolist()}; there is no wrong one to give.")
    rng = check_random_state(random_state)
    is_wrong = np.zeros(len(codes), dtype=bool)
    is_wrong[rng.permutation(len(codes))[: round(share * len(codes))]] = True
    codes[is_wrong] += rng.randint(1, len(classes), size=is_wrong.sum())
    return classes[codes % len(classes)], is_wrong


@validate_params(
    {
        "X": ["array-like"],
        "y": ["array-like"],
        "n_blends": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def blend_pairs(X, y, n_blends, *, random_state=None):
    """Make images that lie half-way between two images of different classes.

    Parameters
    ----------
    X : array-like of shape (n_images, ...)
        Images.
    y : array-like of shape (n_images,)
        Their labels, of two classes or more.
    n_blends : int
        How many to make.
    random_state : int, RandomState instance or None, default=None
        Of which pairs.

    Returns
    -------
    blends : ndarray of shape (n_blends, ...)
        The means of two images each, in the dtype of `X`.
    pairs : ndarray of shape (n_blends, 2)
        The two labels.

    Raises
    ------
    ValueError
        If all labels are the same.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator.datasets import blend_pairs
    >>> X = np.array([[0, 200, 100], [100, 200, 0]], dtype=np.uint8)
    >>> blend_pairs(X, ["four", "nine"], 1, random_state=0)
    (array([[ 50, 200,  50]], dtype=uint8), array([['four', 'nine']], dtype='<U4'))
    """
    X, y = np.asarray(X), column_or_1d(y)
    check_consistent_length(X, y)
    if len(np.unique(y)) < 2:
        raise ValueError("All labels are the same; a blend takes images of two classes.")
    rng = check_random_state(random_state)
    rows = rng.randint(len(y), size=(n_blends, 2))
    # Draw again where both are of one class.
    while (alike := y[rows[:, 0]] == y[rows[:, 1]]).any():
        rows[alike, 1] = rng.randint(len(y), size=alike.sum())
    blends = (X[rows[:, 0]].astype(np.float64) + X[rows[:, 1]]) / 2
    return blends.astype(X.dtype), y[rows]
