"""onnxruntime-web, which runs a model in the browser: from a folder, the cache or the network."""

import hashlib
import os
from pathlib import Path

import pooch

from mnist_estimator._download import download

WEB_RUNTIME_VERSION = "1.30.0"
# The module, and what it loads: WebAssembly alone, on one thread. Name → SHA-256 sum.
_FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
_MAX_BYTES = 15_000_000
_MIRRORS = (
    f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{WEB_RUNTIME_VERSION}/dist/",
    f"https://unpkg.com/onnxruntime-web@{WEB_RUNTIME_VERSION}/dist/",
)


def load_web_runtime(folder: str | os.PathLike[str] | None = None) -> dict[str, bytes]:
    """Return the two files of onnxruntime-web that the page loads.

    Parameters
    ----------
    folder : str or path-like, default=None
        A folder that has them, such as ``dist`` of onnxruntime-web's release
        `WEB_RUNTIME_VERSION`. None takes the user's cache, into which they are downloaded where it
        lacks them (14 MB, once).

    Returns
    -------
    files : dict of str to bytes
        The content of each, checked against its SHA-256 sum.

    Raises
    ------
    ValueError
        If a file in `folder` is another release's, or damaged.
    OSError
        If a file is missing from `folder`, or can be neither downloaded nor written.

    Examples
    --------
    >>> from mnist_estimator.playground import load_web_runtime
    >>> load_web_runtime("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no-such-folder/ort.wasm.bundle.min.mjs'
    """
    if folder is not None:
        return {name: _read(Path(folder) / name, name) for name in _FILES}
    cache = Path(pooch.os_cache("mnist_estimator")) / f"onnxruntime-web-{WEB_RUNTIME_VERSION}"
    return {name: _cached(cache / name) for name in _FILES}


def _read(path: Path, name: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _FILES[name]:
        raise ValueError(f"{path} is not the {name} of onnxruntime-web {WEB_RUNTIME_VERSION}.")
    return content


def _cached(path: Path) -> bytes:
    """Return a file of the cache, downloaded where it is missing or damaged."""
    try:
        return _read(path, path.name)
    except (FileNotFoundError, ValueError):
        urls = [f"{mirror}{path.name}" for mirror in _MIRRORS]
    try:
        return download(path, urls, _MAX_BYTES, lambda part: _read(part, path.name))
    except ConnectionError as error:
        raise ConnectionError(
            f"onnxruntime-web {WEB_RUNTIME_VERSION}, which runs the model in the browser, could "
            f"not be downloaded ({error}). It is needed once; without a network, name a folder "
            "that has it (--runtime FOLDER)."
        ) from error
