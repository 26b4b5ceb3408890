"""onnxruntime-web's WebAssembly build runs the same files, here under Node."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).parent / "node"
# How npm says that it could not reach its registry.
UNREACHABLE = re.compile(
    r"\b(EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT"
    r"|ETIMEDOUT|FETCH_ERROR)\b"
)


@pytest.fixture(scope="module")
def project():
    """A copy of the Node project with its packages installed as the lock file says."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("needs Node and npm")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(PROJECT, Path(folder) / "node")
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        install += ["--fetch-retries=1", "--fetch-timeout=60000"]
        done = subprocess.run(install, cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode and UNREACHABLE.search(done.stderr):
            pytest.skip("needs onnxruntime-web from the npm registry, which does not answer")
        assert done.returncode == 0, done.stderr
        yield copy


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


def test_no_package_names_a_registry():
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages)
