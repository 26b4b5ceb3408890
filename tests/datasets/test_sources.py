import gzip

import numpy as np
import pytest

from mnist_estimator.datasets import load_image_data
from mnist_estimator.exceptions import DatasetError


def test_digits_need_no_file(published, digits):
    X_train, y_train, X_test, y_test = load_image_data("digits")
    assert X_train.shape == (1437, 64)
    assert X_test.shape == (360, 64)
    assert X_train.dtype == X_test.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int64
    assert X_train.max() == 16
    # Stratified: every digit has its fifth in the test part.
    np.testing.assert_allclose(np.bincount(y_test), np.bincount(digits[1]) / 5, atol=1)
    # Nothing lost, nothing twice: the two parts are the data set in another order.
    both = np.column_stack([np.concatenate([X_train, X_test]), np.concatenate([y_train, y_test])])
    whole = np.column_stack(digits)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], whole[np.lexsort(whole.T)])


def test_digits_are_always_split_alike():
    for first, second in zip(load_image_data("digits"), load_image_data("digits"), strict=True):
        np.testing.assert_array_equal(first, second)


def check_parts(arrays, published):
    (train_images, train_labels), (test_images, test_labels) = published.arrays.values()
    expected = (train_images.reshape(12, 784), train_labels, test_images.reshape(5, 784))
    for found, wanted in zip(arrays, (*expected, test_labels), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_mnist_by_name(fill, published):
    fill(published.cache)
    check_parts(load_image_data("mnist"), published)


@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_a_folder(fill, tmp_path, published, as_type):
    check_parts(load_image_data(as_type(fill(tmp_path / "data"))), published)


def test_a_folder_without_the_files(serve, serve_published, published, tmp_path):
    published.use_mirrors(serve(serve_published))
    with pytest.raises(DatasetError, match=r"has no train-images or train-images\.gz\."):
        load_image_data(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert serve.paths == []


def test_a_folder_with_another_data_set(published, fill, tmp_path, to_idx):
    folder = fill(tmp_path / "data")
    other = np.zeros((12, 28, 28), dtype=np.uint8)
    (folder / "train-images.gz").write_bytes(gzip.compress(to_idx(other)))
    with pytest.raises(DatasetError, match=r"train-images\.gz is damaged or of another data set"):
        load_image_data(folder)


@pytest.mark.parametrize("source", ["minst", "~nosuchuser/mnist", "a\nb", "x" * 200])
def test_neither_a_name_nor_a_folder(source):
    with pytest.raises(DatasetError, match=r"No data at '.*': expected 'mnist', 'digits'"):
        load_image_data(source)
