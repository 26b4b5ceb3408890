"""fetch_mnist: the 70,000 handwritten digits, from a folder, the cache or the network."""

import os
from importlib.resources import files
from os import PathLike
from pathlib import Path

import numpy as np
import pooch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from mnist_estimator.datasets._remote import RemoteFile, download_file, read_file
from mnist_estimator.exceptions import DatasetError

DATA_VARIABLE = "MNIST_ESTIMATOR_DATA"

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

# The images and the labels of each part.
_FILES = {
    "train": (
        RemoteFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    "test": (
        RemoteFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
}


@validate_params(
    {
        "subset": [StrOptions({"train", "test", "all"})],
        "data_home": [str, PathLike, None],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
        "as_images": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_mnist(
    *,
    subset="train",
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_images=False,
):
    """Load MNIST, 70,000 images of handwritten digits (classification).

    The four IDX files, gzip or not, are read from the first of these folders that is given:

    1. `data_home`;
    2. the one that the environment variable ``MNIST_ESTIMATOR_DATA`` names;
    3. the user's cache folder.

    Files that `data_home` or the cache does not have are downloaded into it (11 MB in all). Every
    file is checked against its published SHA-256 sum each time it is read.

    ================   ==================
    Classes                            10
    Training samples               60,000
    Test samples                   10,000
    Dimensionality                    784
    Features           integers, 0 to 255
    ================   ==================

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which images to load: the 60,000 for training, the 10,000 for testing, or all of them,
        those for training first. The order is the published one.
    data_home : str or path-like, default=None
        A folder to read the files from, and to download them to where they are missing.
    download_if_missing : bool, default=True
        If False, a missing file is an error.
    return_X_y : bool, default=False
        If True, returns ``(data, target)`` instead of a `Bunch`.
    as_images : bool, default=False
        If True, `data` keeps the shape of the images, (n_samples, 28, 28), instead of one flat
        row an image.

    Returns
    -------
    mnist : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of uint8, shape (n_samples, 784) or (n_samples, 28, 28)
            Grey levels, 0 (paper) to 255 (ink).
        images : ndarray of uint8, shape (n_samples, 28, 28)
            The same memory as `data`, one image after the other.
        target : ndarray of int64, shape (n_samples,)
            The digit that each image shows, 0 to 9.
        target_names : ndarray of str, shape (10,)
            The names of the classes, ``"0"`` to ``"9"``.
        DESCR : str
            Where the images come from and how they were made.

    (data, target) : tuple if `return_X_y=True`
        The two arrays described above.

    Raises
    ------
    DatasetError
        If a file is missing and cannot or may not be downloaded, or is damaged, truncated, or of
        another data set.

    See Also
    --------
    sklearn.datasets.load_digits : 1,797 scans of 8 × 8 pixels that need no download.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86(11), 2278-2324, 1998.

    Examples
    --------
    >>> from mnist_estimator import fetch_mnist
    >>> X, y = fetch_mnist(return_X_y=True)  # doctest: +SKIP
    >>> X.shape, X.dtype, y[:8]  # doctest: +SKIP
    ((60000, 784), dtype('uint8'), array([5, 0, 4, 1, 9, 2, 1, 3]))
    >>> test = fetch_mnist(subset="test")  # doctest: +SKIP
    >>> test.images.shape, int(test.images[0].max())  # doctest: +SKIP
    ((10000, 28, 28), 255)

    What cannot be had is said at once:

    >>> fetch_mnist(data_home="no-such-folder", download_if_missing=False)
    Traceback (most recent call last):
        ...
    mnist_estimator.exceptions.DatasetError: no-such-folder has no train-images-idx3-ubyte...
    """
    folder, may_download = _choose_folder(data_home, download_if_missing)
    parts = ("train", "test") if subset == "all" else (subset,)
    arrays = [_load(file, folder, may_download) for part in parts for file in _FILES[part]]
    images, labels = arrays[0::2], arrays[1::2]
    images = images[0] if len(images) == 1 else np.concatenate(images)
    target = np.concatenate(labels).astype(np.int64)
    data = images if as_images else images.reshape(len(images), -1)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        images=images,
        target=target,
        target_names=np.array([str(digit) for digit in range(10)]),
        DESCR=files("mnist_estimator.datasets").joinpath("mnist.rst").read_text("utf-8"),
    )


def _choose_folder(
    data_home: str | PathLike[str] | None, download_if_missing: bool
) -> tuple[Path, bool]:
    """Return the folder that holds the files, and whether missing ones may be put there."""
    if data_home is not None:
        return _folder(data_home), download_if_missing
    if variable := os.environ.get(DATA_VARIABLE):
        # Somebody says that the data is there: where it is not, that is an error.
        folder = _folder(variable)
        if not folder.is_dir():
            raise DatasetError(
                f"The environment variable {DATA_VARIABLE} names {folder}, which is not a folder. "
                "Set it to a folder that has MNIST's four IDX files (.gz or not), or unset it."
            )
        return folder, False
    return Path(pooch.os_cache("mnist_estimator")), download_if_missing


def _folder(name: str | PathLike[str]) -> Path:
    """Return the folder of a name, which may start with a tilde."""
    # Unlike Path.expanduser it leaves the tilde where nobody has that home.
    return Path(os.path.expanduser(name))  # noqa: PTH111


def _load(file: RemoteFile, folder: Path, may_download: bool) -> np.ndarray:
    """Return the array in a file of `folder`, downloaded where it is missing and may be."""
    values = read_file(file, folder)
    if values is not None:
        return values
    if not may_download:
        raise DatasetError(f"{folder} has no {file.name} or {file.name}.gz. {_ways_out()}")
    try:
        return download_file(file, folder, _MIRRORS)
    except DatasetError as error:
        raise DatasetError(f"{error} {_ways_out()}") from error


def _ways_out() -> str:
    """Say how to come by the data."""
    return (
        "Three ways out: pass data_home=FOLDER, where FOLDER has MNIST's four IDX files (.gz or "
        f"not); set the environment variable {DATA_VARIABLE} to such a folder; or connect to the "
        "network and let fetch_mnist() download them once (a copy made by hand into "
        f"{pooch.os_cache('mnist_estimator')} does as well). On the command line, --data digits "
        "needs no files."
    )
