"""Where the page's WebAssembly runtime comes from."""

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mnist_estimator import _download
from mnist_estimator.playground import WEB_RUNTIME_VERSION, _web_runtime, load_web_runtime

CONTENT = {"a.mjs": b"export {};", "a.wasm": b"\0asm"}
LOCK = Path(__file__).parents[2] / "docs" / "playground" / "package-lock.json"


@pytest.fixture
def mirror():
    """A server of `contents` (name → bytes): a mirror."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            content = self.server.contents.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.contents, server.asked = dict(CONTENT), []
        server.url = f"http://127.0.0.1:{server.server_port}/"
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(monkeypatch, tmp_path, mirror):
    """The user's cache folder, empty; the released files are short ones."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(_web_runtime, "_FILES", sums)
    monkeypatch.setattr(_web_runtime, "_MIRRORS", ("http://127.0.0.1:1/", mirror.url))
    monkeypatch.setattr(_web_runtime.pooch, "os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(_download, "_PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "mnist_estimator" / f"onnxruntime-web-{WEB_RUNTIME_VERSION}"


def test_downloaded_once(cache, mirror):
    assert load_web_runtime() == CONTENT
    assert sorted(path.name for path in cache.iterdir()) == sorted(CONTENT)
    assert load_web_runtime() == CONTENT
    assert len(mirror.asked) == 2


def test_damaged_copies_are_downloaded_again(cache, mirror):
    load_web_runtime()
    (cache / "a.mjs").write_bytes(b"half")
    assert load_web_runtime() == CONTENT
    assert (cache / "a.mjs").read_bytes() == CONTENT["a.mjs"]


def test_no_network(cache, mirror):
    mirror.contents.clear()
    with pytest.raises(ConnectionError) as caught:
        load_web_runtime()
    assert re.fullmatch(
        rf"onnxruntime-web {WEB_RUNTIME_VERSION}, .* could not be downloaded \(127.0.0.1:1: no "
        r"connection.*; 127.0.0.1:\d+: HTTP status 404\)\. .* \(--runtime FOLDER\)\.",
        str(caught.value),
    )
    assert list(cache.iterdir()) == []


def test_what_is_not_the_release_is_not_kept(cache, mirror):
    mirror.contents["a.mjs"] = b"<html>Please log in</html>"
    with pytest.raises(ConnectionError, match=r"is not the a\.mjs of onnxruntime-web"):
        load_web_runtime()
    assert list(cache.iterdir()) == []


def test_a_folder_of_the_user(cache, tmp_path, mirror):
    (tmp_path / "dist").mkdir()
    for name, content in {**CONTENT, "other.mjs": b""}.items():
        (tmp_path / "dist" / name).write_bytes(content)
    assert load_web_runtime(tmp_path / "dist") == CONTENT
    (tmp_path / "dist" / "a.wasm").write_bytes(b"another release")
    with pytest.raises(ValueError, match=r"dist.a\.wasm is not the a\.wasm of onnxruntime-web"):
        load_web_runtime(str(tmp_path / "dist"))
    (tmp_path / "dist" / "a.wasm").unlink()
    with pytest.raises(FileNotFoundError):
        load_web_runtime(tmp_path / "dist")
    assert mirror.asked == []


def test_the_lock_file_has_the_same_release_and_names_no_registry():
    packages = json.loads(LOCK.read_text())["packages"]
    assert packages.pop("")["dependencies"] == {"onnxruntime-web": WEB_RUNTIME_VERSION}
    assert packages["node_modules/onnxruntime-web"]["version"] == WEB_RUNTIME_VERSION
    assert all("integrity" in package for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_the_release_has_the_files(runtime):
    assert set(runtime) == set(_web_runtime._FILES)
    assert all(len(content) < _web_runtime._MAX_BYTES for content in runtime.values())
