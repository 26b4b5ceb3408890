import os
import signal
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import mnist_estimator
from mnist_estimator import datasets
from mnist_estimator.cli import main

NEWLY_IMPORTED = """
import sys
before = set(sys.modules)
try:
    from mnist_estimator.cli import main
    main()
finally:
    print(sorted({name.split(".")[0] for name in set(sys.modules) - before}), file=sys.stderr)
"""


def imported_by(start, *args):
    """Return the top-level modules that a command imports in a fresh process."""
    out, err = start(*args, code=NEWLY_IMPORTED).communicate(timeout=60)
    assert out
    return set(eval(err.splitlines()[-1]))


def test_without_a_command_the_help_lists_them(invoke):
    result = invoke()
    assert result.code == 0
    for command in ("train", "evaluate", "predict", "info", "search"):
        assert command in result.out
    assert result.out.strip() == invoke("-h").out.strip()


def test_version(invoke):
    assert invoke("--version").out == f"mnist-estimator {mnist_estimator.__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["search", "--help"]])
def test_help_imports_nothing_heavy(start, args):
    heavy = {"numpy", "sklearn", "tensorflow", "keras", "onnxruntime", "onnx", "PIL", "scipy"}
    imported = imported_by(start, *args)
    assert "typer" in imported
    assert not imported & heavy


def test_predict_imports_only_what_it_uses(start, model_file, write_picture):
    imported = imported_by(start, "predict", model_file(), write_picture("a.png", 0))
    assert "onnxruntime" in imported
    heavy = {"sklearn", "tensorflow", "keras", "matplotlib", "onnx", "skimage", "pandas"}
    assert not imported & heavy


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["trian"], "No such command 'trian'"),
        (["--unknown"], "No such option: --unknown"),
        (["train", "--unknown"], "No such option: --unknown"),
        (["train", "--epochs", "0"], "'--epochs'"),
        (["predict", "m.onnx"], "Missing argument"),
    ],
)
def test_wrong_arguments_are_one_line(refuse, args, expected):
    assert expected in refuse(*args)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("first\n   second"), "mnist-estimator: first second\n"),
        (PermissionError(13, "Permission denied", "/data"), "mnist-estimator: /data: Permission"),
        (OSError(), "mnist-estimator: OSError\n"),
        (MemoryError(), "mnist-estimator: the memory does not suffice; choose smaller"),
        (type("ResourceExhaustedError", (Exception,), {})(), "mnist-estimator: the memory"),
    ],
)
def test_errors_are_one_line(refuse, monkeypatch, error, expected):
    monkeypatch.setattr(datasets, "load_image_data", lambda source: raise_(error))
    assert refuse("train").startswith(expected)


def raise_(error):
    raise error


def test_a_bug_is_no_mistake_of_the_user(monkeypatch):
    monkeypatch.setattr(datasets, "load_image_data", lambda source: {}["missing"])
    from mnist_estimator.cli import app

    with pytest.raises(KeyError, match="missing"):
        app(["train"])


def test_interrupted(invoke, monkeypatch):
    monkeypatch.setattr(datasets, "load_image_data", lambda source: raise_(KeyboardInterrupt()))
    result = invoke("train")
    assert result.code == 130
    assert result.err == "mnist-estimator: interrupted; no unfinished file is left.\n"


def test_older_typer_aborts_when_interrupted(invoke, monkeypatch):
    monkeypatch.setattr(TyperGroup, "main", lambda *args, **extra: raise_(typer.Abort()))
    result = invoke("train")
    assert result.code == 130
    assert result.err == "mnist-estimator: interrupted; no unfinished file is left.\n"


def test_interrupted_in_the_middle_of_training(start, tmp_path):
    training = start(
        *["train", "--data", "digits", "--epochs", "100000", "--layers", "4"], cwd=tmp_path
    )
    lines = iter(training.stdout.readline, "")
    assert any(line.startswith("epoch 2/") for line in lines)
    training.send_signal(signal.SIGINT)
    _, err = training.communicate(timeout=60)
    assert training.returncode == 130
    assert err == "mnist-estimator: interrupted; no unfinished file is left.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_gets_no_traceback(start, model_file):
    read_end, write_end = os.pipe()
    os.close(read_end)
    for args in (["info", model_file()], ["info", model_file(), "--json"]):
        process = start(*args, stdout=write_end)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (1, "")
    os.close(write_end)


def test_a_full_disk_is_one_line(start, model_file):
    with Path("/dev/full").open("w") as full:
        process = start("info", model_file(), "--json", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "mnist-estimator: No space left on device.\n"


def test_main_takes_the_process_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mnist-estimator", "--version"])
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(SystemExit):
        main()
    sys.stderr.close()
    assert capsys.readouterr().out.startswith("mnist-estimator ")


def test_text_that_the_terminal_cannot_show_is_replaced(start, model_file):
    path = model_file(classes=["sieben", "achtè"], sizes=(784, 2))
    process = start("info", path, code=MAIN_IN_ASCII)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "sieben, acht?" in out


MAIN_IN_ASCII = """
import sys
sys.stdout.reconfigure(encoding="ascii")
from mnist_estimator.cli import main
main()
"""
