"""Held-out rows: each class in proportion, whatever the order of the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_estimator._holdout import stratified_holdout


def rng():
    return np.random.default_rng(0)


def test_sorted_labels_are_held_out_in_proportion():
    codes = np.repeat([0, 1, 2], [100, 50, 10])
    train, validation = stratified_holdout(codes, 0.2, rng())
    np.testing.assert_array_equal(np.bincount(codes[validation]), [20, 10, 2])
    np.testing.assert_array_equal(np.bincount(codes[train]), [80, 40, 8])


def test_the_rows_of_a_class_are_drawn_at_random():
    codes = np.zeros(1000, int)
    _, validation = stratified_holdout(codes, 0.2, rng())
    assert 400 < validation.mean() < 600
    _, other = stratified_holdout(codes, 0.2, np.random.default_rng(1))
    assert set(validation) != set(other)
    np.testing.assert_array_equal(validation, stratified_holdout(codes, 0.2, rng())[1])


def test_a_class_of_one_row_stays_in_training():
    codes = np.array([0] * 10 + [1])
    train, validation = stratified_holdout(codes, 0.4, rng())
    assert 10 in train
    assert len(validation) == 4


def test_what_rounding_leaves_goes_to_the_classes_closest_to_one_row_more():
    codes = np.repeat([0, 1, 2], [4, 9, 7])  # shares 0.8, 1.8 and 1.4
    _, validation = stratified_holdout(codes, 0.2, rng())
    np.testing.assert_array_equal(np.bincount(codes[validation]), [1, 2, 1])


def test_a_class_without_rows_is_no_obstacle():
    _, validation = stratified_holdout(np.repeat([0, 3], 10), 0.2, rng())
    assert len(validation) == 4


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_every_row_is_on_one_side_and_every_class_in_training(counts, fraction, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    try:
        train, validation = stratified_holdout(codes, fraction, rng())
    except ValueError:
        assert round(len(codes) * fraction) == 0
        return
    np.testing.assert_array_equal(np.sort(np.r_[train, validation]), np.arange(len(codes)))
    assert train.dtype == validation.dtype == np.int32
    assert (np.bincount(codes[train], minlength=len(counts)) > 0).all()
    held_out = np.bincount(codes[validation], minlength=len(counts))
    assert (np.abs(held_out - np.array(counts) * fraction) <= 1).all()


@pytest.mark.parametrize(("codes", "fraction"), [([0, 1], 0.5), ([0, 0, 1, 1], 0.1)])
def test_an_empty_side_is_refused_with_what_to_do(codes, fraction):
    message = f"validation_split={fraction} of n_samples={len(codes)} leaves 0 rows .* give more"
    with pytest.raises(ValueError, match=message):
        stratified_holdout(np.array(codes), fraction, rng())
