import gzip
import io
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mnist_estimator import _download
from mnist_estimator.datasets import _remote
from mnist_estimator.datasets._remote import download_file, read_file
from mnist_estimator.exceptions import DatasetError


@pytest.fixture
def file(published):
    return published.files["train"][0]


@pytest.fixture
def images(published):
    return published.arrays["train"][0]


def send(request, body, *, status=200, length=None):
    request.send_response(status)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


def not_found(request):
    send(request, b"not here", status=404)


def captive_portal(request):
    send(request, b"<html>Please log in</html>")


def foreign_bytes(request):
    send(request, gzip.compress(b"\0\0\x08\x01\0\0\0\x02\x05\x07"))


def breaks_off(request):
    send(request, b"\x1f\x8b\x08", length=1_000)


def silent(request):
    time.sleep(0.5)


def stalls(request):
    send(request, b"\x1f\x8b\x08", length=1_000)
    time.sleep(0.5)


def endless(request):
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(bytes(10_000))
    except ConnectionError:
        pass


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_read_file_plain_or_gzip(fill, tmp_path, file, images, suffix):
    folder = fill(tmp_path / "data", compress=suffix == ".gz")
    np.testing.assert_array_equal(read_file(file, folder), images, strict=True)


def test_read_file_gives_none_where_there_is_none(tmp_path, file):
    assert read_file(file, tmp_path) is None
    assert read_file(file, tmp_path / "no-such-folder") is None


def truncate(content):
    return content[:-1]


def change_a_pixel(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def append(content):
    return content + b"\0"


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (truncate, "and 9,407 follow"),
        (change_a_pixel, r"shape \(12, 28, 28\) with the SHA-256 sum [0-9a-f]{64}, and the sum"),
        (append, "more than the 9,424 bytes expected"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_read_file_refuses_what_was_not_published(published, tmp_path, file, damage, found, pack):
    path = tmp_path / f"{file.name}.gz"
    path.write_bytes(pack(damage(published.contents[file.name])))
    with pytest.raises(DatasetError, match=f"train-images.gz is damaged .*{found}.*Replace it"):
        read_file(file, tmp_path)


def test_read_file_that_is_a_folder(tmp_path, file):
    (tmp_path / file.name).mkdir()
    with pytest.raises(DatasetError, match="train-images cannot be read: Is a directory"):
        read_file(file, tmp_path)


def test_download_keeps_the_file_and_nothing_else(serve, serve_published, tmp_path, file, images):
    folder = tmp_path / "a" / "b"
    values = download_file(file, folder, [serve(serve_published)])
    np.testing.assert_array_equal(values, images, strict=True)
    assert [path.name for path in folder.iterdir()] == ["train-images.gz"]
    np.testing.assert_array_equal(read_file(file, folder), images, strict=True)
    assert serve.paths == ["/train-images.gz"]


BROKEN = [
    (not_found, "HTTP status 404"),
    (captive_portal, "does not start with an IDX header but with b'<html>"),
    (foreign_bytes, r"shape \(2,\) with the SHA-256 sum"),
    (breaks_off, "no connection, or one that broke off"),
    (stalls, "no connection, or one that broke off"),
    (silent, "no answer within 5 s, or silence for 0.1 s"),
    (endless, "sends more bytes than the file has"),
]


@pytest.mark.parametrize(("answer", "reason"), BROKEN)
def test_broken_download_leaves_nothing_and_says_why(
    serve, monkeypatch, tmp_path, file, answer, reason
):
    monkeypatch.setattr(_download, "_TIMEOUT", (5, 0.1))
    with pytest.raises(DatasetError, match=rf"train-images could not be .*127.0.0.1:.*({reason})"):
        download_file(file, tmp_path, [serve(answer)])
    assert list(tmp_path.iterdir()) == []
    assert len(serve.paths) == 2  # it was tried again


@pytest.mark.parametrize("answer", [answer for answer, _ in BROKEN])
def test_the_next_mirror_steps_in(
    serve, serve_published, monkeypatch, tmp_path, file, images, answer
):
    monkeypatch.setattr(_download, "_TIMEOUT", (5, 0.1))
    values = download_file(file, tmp_path, [serve(answer), serve(serve_published)])
    np.testing.assert_array_equal(values, images)
    assert [path.name for path in tmp_path.iterdir()] == ["train-images.gz"]


def test_a_mirror_that_fails_once_is_tried_again(serve, serve_published, tmp_path, file, images):
    answers = iter([breaks_off, serve_published])

    def answer(request):
        next(answers)(request)

    values = download_file(file, tmp_path, [serve(answer)])
    np.testing.assert_array_equal(values, images)


def test_a_server_that_trickles_is_given_up(serve, serve_published, monkeypatch, tmp_path, file):
    monkeypatch.setattr(_download, "_MAX_DURATION", -1)
    with pytest.raises(DatasetError, match="sends too slowly"):
        download_file(file, tmp_path, [serve(serve_published)])
    assert list(tmp_path.iterdir()) == []


def test_every_mirror_is_named_when_none_answers(published, tmp_path, file):
    mirrors = ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]
    with pytest.raises(DatasetError) as caught:
        download_file(file, tmp_path, mirrors)
    assert str(caught.value) == (
        "train-images could not be downloaded (127.0.0.1:1: no connection, or one that broke off; "
        "127.0.0.1:2: no connection, or one that broke off)."
    )


def test_a_folder_that_cannot_be_written(tmp_path, file):
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot be written to .*occupied: File exists\."):
        download_file(file, tmp_path / "occupied", ["http://127.0.0.1:1/"])


def test_an_interrupted_download_leaves_nothing(
    serve, serve_published, monkeypatch, tmp_path, file
):
    def interrupt(path, file):
        raise KeyboardInterrupt

    monkeypatch.setattr(_remote, "_read_verified", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download_file(file, tmp_path, [serve(serve_published)])
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once(serve, serve_published, tmp_path, file, images):
    both_have_asked = threading.Barrier(2, timeout=60)

    def answer(request):
        both_have_asked.wait()
        serve_published(request)

    code = (
        "from pathlib import Path\n"
        "from mnist_estimator.datasets._remote import RemoteFile, download_file\n"
        f"file = {file!r}\n"
        f"values = download_file(file, Path({str(tmp_path)!r}), [{serve(answer)!r}])\n"
        "print(values.sum())"
    )
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sums == [str(images.sum())] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["train-images.gz"]
    np.testing.assert_array_equal(read_file(file, tmp_path), images)


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shows_bar"), [(FakeTerminal(), True), (io.StringIO(), False)])
def test_progress_goes_to_stderr_where_that_is_a_terminal(
    serve, serve_published, monkeypatch, capsys, tmp_path, file, stream, shows_bar
):
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", stream)
    download_file(file, tmp_path, [serve(serve_published)])
    assert ("train-images" in stream.getvalue()) is shows_bar
    assert capsys.readouterr().out == ""
