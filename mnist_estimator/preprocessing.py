"""PixelScaler: grey levels of any image shape become float32 rows in [0, 1]."""

import copy
from concurrent.futures import ThreadPoolExecutor
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from mnist_estimator._aligned import aligned_empty
from mnist_estimator._blocks import computed_blocks, is_dask, map_rows, row_blocks
from mnist_estimator._grey_levels import UINT8_MAX, GreyLevels
from mnist_estimator._processors import free_processors
from mnist_estimator._validation import no_overflow

# Fewer pixels are not worth a second thread.
_PIXELS_A_THREAD = 2**22
_SMALLEST, _LARGEST = (float(x) for x in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


class PixelScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale grey levels to float32 in [0, 1], one flat row an image.

    Images of shape (n_samples, height, width) or (n_samples, height, width, 1) are flattened
    row by row; arrays that are flat already stay as they are. Then every pixel is divided by
    `pixel_max_`. NaN marks a missing pixel and passes through, as in scikit-learn's scalers.

    Parameters
    ----------
    pixel_max : "auto" or float, default="auto"
        The grey level that becomes 1. "auto" takes 255 for uint8 images, and for any other
        dtype the largest value seen in `fit`.
    clip : bool, default=False
        Whether values above `pixel_max_`, which only unseen data can have, become 1.

    Attributes
    ----------
    pixel_max_ : float
        The grey level that becomes 1.
    input_shape_ : tuple of int
        The shape of one image as seen in `fit`: ``(784,)`` or ``(28, 28)``, for example.
    n_features_in_ : int
        The number of pixels of an image.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        The column names, where `fit` was given a DataFrame whose column names are strings.

    See Also
    --------
    sklearn.preprocessing.MinMaxScaler : Scales every feature by its own range; on images that
        would stretch the noise of the border pixels.

    Notes
    -----
    One divisor for all pixels keeps the image an image: relative grey levels stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_estimator import PixelScaler
    >>> images = np.array([[[0, 51], [102, 255]]], dtype=np.uint8)  # one image of 2×2 pixels
    >>> PixelScaler().fit_transform(images)
    array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "pixel_max": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "clip": ["boolean"],
    }

    def __init__(self, *, pixel_max="auto", clip=False):
        self.pixel_max = pixel_max
        self.clip = clip

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn which grey level becomes 1.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features), \
                (n_samples, height, width) or (n_samples, height, width, 1)
            Grey levels, 0 or more, of any numeric dtype; NaN where a pixel is missing. A dask
            array is gone through only where `pixel_max` is "auto" and its dtype is not uint8.
        y : None
            Ignored.

        Returns
        -------
        self : PixelScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If `X` is empty, has a negative or infinite value, or has the wrong dimensions, or
            if `pixel_max` is no number that float32 holds.
        TypeError
            If `X` holds no numbers.
        """
        if self.pixel_max != "auto" and not _SMALLEST <= self.pixel_max <= _LARGEST:
            raise ValueError(
                "The 'pixel_max' parameter of PixelScaler must be 'auto' or a number from "
                f"{_SMALLEST:g} to {_LARGEST:g}, as float32 holds. Got {self.pixel_max!r} instead."
            )
        rows = _flat(X)
        pixels = self._check_pixels(rows)
        if self.pixel_max != "auto":
            pixel_max = float(self.pixel_max)
        elif pixels.dtype == np.uint8:
            pixel_max = UINT8_MAX
        else:
            # An all-black or all-missing set has no scale: keep it as it is.
            largest = self._largest(pixels)
            pixel_max = largest if largest >= _SMALLEST else 1.0
        # Last, because it notes names and number of the features: a `fit` that fails notes none.
        validate_data(self, rows, reset=True, skip_check_array=True)
        self.pixel_max_ = pixel_max
        images = X if hasattr(X, "shape") else np.asarray(X)
        self.input_shape_ = tuple(int(side) for side in images.shape[1:])
        return self

    def transform(self, X):
        """Flatten the images and divide by `pixel_max_`.

        Parameters
        ----------
        X : array-like or dask array of shape (n_samples, n_features), \
                (n_samples, height, width) or (n_samples, height, width, 1)
            Grey levels, 0 or more.

        Returns
        -------
        X_scaled : ndarray of float32, shape (n_samples, n_features)
            Ink between 0 and 1 (above 1 where `X` exceeds `pixel_max_` and `clip` is False). Of a
            dask array another one, which is computed when it is asked for; blocks of more than
            8 MiB are split.

        Raises
        ------
        ValueError
            If `X` has another number of pixels than in `fit`, a negative or infinite value, or
            one that is too large for float32.
        """
        check_is_fitted(self)
        X = _flat(X)
        pixels = self._check_pixels(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        if is_dask(X):
            # A copy, so that another `fit` changes nothing that is still to be computed.
            scale = copy.copy(self).transform
            return map_rows(X, scale, np.float32, self.n_features_in_, split=True)
        if isinstance(X, GreyLevels) and self.pixel_max_ == UINT8_MAX:
            return X
        scaled = aligned_empty(pixels.shape)
        divisor = np.float32(self.pixel_max_)
        try:
            _divide(pixels, divisor, scaled)
        except FloatingPointError as error:
            raise ValueError(
                f"Input X contains a value that divided by pixel_max_, {divisor:g}, is too large "
                "for float32."
            ) from error
        if self.clip:
            np.minimum(scaled, np.float32(1), out=scaled)
        return scaled

    def _check_pixels(self, X):
        """Return flat `X` as a validated array in its own dtype; a dask array's values wait."""
        if is_dask(X):
            pixels = X
        else:
            with no_overflow("X"):
                pixels = check_array(
                    X, ensure_all_finite="allow-nan", estimator=self, input_name="X"
                )
        if pixels.dtype.kind not in "buif":
            raise TypeError(f"X is of dtype {pixels.dtype}; expected grey levels as numbers.")
        if is_dask(X):
            return pixels
        if pixels.dtype.kind not in "ub":
            smallest = np.fmin.reduce(pixels, axis=None)
            if smallest < 0:
                raise ValueError(
                    f"Negative values in data passed to {type(self).__name__}: the smallest is "
                    f"{smallest:g}. Grey levels start at 0 (black or paper, whichever the images "
                    "use); shift or clip the images first."
                )
        if pixels.dtype.kind == "f" and float(np.fmax.reduce(pixels, axis=None)) > _LARGEST:
            raise ValueError("Input X contains a value too large for dtype('float32').")
        return pixels

    def _largest(self, pixels):
        """Return the largest grey level, passing over NaN."""
        if is_dask(pixels):
            pixels = [self._largest(self._check_pixels(block)) for block in computed_blocks(pixels)]
        return float(np.fmax.reduce(pixels, axis=None))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags


