"""A command line that runs inside the test process, and a model made by it."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mnist_estimator.cli import app

MAIN = "from mnist_estimator.cli import main; main()"


@pytest.fixture
def invoke(capsys, monkeypatch):
    """``invoke("info", "m.onnx")`` runs a command; it returns `code`, `out` and `err`."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*args, terminal=False):
        with monkeypatch.context() as patched:
            if terminal:
                patched.setenv("FORCE_COLOR", "1")
                patched.setenv("TERM", "xterm-256color")
            with pytest.raises(SystemExit) as exited:
                app([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=exited.value.code, out=out, err=err)

    return run


@pytest.fixture
def refuse(invoke):
    """Run a command that must fail as the user's mistake; return its only line on stderr."""

    def run(*args):
        result = invoke(*args)
        assert result.code == 2, result
        assert "Traceback" not in result.err
        assert result.err.startswith("mnist-estimator: ")
        assert result.err.count("\n") == 1
        return result.err

    return run


@pytest.fixture
def start():
    """``start("info", "m.onnx")`` starts a command in a process of its own."""
    running = []

    def run(*args, code=MAIN, **options):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            # A shell's background job ignores Ctrl-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            **options,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A model file that `train` wrote from the small scans."""
    path = tmp_path_factory.mktemp("trained") / "digits.onnx"
    with pytest.raises(SystemExit) as exited:
        app(["train", "--data", "digits", "--layers", "48", "--epochs", "12", "--out", str(path)])
    assert not exited.value.code
    return path


@pytest.fixture
def model_file(network_file, tmp_path):
    """``model_file(**params)`` writes an untrained network of `network_file`'s parameters."""

    def write(**params):
        path = tmp_path / "untrained.onnx"
        path.write_bytes(network_file(**params).SerializeToString())
        return path

    return write


@pytest.fixture
def write_picture(tmp_path, digits):
    """``write_picture("seven.png", i)`` draws the i-th scan large, dark on white paper."""

    def write(name, i):
        ink = np.uint8(255 - digits[0][i].reshape(8, 8) * 15)
        path = tmp_path / name
        picture = Image.fromarray(ink).resize((120, 120), Image.Resampling.BICUBIC)
        Image.fromarray(np.pad(np.asarray(picture), 40, constant_values=255)).save(path)
        return path

    return write
