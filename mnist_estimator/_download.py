"""Downloads that end whole and verified, or not at all."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import pooch

from mnist_estimator._files import whole_file

# Seconds to wait for a connection, and for the next bytes of a download.
_TIMEOUT = (10, 30)
# Seconds that one mirror may take for one file: a server that trickles never times out by itself.
_MAX_DURATION = 900
# How often the list of mirrors is gone through, and the seconds of rest in between.
_N_ROUNDS = 2
_PAUSE = 1.0

_Content = TypeVar("_Content")


def download(
    path: Path, urls: Sequence[str], max_bytes: int, read: Callable[[Path], _Content]
) -> _Content:
    """Download a file from the first address that has it, and return what is in it.

    It lands under its name only when it is whole and verified, in one step: neither a broken
    download nor another process at the same work can leave a bad file.

    Parameters
    ----------
    path : Path
        The file to make; its folder is made where it is missing.
    urls : sequence of str
        The addresses, the best one first. Each is tried twice.
    max_bytes : int
        What the download must not exceed.
    read : callable
        Called with the downloaded file; it returns its content, or raises `ValueError` where it is
        not the one wanted.

    Returns
    -------
    content : object
        What `read` returned.

    Raises
    ------
    ConnectionError
        If no address gives the file: a list of why.
    OSError
        If the file cannot be written.
    """
    # Loaded with the first download only: most processes find their files in the cache.
    from requests import RequestException

    failures = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    for i_round in range(_N_ROUNDS):
        time.sleep(i_round * _PAUSE)
        for url in urls:
            try:
                with whole_file(path) as unfinished:
                    _fetch(url, unfinished, path.name, max_bytes)
                    return read(unfinished)
            except (RequestException, ValueError) as error:
                failures[urlsplit(url).netloc] = _reason(error)
    raise ConnectionError("; ".join(f"{host}: {reason}" for host, reason in failures.items()))


def _fetch(url: str, path: Path, description: str, max_bytes: int) -> None:
    """Write what one address has to a file."""
    with path.open("xb") as output, _progress_bar(description) as bar:
        sink = _BoundedWriter(output, max_bytes, _MAX_DURATION)
        pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT)(url, sink, None)


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
