"""An exported file needs onnxruntime and NumPy, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest

# The page's lines, for each model, where neither our package nor what it is made of can be had.
RUN = """
import json, os, sys
import numpy as np

for name in ["mnist_estimator", "sklearn", "skl2onnx", "tensorflow", "keras", "scikeras", "onnx"]:
    sys.modules[name] = None
shown = sys.stdin.read()
for entry in json.load(open("models.json")):
    os.chdir(entry["folder"])
    names = {"X_test": np.load("X.npy")}
    exec(shown, names)
    np.savez("answers.npz", label=names["labels"].astype(str), probabilities=names["probabilities"])
    os.chdir("..")
"""


@pytest.fixture(scope="module")
def answered(exported, shown):
    """Every model's folder has its answers."""
    root = next(iter(exported.values())).folder.parent
    code = shown("Python, without this package", "python")
    subprocess.run([sys.executable, "-I", "-c", RUN], cwd=root, input=code, text=True, check=True)


@pytest.mark.usefixtures("answered")
def test_the_four_lines_of_the_page(model):
    with np.load(model.folder / "answers.npz") as answers:
        model.check(answers["label"].astype(model.label.dtype), answers["probabilities"])


def test_the_page_shows_four_lines(shown):
    code = shown("Python, without this package", "python")
    assert len([line for line in code.splitlines() if line]) <= 4
