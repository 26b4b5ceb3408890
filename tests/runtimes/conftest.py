"""Models exported once for all runtimes, and the code that the deployment page shows."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mnist_estimator import KerasMLPClassifier, PixelScaler, save_onnx

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
NAMES = np.array(["nought", "one", "two", "three", "four"])


def network(seed=0):
    return KerasMLPClassifier((16,), epochs=3, batch_size=16, random_state=seed)


def pixels(seed=0):
    return make_pipeline(PixelScaler(pixel_max=16), network(seed))


def linear():
    return make_pipeline(PixelScaler(pixel_max=16), StandardScaler(), LogisticRegression())


def voting():
    return VotingClassifier([("a", pixels()), ("b", pixels(1))], voting="soft", weights=[1, 2])


def with_gaps(rows):
    rows = rows.astype(np.float32)
    rows[::3, 20] = np.nan
    return rows


# Name → (estimator, what becomes of the rows and of the labels, keywords of the export).
MODELS = {
    "rows of bytes": (pixels, None, None, {}),
    "images of bytes": (pixels, lambda X: X.reshape(-1, 8, 8), None, {}),
    "float32": (pixels, lambda X: X.astype(np.float32), None, {}),
    "float64": (pixels, lambda X: X.astype(np.float64), None, {}),
    "labels of text": (pixels, None, NAMES.__getitem__, {}),
    "labels with gaps": (pixels, None, lambda y: 3 * y + 1, {}),
    "yes or no": (pixels, None, lambda y: y > 2, {}),
    "INT8": (pixels, None, None, {"quantize": "int8"}),
    "the oldest opset": (pixels, None, None, {"target_opset": 15}),
    "StandardScaler and PCA": (
        lambda: make_pipeline(StandardScaler(), PCA(20), network()),
        lambda X: X.astype(np.float32),
        None,
        {},
    ),
    "VarianceThreshold": (lambda: make_pipeline(VarianceThreshold(), pixels()), None, None, {}),
    "SimpleImputer": (lambda: make_pipeline(SimpleImputer(), pixels()), with_gaps, None, {}),
    "voting": (voting, None, None, {}),
    "voting on text": (voting, None, NAMES.__getitem__, {}),
    "stacking": (
        lambda: StackingClassifier([("a", pixels()), ("b", linear())], cv=2), None, None, {}
    ),
    "sigmoid calibration": (lambda: CalibratedClassifierCV(pixels(), cv=2), None, None, {}),
    "isotonic calibration": (
        lambda: CalibratedClassifierCV(pixels(), method="isotonic", cv=2), None, None, {}
    ),
}  # fmt: skip
# Runtimes round by some 1e-7, and the steps of isotonic calibration are up to 1,000 steep.
TOLERANCE = {"isotonic calibration": 1e-3}


@dataclass(frozen=True)
class Exported:
    """A folder with a file ``digits.onnx``, and what the estimator says of some rows."""

    folder: Path
    X: np.ndarray
    label: np.ndarray
    probabilities: np.ndarray
    tolerance: float

    def check(self, label, probabilities):
        """Compare the answers of another runtime."""
        label, probabilities = np.asarray(label), np.asarray(probabilities)
        assert probabilities.shape == self.probabilities.shape
        np.testing.assert_allclose(probabilities, self.probabilities, rtol=0, atol=self.tolerance)
        top_two = np.sort(self.probabilities)[:, -2:]
        is_clear = top_two[:, 1] - top_two[:, 0] > self.tolerance
        assert label.shape == self.label.shape
        np.testing.assert_array_equal(label[is_clear], self.label[is_clear])


@pytest.fixture(scope="session")
def exported(digits, tmp_path_factory):
    """A folder of models, trained on 400 scans of the digits 0 to 4: name → `Exported`.

    The file ``models.json`` in it says what the rows of each are.
    """
    root = tmp_path_factory.mktemp("models")
    keep = np.flatnonzero(digits[1] < 5)[:400]
    rows, numbers = digits[0][keep], digits[1][keep]
    models = {
        name: _export(root / re.sub(r"\W", "_", name), name, rows, numbers) for name in MODELS
    }
    entries = [
        {"folder": model.folder.name, "type": model.X.dtype.name, "dims": model.X.shape}
        for model in models.values()
    ]
    (root / "models.json").write_text(json.dumps(entries))
    return models


@pytest.fixture(params=list(MODELS))
def model(request, exported):
    """Each of the models."""
    return exported[request.param]


def _export(folder, name, rows, numbers):
    make, prepare, label, keywords = MODELS[name]
    X = prepare(rows) if prepare else rows
    y = label(numbers) if label else numbers
    estimator = make().fit(X, y)
    folder.mkdir()
    path = folder / "digits.onnx"
    save_onnx(estimator, path, X, **keywords)
    X = X[:100]
    expected = estimator.predict(X), estimator.predict_proba(X)
    if "quantize" in keywords:
        # Rounding to 8 bits is the file's: other runtimes must do it as onnxruntime does.
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        expected = session.run(None, {"X": X})
    # A file has int64 and strings.
    y = expected[0] if expected[0].dtype.kind in "UO" else expected[0].astype(np.int64)
    np.save(folder / "X.npy", X)
    (folder / "rows.bin").write_bytes(X.tobytes())
    return Exported(folder, X, y, expected[1], TOLERANCE.get(name, 1e-5))


@pytest.fixture(scope="session")
def shown():
    """The code under a heading of the deployment page: `shown(heading, language)`."""
    text = PAGE.read_text("utf-8")

    def find(heading, language):
        _, section = text.split(f"\n## {heading}\n", 1)
        section = section.split("\n## ", 1)[0]
        return re.search(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]

    return find
