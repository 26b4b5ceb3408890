"""Grey levels of any shape and dtype become float32 rows; what is no image is refused."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, cpu_count, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from mnist_estimator import PixelScaler, preprocessing
from mnist_estimator._processors import free_processors
from mnist_estimator.preprocessing import flatten_images


@pytest.fixture
def images():
    """Four uint8 images of 3×5 pixels."""
    return np.random.default_rng(0).integers(256, size=(4, 3, 5), dtype=np.uint8)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "int64", "float16", "float32", "float64", "object"]
)
def test_every_numeric_dtype_gives_float32_between_0_and_1(images, dtype):
    scaled = PixelScaler(pixel_max=255).fit_transform(images.astype(dtype))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, images.reshape(4, 15) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "input_shape"), [((4, 15), (15,)), ((4, 3, 5), (3, 5)), ((4, 3, 5, 1), (3, 5, 1))]
)
def test_images_of_any_shape_become_the_same_rows(images, shape, input_shape):
    scaler = PixelScaler().fit(images.reshape(shape))
    assert scaler.input_shape_ == input_shape
    assert scaler.n_features_in_ == 15
    for other in (images, images.reshape(4, 15), images[..., np.newaxis], images.tolist()):
        np.testing.assert_array_equal(
            scaler.transform(other), images.reshape(4, 15) / np.float32(255)
        )


def test_memory_order_of_the_images_does_not_matter(images):
    np.testing.assert_array_equal(
        PixelScaler().fit_transform(np.asfortranarray(images)), PixelScaler().fit_transform(images)
    )


@pytest.mark.parametrize(
    ("X", "pixel_max"),
    [
        (np.array([[0, 16]], np.uint8), 255),
        (np.array([[0, 16]], np.int64), 16),
        (np.array([[0, 0.5]]), 0.5),
        (np.array([[np.nan, 8]]), 8),
        (np.array([[False, True]]), 1),
        (np.zeros((1, 2)), 1),
        (np.full((1, 2), np.nan), 1),
    ],
)
def test_what_becomes_1_by_itself(X, pixel_max):
    scaler = PixelScaler().fit(X)
    assert scaler.pixel_max_ == pixel_max
    np.testing.assert_array_equal(scaler.transform(X), (X / pixel_max).astype(np.float32))


def test_unseen_brighter_pixels_exceed_1_unless_clipped():
    X, brighter = np.array([[0.0, 8.0]]), np.array([[16.0, 4.0]])
    np.testing.assert_array_equal(PixelScaler().fit(X).transform(brighter), [[2, 0.5]])
    np.testing.assert_array_equal(PixelScaler(clip=True).fit(X).transform(brighter), [[1, 0.5]])


def test_missing_pixels_pass_through_also_when_clipping():
    X = np.array([[np.nan, 2.0, 4.0]])
    np.testing.assert_array_equal(PixelScaler(clip=True).fit_transform(X), [[np.nan, 0.5, 1]])


def test_the_input_stays_as_it_is(images):
    before = images.copy()
    images.setflags(write=False)
    PixelScaler(clip=True).fit_transform(images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_scaling_allocates_no_more_than_its_result(dtype):
    X = np.ones((2000, 784), dtype)
    scaler = PixelScaler().fit(X)
    tracemalloc.start()
    scaled = scaler.transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * scaled.nbytes


def test_several_threads_scale_as_one_does(images, monkeypatch):
    expected = PixelScaler().fit_transform(images)
    monkeypatch.setattr(preprocessing, "_PIXELS_A_THREAD", 10)
    monkeypatch.setattr(preprocessing, "free_processors", lambda: 3)
    np.testing.assert_array_equal(PixelScaler().fit_transform(images), expected)
    small = PixelScaler(pixel_max=1e-37).fit(GOOD)
    with pytest.raises(ValueError, match="too large for float32"):
        small.transform(np.vstack([GOOD / 1e37] * 9 + [GOOD * 100]))


def test_other_threads_and_processes_leave_the_processors_to_each_other():
    assert free_processors() == cpu_count()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(free_processors).result() == 1
    assert Parallel(n_jobs=2)(delayed(free_processors)() for _ in range(2)) == [1, 1]


def test_rows_start_where_tensorflow_takes_them_without_a_copy(images):
    for n in range(1, 5):
        assert PixelScaler().fit_transform(images[:n]).ctypes.data % 64 == 0


def test_pandas_names_go_in_and_out(images):
    frame = pd.DataFrame(images.reshape(4, 15), columns=[f"pixel{i}" for i in range(15)])
    frame.index = list("abcd")
    scaler = PixelScaler().set_output(transform="pandas").fit(frame)
    scaled = scaler.transform(frame)
    assert list(scaler.feature_names_in_) == list(scaled.columns) == list(frame.columns)
    assert list(scaled.index) == list("abcd")
    assert (scaled.dtypes == np.float32).all()
    with pytest.raises(ValueError, match="feature names should match"):
        scaler.transform(frame.rename(columns={"pixel0": "other"}))


def test_generated_names_where_the_input_has_none(images):
    names = PixelScaler().fit(images).get_feature_names_out()
    assert list(names[:2]) == ["x0", "x1"]
    assert len(names) == 15


def test_tags_tell_what_it_takes():
    tags = get_tags(PixelScaler())
    assert tags.input_tags.allow_nan
    assert tags.input_tags.positive_only
    assert tags.input_tags.three_d_array
    assert not tags.target_tags.required


GOOD = np.arange(8.0).reshape(2, 4)
BAD_X = {
    "empty": (GOOD[:0], ValueError, "0 sample"),
    "empty images": (np.empty((0, 28, 28)), ValueError, "0 sample"),
    "no pixels": (np.empty((2, 0)), ValueError, "0 feature"),
    "negative": (-GOOD, ValueError, "Negative values in data passed to PixelScaler.* is -7"),
    "infinite": (np.full((2, 4), np.inf), ValueError, "infinity"),
    "one row as 1-D": (GOOD[0], ValueError, "Expected 2D array, got 1D"),
    "scalar": (np.float64(3), ValueError, "Expected 2D array, got scalar"),
    "colour": (np.ones((2, 8, 8, 3)), ValueError, "3 channels .*grey"),
    "film": (np.ones((2, 8, 8, 1, 1)), ValueError, "dim <= 4"),
    "text": (np.array([["a", "b"]]), ValueError, "numeric"),
    "objects": (np.array([[1, "b"]], object), ValueError, "could not convert"),
    "complex": (GOOD * 1j, ValueError, "Complex data not supported"),
    "list of objects": ([[None, "b"]], ValueError, "could not convert"),
    "dates": (
        np.zeros((2, 4), "M8[s]"),
        TypeError,
        r"datetime64\[s\]; expected grey levels as num",
    ),
    "spans": (
        np.zeros((2, 4), "m8[s]"),
        TypeError,
        r"timedelta64\[s\]; expected grey levels as nu",
    ),
    "beyond float32": (GOOD * 1e300, ValueError, "too large for dtype..float32"),
    "beyond float64": ([[10**400] * 4], ValueError, "X holds a number that is too large"),
    "sparse": (sparse.csr_matrix(GOOD), TypeError, "[Ss]parse"),
}


@pytest.fixture(params=BAD_X)
def bad_X(request):
    return BAD_X[request.param]


def test_what_is_no_image_leaves_the_scaler_unfitted(bad_X):
    X, error, message = bad_X
    scaler = PixelScaler()
    with pytest.raises(error, match=message):
        scaler.fit(X)
    assert vars(scaler) == vars(PixelScaler())
    with pytest.raises(NotFittedError):
        scaler.transform(GOOD)


def test_what_is_no_image_leaves_a_fitted_scaler_as_it_was(bad_X):
    X, error, message = bad_X
    scaler = PixelScaler().fit(GOOD)
    before = vars(scaler).copy()
    with pytest.raises(error, match=message):
        scaler.fit(X)
    with pytest.raises(error, match=message):
        scaler.transform(X)
    assert vars(scaler) == before


def test_another_number_of_pixels_is_refused():
    with pytest.raises(ValueError, match="X has 3 features, but PixelScaler is expecting 4"):
        PixelScaler().fit(GOOD).transform(GOOD[:, :3])


@pytest.mark.parametrize(
    "params",
    [*({"pixel_max": value} for value in (0, -1, "max", 1e-320, 1e300)), {"clip": "yes"}],
)
def test_bad_parameters_are_named(params):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of PixelScaler must be"):
        PixelScaler(**params).fit(GOOD)


def test_a_value_that_is_too_large_only_once_it_is_divided():
    scaler = PixelScaler(pixel_max=1e-37).fit(GOOD / 1e37)
    with pytest.raises(ValueError, match="divided by pixel_max_, 1e-37, is too large for float32"):
        scaler.transform(GOOD * 100)


def test_images_that_are_black_to_float32_stay_so():
    np.testing.assert_array_equal(PixelScaler().fit_transform(GOOD * 1e-320), np.zeros((2, 4)))


def test_clone_keeps_the_parameters_alone():
    scaler = clone(PixelScaler(pixel_max=16, clip=True).fit(GOOD))
    assert scaler.get_params() == {"pixel_max": 16, "clip": True}
    assert not hasattr(scaler, "pixel_max_")


def test_flat_rows_share_memory_with_contiguous_images(images):
    assert np.shares_memory(flatten_images(images), images)
