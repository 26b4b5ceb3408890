"""Files with a published checksum: read from a folder, or downloaded into it."""

import hashlib
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import numpy as np
import pooch

from mnist_estimator.datasets._idx import GZIP_OVERHEAD, parse_idx, read_bytes
from mnist_estimator.exceptions import DatasetError

# Seconds to wait for a connection, and for the next bytes of a download.
_TIMEOUT = (10, 30)
# Seconds that one mirror may take for one file: a server that trickles never times out by itself.
_MAX_DURATION = 900
# How often the list of mirrors is gone through, and the seconds of rest in between.
_N_ROUNDS = 2
_PAUSE = 1.0


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
    # Loaded with the first download only: most processes find their files in the cache.
    from requests import RequestException

    failures = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i_round in range(_N_ROUNDS):
            time.sleep(i_round * _PAUSE)
            for mirror in mirrors:
                try:
                    return _download_once(file, folder, f"{mirror}{file.name}.gz")
                except (RequestException, ValueError) as error:
                    failures[urlsplit(mirror).netloc] = _reason(error)
    except OSError as error:
        raise DatasetError(
            f"{file.name} cannot be written to {folder}: {error.strerror or error}."
        ) from error
    reasons = "; ".join(f"{host}: {reason}" for host, reason in failures.items())
    raise DatasetError(f"{file.name} could not be downloaded ({reasons}).")


def _download_once(file: RemoteFile, folder: Path, url: str) -> np.ndarray:
    """Download, verify and move into place from one address."""
    # A name of its own in the same folder, so that the move is atomic and nobody else writes it.
    partial = folder / f".{file.name}.{uuid.uuid4().hex}.part"
    try:
        with partial.open("xb") as output, _progress_bar(file.name) as bar:
            sink = _BoundedWriter(output, file.n_bytes + GZIP_OVERHEAD, _MAX_DURATION)
            pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT)(url, sink, None)
        values = _read_verified(partial, file)
        partial.replace(folder / f"{file.name}.gz")
    finally:
        partial.unlink(missing_ok=True)
    return values


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


def _reason(error: Exception) -> str:
    """Say in a few words why a mirror failed."""
    from requests import ConnectionError, HTTPError, Timeout
    from requests.exceptions import ChunkedEncodingError

    match error:
        case Timeout():
            return f"no answer within {_TIMEOUT[0]} s, or silence for {_TIMEOUT[1]} s"
        case HTTPError(response=response) if response is not None:
            return f"HTTP status {response.status_code}"
        case ConnectionError() | ChunkedEncodingError():
            return "no connection, or one that broke off"
        case _:
            return str(error)


class _BoundedWriter:
    """A binary file that takes so many bytes, for so many seconds, and no more."""

    def __init__(self, output: BinaryIO, max_bytes: int, max_duration: float):
        self._output = output
        self._n_bytes_left = max_bytes
        self._deadline = time.monotonic() + max_duration

    def write(self, chunk: bytes) -> None:
        self._n_bytes_left -= len(chunk)
        if self._n_bytes_left < 0:
            raise ValueError("it sends more bytes than the file has")
        if time.monotonic() > self._deadline:
            raise ValueError("it sends too slowly")
        self._output.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch calls this for every kilobyte."""


class _PoochBar:
    """A rich progress bar behind the attributes and methods that pooch expects of one."""

    total: int | None = None  # bytes; pooch sets it once the server has answered

    def __init__(self, progress: Any, description: str):
        self._progress = progress
        self._task = progress.add_task(description, total=None)

    def update(self, n_bytes: int) -> None:
        self._progress.update(self._task, advance=n_bytes, total=self.total or None)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """Do nothing: the bar is taken off the screen even where pooch fails before this."""


@contextmanager
def _progress_bar(description: str) -> Iterator[_PoochBar]:
    """Show a download's progress on the terminal, where stderr is one."""
    from rich.console import Console  # with the first download only, as above
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield _PoochBar(progress, description)
