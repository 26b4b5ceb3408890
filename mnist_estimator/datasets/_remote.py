"""Files with a published checksum: read from a folder, or downloaded into it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_estimator._download import download
from mnist_estimator.datasets._idx import GZIP_OVERHEAD, parse_idx, read_bytes
from mnist_estimator.exceptions import DatasetError


@dataclass(frozen=True)
class RemoteFile:
    """An IDX file as it was published: its name, and its size and SHA-256 when decompressed."""

    name: str
    n_bytes: int
    sha256: str


def read_file(file: RemoteFile, folder: Path) -> np.ndarray | None:
    """Return the array in the copy of a file that a folder holds, gzip or not.

    Parameters
    ----------
    file : RemoteFile
        The file as it was published.
    folder : Path
        The folder to look in.

    Returns
    -------
    values : ndarray of uint8, or None
        None where the folder has no such file.

    Raises
    ------
    DatasetError
        If the file cannot be read, or is not what was published.
    """
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        try:
            if path.exists():
                return _read_verified(path, file)
        except ValueError as error:
            raise DatasetError(
                f"{path} is damaged or of another data set: {error}. Replace it by the "
                f"published {file.name}; in data_home or the cache it is enough to delete it, and "
                "it will be downloaded again."
            ) from error
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read: {error.strerror}. Make it a file that you may read."
            ) from error
    return None


def download_file(file: RemoteFile, folder: Path, mirrors: Sequence[str]) -> np.ndarray:
    """Download a file into a folder, and return the array in it.

    It lands under its final name only when it is whole and has the published checksum, in one
    step: neither a broken download nor another process at the same work can leave a bad file.

    Parameters
    ----------
    file : RemoteFile
        The file as it was published.
    folder : Path
        Where to keep it; made where it is missing.
    mirrors : sequence of str
        The addresses of the folders that have the file with ``.gz`` at the end of its name,
        each with a closing slash, the best one first.

    Returns
    -------
    values : ndarray of uint8
        The content of the file.

    Raises
    ------
    DatasetError
        If no mirror gives the file, or the folder cannot be written.
    """
    path = folder / f"{file.name}.gz"
    urls = [f"{mirror}{path.name}" for mirror in mirrors]
    try:
        return download(
            path, urls, file.n_bytes + GZIP_OVERHEAD, lambda part: _read_verified(part, file)
        )
    except ConnectionError as error:
        raise DatasetError(f"{file.name} could not be downloaded ({error}).") from error
    except OSError as error:
        raise DatasetError(
            f"{file.name} cannot be written to {folder}: {error.strerror or error}."
        ) from error


def _read_verified(path: Path, file: RemoteFile) -> np.ndarray:
    """Return the array in an IDX file; ValueError where it is not the published one."""
    content = read_bytes(path, file.n_bytes)
    values = parse_idx(content)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        raise ValueError(
            f"it holds uint8 values of shape {values.shape} with the SHA-256 sum {sha256}, and "
            f"the sum published for {file.name} is {file.sha256}"
        )
    return values
