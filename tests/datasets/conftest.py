"""Stand-ins for MNIST's files, and servers to download them from."""

import gzip
import hashlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from mnist_estimator import _download
from mnist_estimator.datasets import _mnist
from mnist_estimator.datasets._remote import RemoteFile


@pytest.fixture(scope="session")
def to_idx():
    """A function that gives the IDX file of an array of unsigned bytes."""

    def to_idx(values):
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 0x08, values.ndim, *values.shape)
        return header + values.tobytes()

    return to_idx


@pytest.fixture
def published(monkeypatch, tmp_path, to_idx):
    """A small data set in MNIST's place, with an empty cache, no mirrors and no environment."""
    rng = np.random.default_rng(0)
    arrays, contents, files = {}, {}, {}
    for part, prefix, n_samples in (("train", "train", 12), ("test", "t10k", 5)):
        images = rng.integers(0, 256, size=(n_samples, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, size=n_samples, dtype=np.uint8)
        arrays[part] = (images, labels)
        part_files = []
        for name, values in ((f"{prefix}-images", images), (f"{prefix}-labels", labels)):
            content = to_idx(values)
            file = RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())
            contents[file.name] = content
            part_files.append(file)
        files[part] = tuple(part_files)
    monkeypatch.setattr(_mnist, "_FILES", files)
    monkeypatch.setattr(_mnist, "_MIRRORS", ())
    monkeypatch.setattr(_mnist.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(_download, "_PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MNIST_ESTIMATOR_DATA", raising=False)
    return SimpleNamespace(
        arrays=arrays,
        contents=contents,
        files=files,
        cache=tmp_path / "cache" / "mnist_estimator",
        use_mirrors=lambda *urls: monkeypatch.setattr(_mnist, "_MIRRORS", urls),
    )


@pytest.fixture
def fill(published):
    """A function that writes the stand-in's files to a folder, plain or gzip, and returns it."""

    def fill(folder, *, compress=True):
        folder.mkdir(parents=True)
        for name, content in published.contents.items():
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
        return folder

    return fill


@pytest.fixture
def serve():
    """A function that starts a server with one answer to everything, and returns its address.

    The answer is a function of the request handler; the paths asked for are in `serve.paths`.
    """
    servers = []
    paths = []

    def serve(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                answer(self)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    serve.paths = paths
    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve_published(published):
    """The answer of a good mirror: the stand-in's files, gzip-compressed."""

    def answer(request):
        body = gzip.compress(published.contents[request.path.strip("/").removesuffix(".gz")])
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer
