"""The page's JavaScript prepares drawings as `prepare_digits` does."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from mnist_estimator import prepare_digits

SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import { prepareDigit } from "./page/prepare.js";

const [side, pixels] = [320, new Uint8Array(readFileSync("drawings"))];
const rows = [];
for (let i = 0; i < pixels.length; i += side * side) {
  rows.push(prepareDigit(pixels.subarray(i, i + side * side), side) ?? new Uint8Array());
}
writeFileSync("rows", Buffer.concat(rows));
"""


@pytest.fixture
def prepare(page_folder, tmp_path):
    """``prepare(drawings)`` is the page's `prepare_digits`, run by Node."""
    if not shutil.which("node"):
        pytest.skip("needs Node")
    shutil.copytree(page_folder, tmp_path / "page")
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}))
    (tmp_path / "run.js").write_text(SCRIPT)

    def run(drawings):
        np.asarray(drawings, np.uint8).tofile(tmp_path / "drawings")
        subprocess.run(["node", "run.js"], cwd=tmp_path, check=True)
        return np.fromfile(tmp_path / "rows", np.uint8).reshape(-1, 784)

    return run


def test_same_images_for_200_drawings(prepare, templates, distort, draw):
    rng = np.random.default_rng(0)
    drawings = []
    for i in range(200):
        strokes = distort(templates[i % 10], rng)
        height = np.ptp(np.concatenate(strokes), axis=0).max() * 320
        drawings.append(draw(strokes, rng.uniform(0.03, 0.17) * height))
    expected, found = prepare_digits(drawings), prepare(drawings)
    differences = np.abs(found - expected.astype(float)).mean(axis=1)
    assert differences.mean() < 2
    assert np.median(differences) < 0.5


def test_grey_ink_and_strokes_off_the_page(prepare, templates, draw):
    one = [np.array([[0.5, -0.1], [0.55, 1.1]])]
    drawings = [draw(one, 25), np.maximum(draw(templates[3], 20), 100)]
    expected, found = prepare_digits(drawings), prepare(drawings)
    assert np.abs(found - expected.astype(float)).mean() < 2


def test_a_dot_is_in_the_middle(prepare, draw):
    (row,) = prepare(draw([np.array([[0.2, 0.7], [0.2, 0.7]])], 25))
    y, x = np.nonzero(row.reshape(28, 28))
    assert (y.mean(), x.mean()) == pytest.approx((14, 14), abs=0.6)


def test_an_empty_page_has_no_digit(prepare):
    assert len(prepare(np.full((1, 320, 320), 255))) == 0
