"""Which rows are held out for validation."""

import numpy as np


def stratified_holdout(codes, fraction, rng):
    """Choose rows for training and for validation, each class in proportion.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
        The index of each row's class.
    fraction : float
        The share of rows to hold out, between 0 and 1.
    rng : numpy.random.Generator
        What chooses among a class's rows.

    Returns
    -------
    train, validation : ndarray of int32, ascending
        Row numbers. A class of one row stays in training, since a network cannot learn a class
        that it never sees.

    Raises
    ------
    ValueError
        If no row would be left on either side.

    Notes
    -----
    scikit-learn's `StratifiedShuffleSplit` refuses data in which some class has a single row, or
    with fewer held-out rows than classes; a classifier has to be able to train on such data.
    """
    n_rows = len(codes)
    counts = np.bincount(codes)
    shares = counts * fraction
    taken = np.minimum(np.floor(shares).astype(int), np.maximum(counts - 1, 0))
    # What rounding down has left over goes to the classes that are closest to one row more.
    wanted = round(n_rows * fraction)
    for code in np.argsort(taken - shares, kind="stable"):
        if taken.sum() >= wanted:
            break
        if taken[code] < counts[code] - 1:
            taken[code] += 1
    if not 0 < taken.sum() < n_rows:
        raise ValueError(
            f"validation_split={fraction!r} of n_samples={n_rows} leaves {taken.sum()} rows for "
            "validation; give more rows, or validation_split=0."
        )
    held_out = np.zeros(n_rows, dtype=bool)
    for code, count in enumerate(taken):
        held_out[rng.choice(np.flatnonzero(codes == code), size=count, replace=False)] = True
    return np.flatnonzero(~held_out).astype(np.int32), np.flatnonzero(held_out).astype(np.int32)
