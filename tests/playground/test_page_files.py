"""What the page is made of, and which models it takes."""

import json

import numpy as np
import pytest

from mnist_estimator.exceptions import ModelFileError
from mnist_estimator.playground import page_files


@pytest.fixture
def write(network_file, tmp_path):
    """``write(**params)`` writes an untrained network of `network_file`'s parameters."""

    def written(**params):
        path = tmp_path / "my digits.onnx"
        path.write_bytes(network_file(**params).SerializeToString())
        return path

    return written


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1)])
def test_sources_model_and_description(write, page_folder, shape):
    path = write(shape=shape)
    files = page_files(path)
    assert json.loads(files.pop("page.json")) == {
        "name": "my digits.onnx",
        "classes": [str(digit) for digit in range(10)],
        "shape": list(shape),
        "max": 255,
        "offline": False,
    }
    assert files.pop("model.onnx") == path.read_bytes()
    assert files == {source.name: source.read_bytes() for source in page_folder.iterdir()}


def test_the_classes_are_those_of_the_model(write):
    names = np.array([f"<{digit}>" for digit in range(10)])
    assert json.loads(page_files(write(classes=names))["page.json"])["classes"] == names.tolist()


def test_what_the_browser_keeps(write):
    files = page_files(str(write()), offline=True)
    assert json.loads(files["page.json"])["offline"] is True


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"sizes": (64, 10)}, "takes 64 values of uint8; the playground draws"),
        ({"dtype": "float32"}, "takes 784 values of float32; the playground draws"),
        ({"sizes": (784, 8, 5)}, "tells 5 classes apart; the playground is for the ten digits"),
    ],
)
def test_other_models_are_refused(write, params, found):
    with pytest.raises(ValueError, match=f"my digits.onnx {found}"):
        page_files(write(**params))


def test_no_model(tmp_path):
    (tmp_path / "page.gif").write_bytes(b"GIF89a")
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        page_files(tmp_path / "page.gif")
    with pytest.raises(ModelFileError, match="no such file"):
        page_files(tmp_path / "missing.onnx")