def _divide(pixels, divisor, out):
    """Divide pixels, in several threads where they are many.

    What takes long is not the division but the operating system, which provides memory that
    nobody has written to yet: with two threads it takes half the time.
    """

    def divide_part(pixels, out):
        # The cast happens inside the division, a buffer at a time: no float64 copy of the images.
        with np.errstate(over="raise"):
            np.divide(pixels, divisor, out=out, dtype=np.float32, casting="unsafe")

    n_parts = min(free_processors(), pixels.size // _PIXELS_A_THREAD)
    if n_parts < 2:
        divide_part(pixels, out)
        return
    with ThreadPoolExecutor(n_parts, thread_name_prefix="scale") as threads:
        parts = (np.array_split(array, n_parts) for array in (pixels, out))
        list(threads.map(divide_part, *parts))


def _flat(X):
    """Return images as flat rows, and rows as they are."""
    if is_dask(X):
        X = row_blocks(X)
    elif isinstance(X, list) or getattr(X, "ndim", 2) > 2:
        X = np.asarray(X)
    return flatten_images(X) if getattr(X, "ndim", 2) > 2 else X


def flatten_images(images):
    """Return images as flat rows.

    Parameters
    ----------
    images : ndarray or dask array of shape (n_samples, height, width) or \
            (n_samples, height, width, 1)
        Images of one channel.

    Returns
    -------
    rows : ndarray or dask array of shape (n_samples, height * width)
        The same pixels, row by row; a view where the memory layout allows it.

    Raises
    ------
    ValueError
        If the array has more than one channel, or more than four dimensions.
    """
    if images.ndim == 4 and images.shape[-1] != 1:
        raise ValueError(
            f"Found images with {images.shape[-1]} channels (shape {images.shape}); expected grey "
            "images of one channel. Convert them to grey levels first."
        )
    if images.ndim > 4:
        raise ValueError(
            f"Found array with dim {images.ndim}, while dim <= 4 is required: rows of pixels, "
            "(n_samples, height, width) or (n_samples, height, width, 1)."
        )
    n_pixels = int(np.prod(images.shape[1:]))
    return images.reshape(len(images), n_pixels)
