"""Files are written whole or not at all: full disks, read-only folders, errors on the way."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from mnist_estimator import KerasMLPClassifier, make_mnist_pipeline, save_onnx
from mnist_estimator._files import whole_file
from mnist_estimator.cli import app
from mnist_estimator.report import write_report

ROOM = 64 * 1024  # bytes that fit on the small disk, or in a file of the quota


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)]
    if not shutil.which("mount") or subprocess.call(mount, stderr=subprocess.DEVNULL):
        pytest.skip("this user may not mount a small disk; the test with a quota runs everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def quota(tmp_path):
    """A folder of a process that may write no more than 64 KiB into a file."""
    resource = pytest.importorskip("resource", reason="quotas are POSIX")
    folder = tmp_path / "quota"
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(disk):
    """Leave no room on a disk; return the file that takes it."""
    with (disk / "filler").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return disk / "filler"


@pytest.fixture(params=["small_disk", "quota"])
def no_room(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def pipe(digits):
    """A network of 200 KB."""
    X, y = digits
    pipe = make_mnist_pipeline(hidden_layer_sizes=(700,), epochs=1, random_state=0)
    return pipe.set_params(scale__pixel_max=16).fit(X[:200], y[:200])


def model_file(path, pipe, X, y):
    save_onnx(pipe, path, X[:50])


def report(path, pipe, X, y):
    write_report(path, pipe, X[:200], y[:200])


@pytest.mark.parametrize("write", [model_file, report])
def test_a_full_disk_leaves_the_old_file(no_room, pipe, digits, write):
    path = no_room / "results"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match=rf"'{path}'"):
        write(path, pipe, *digits)
    assert path.read_bytes() == b"old"
    assert list(no_room.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_table(small_disk, capsys):
    """The quota is too large for a table."""
    path = small_disk / "search.csv"
    path.write_text("old")
    filler = fill(small_disk)
    search = ["search", "--data", "digits", "--layers", "none", "--dropout", "0", "--epochs", "1"]
    with pytest.raises(SystemExit) as exited:
        app([*search, "--cv", "2", "--rows", "100", "--csv", str(path)])
    assert exited.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("mnist-estimator: ")
    assert error.count("\n") == 1
    assert "No space left on device" in error
    assert path.read_text() == "old"
    assert set(small_disk.iterdir()) == {path, filler}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_a_fit_goes_on_when_there_is_room_again(small_disk, digits):
    X, y = digits[0][:100] / 16, digits[1][:100]
    params = {"hidden_layer_sizes": (8,), "random_state": 0}
    mlp = KerasMLPClassifier(**params, epochs=2, checkpoint=small_disk).fit(X, y)
    (file,) = small_disk.iterdir()
    content, filler = file.read_bytes(), fill(small_disk)
    with pytest.raises(OSError, match=rf"No space left on device.*{small_disk}"):
        mlp.set_params(epochs=4).fit(X, y)
    assert set(small_disk.iterdir()) == {file, filler}
    assert file.read_bytes() == content
    assert mlp.n_iter_ == 2

    filler.unlink()
    expected = KerasMLPClassifier(**params, epochs=4).fit(X, y)
    np.testing.assert_array_equal(mlp.fit(X, y).predict_proba(X), expected.predict_proba(X))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_read_only_folder_leaves_the_old_file():
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # one that every user can reach
    path = folder / "results"
    path.write_bytes(b"old")
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # permissions do not hold the superuser
    try:
        with pytest.raises(PermissionError, match=rf"'{path}'"), whole_file(path) as unfinished:
            unfinished.write_bytes(b"new")
    finally:
        if is_root:
            os.seteuid(0)
    assert [file.read_bytes() for file in folder.iterdir()] == [b"old"]
    shutil.rmtree(folder)


def test_a_failure_on_the_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "results"
    path.write_bytes(b"old")

    def fail(error):
        with whole_file(path) as unfinished:
            unfinished.write_bytes(b"half")
            raise error

    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error):
            fail(error)
    assert path.read_bytes() == b"old"
    with whole_file(path) as unfinished:
        unfinished.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
