import re
from pathlib import Path

import numpy as np
import pytest

from mnist_estimator import datasets
from mnist_estimator.cli import _options
from mnist_estimator.pipeline import RECIPES
from mnist_estimator.runtime import OnnxModel

QUICK = ["train", "--data", "digits", "--layers", "16", "--epochs", "2"]


@pytest.fixture
def quick(invoke, tmp_path):
    """Train for two epochs, with further arguments; return the result and the model."""

    def run(*args, **options):
        result = invoke(*QUICK, "--out", tmp_path / "out.onnx", *args, **options)
        assert result.code == 0, result
        assert result.err == ""
        return result, OnnxModel(tmp_path / "out.onnx")

    return run


def test_the_file_reads_the_scans(trained):
    _, _, X, y = datasets.load_image_data("digits")
    model = OnnxModel(trained)
    assert (model.predict(X) == y).mean() > 0.85
    assert model.input_shape == (64,)
    assert model.metadata["input"]["max"] == 16


def test_plain_lines_where_the_output_is_no_terminal(quick):
    result, model = quick()
    lines = result.out.splitlines()
    assert lines[0] == "Training on 1,437 images of 64 pixels."
    assert lines[1].startswith("epoch 1/2: ")
    assert lines[2].startswith("epoch 2/2: ")
    for figure in ("loss", "accuracy", "val_loss", "val_accuracy", "s/epoch", "s left"):
        assert figure in lines[1]
    assert "\x1b" not in result.out
    assert model.metadata["parameters"]["mlp__verbose"] == 0


def test_results_at_the_end(quick, tmp_path):
    result, model = quick()
    _, _, X, y = datasets.load_image_data("digits")
    accuracy = (model.predict(X) == y).mean()
    found = re.search(r"Test accuracy +([\d.]+)% \((\d+) of 360 images misread\)", result.out)
    assert float(found[1]) == pytest.approx(100 * accuracy, abs=0.006)
    assert int(found[2]) == round(360 * (1 - accuracy))
    loss = -np.log(model.predict_proba(X)[np.arange(len(y)), y]).mean()
    assert float(re.search(r"Test loss +([\d.]+)", result.out)[1]) == pytest.approx(loss, abs=1e-4)
    assert re.search(r"Parameters +1,210\b", result.out)
    assert re.search(r"Epochs +2 of 1,150 images", result.out)
    size = (tmp_path / "out.onnx").stat().st_size / 1000
    assert re.search(rf"out\.onnx, {size:,.0f}", result.out.replace("\n", ""))
    for text in ("Training accuracy", "Validation accuracy", "Training time", "best", "worst"):
        assert text in result.out
    assert re.search(r"\d ↔ \d", result.out)


def test_a_terminal_sees_a_row_an_epoch_and_a_bar(quick):
    result, model = quick(terminal=True)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", result.out)
    assert re.search(r"epoch 1/2: loss \d\.\d{4}, accuracy \d\.\d{4}, val_loss ", plain)
    assert "2/2 epochs" in plain
    assert re.search(r"s/epoch, \d+ s left", plain)
    assert model.metadata["parameters"]["mlp__verbose"] == 0


def test_the_seed_decides(quick):
    _, _, X, _ = datasets.load_image_data("digits")
    probabilities = [quick("--seed", seed)[1].predict_proba(X) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
    assert np.abs(probabilities[0] - probabilities[2]).max() > 0.01


def test_options_reach_the_network(quick):
    _, model = quick("--dropout", 0.5, "--batch-size", 64, "--layers", "none")
    parameters = model.metadata["parameters"]
    assert parameters["mlp__dropout"] == 0.5
    assert parameters["mlp__batch_size"] == 64
    assert parameters["mlp__hidden_layer_sizes"] == []


def test_recipes(quick):
    result, model = quick("--recipe", "fast", "--batch-size", 16)
    parameters = model.metadata["parameters"]
    expected = RECIPES["fast"] | {"batch_size": 16, "epochs": parameters["mlp__epochs"]}
    assert {name: parameters[f"mlp__{name}"] for name in expected} == expected
    assert "Validation accuracy" not in result.out  # no rows are held out
    assert "Training accuracy" in result.out


def test_all_recipes_are_known_here():
    assert list(RECIPES) == list(_options.RECIPES)


def test_report(quick, tmp_path):
    report = tmp_path / "my report.html"
    result, _ = quick("--report", report)
    page = report.read_text("utf-8")
    accuracy = re.search(r"Test accuracy +([\d.]+%)", result.out)[1]
    assert accuracy in page.replace("\u202f", "").replace(" %", "%")
    assert "mnist-estimator train --data digits --layers 16" in page
    assert "Training time" in page
    assert "myreport.html" in "".join(result.out.split())
    assert {path.name for path in tmp_path.iterdir()} == {"out.onnx", "my report.html"}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--out", "."], "'--out': . is a folder"),
        (["--out", "nowhere/model.onnx"], "'--out': there is no folder nowhere"),
        (["--report", "nowhere/report.html"], "'--report': there is no folder nowhere"),
        (["--out", "same", "--report", "./same"], "--out and --report name the same file"),
        (["--dropout", "1"], "'--dropout': '1' is not a number in the range [0, 1)"),
        (["--layers", "0"], "'--layers': '0' is not a list of units"),
        (["--batch-size", "0"], "'--batch-size'"),
        (["--recipe", "faster"], "'--recipe': 'faster' is none of reference, accurate, fast."),
        (["--seed", "-1"], "'--seed'"),
    ],
)
def test_mistakes_are_found_before_anything_is_loaded(refuse, monkeypatch, args, expected):
    loaded = []
    monkeypatch.setattr(datasets, "load_image_data", loaded.append)
    assert expected in refuse("train", "--data", "digits", *args)
    assert loaded == []


def test_data_that_is_not_there(refuse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No data at 'nowhere'" in refuse("train", "--data", "nowhere")
    assert "train-images-idx3-ubyte" in refuse("train", "--data", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_killed_and_started_again(start, quick, tmp_path):
    args = ["--epochs", 40]
    quick(*args)
    expected = (tmp_path / "out.onnx").read_bytes()
    killed = start(*QUICK, *args, "--checkpoint", "ck", cwd=tmp_path)
    while not killed.stdout.readline().startswith("epoch 4/40: "):
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    (tmp_path / "out.onnx").unlink()
    args += ["--checkpoint", tmp_path / "ck"]
    done = re.search(r"going on after epoch (\d+)/40\nepoch (\d+)/40: ", quick(*args)[0].out)
    assert 3 <= int(done[1]) == int(done[2]) - 1 < 40
    assert (tmp_path / "out.onnx").read_bytes() == expected
    assert "going on after epoch 40/40" in quick(*args, terminal=True)[0].out
    assert (tmp_path / "out.onnx").read_bytes() == expected


def test_the_checkpoint_is_a_folder(refuse, tmp_path):
    (tmp_path / "file").touch()
    assert "'--checkpoint'" in refuse(*QUICK, "--checkpoint", tmp_path / "file")


def test_interrupted_while_the_report_is_written(invoke, tmp_path, monkeypatch):
    def write_half(path, *args, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", write_half)
    args = ["--out", tmp_path / "out.onnx", "--report", tmp_path / "report.html"]
    assert invoke(*QUICK, *args).code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]
