"""onnxruntime-web's WebAssembly build runs the same files, here under Node."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "run_models.mjs"


@pytest.fixture(scope="module")
def project(node_project, tmp_path_factory):
    """A folder of Node scripts that find onnxruntime-web."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(node_project / "node_modules")
    shutil.copy(SCRIPT, folder)
    return folder


def run_node(project, *arguments):
    """Return what a script prints."""
    done = subprocess.run(
        ["node", *map(str, arguments)], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def answers(project, exported):
    """The labels and probabilities of every model: folder → answer."""
    folders = [model.folder for model in exported.values()]
    printed = run_node(project, "run_models.mjs", folders[0].parent)
    return dict(zip(folders, json.loads(printed), strict=True))


def test_same_answers(model, answers):
    answer = answers[model.folder]
    model.check(answer["label"], np.reshape(answer["probabilities"], answer["dims"]))


@pytest.mark.parametrize("name", ["rows of bytes", "labels of text"])
def test_the_code_of_the_page(project, exported, shown, name):
    model = exported[name]
    shutil.copy(model.folder / "digits.onnx", project)
    rows = f"for (const row of {model.X.tolist()}) {{"
    print_answer = """
        const answer = await read(new Uint8Array(row));
        console.log(JSON.stringify([answer.label, ...answer.probabilities]));
    }"""
    (project / "page.mjs").write_text(shown("JavaScript", "js") + rows + print_answer)
    answers = [json.loads(line) for line in run_node(project, "page.mjs").splitlines()]
    model.check([answer[0] for answer in answers], [answer[1:] for answer in answers])
