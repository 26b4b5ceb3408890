"""save_onnx: a file that agrees, whole, or none."""

import errno
import tempfile

import keras
import numpy as np
import onnx
import pandas as pd
import pytest
import sklearn
from onnx import numpy_helper
from scikeras.wrappers import KerasRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.fixes import parse_version

from mnist_estimator import KerasMLPClassifier, save_onnx, to_onnx
from mnist_estimator.exceptions import ExportError
from mnist_estimator.export import ExportReport, _save_onnx


@pytest.fixture
def refuse_work(monkeypatch):
    """Fail if the long work starts."""

    def fail(*_, **__):
        raise AssertionError("the work started")

    monkeypatch.setattr(_save_onnx, "to_onnx", fail)


@pytest.fixture
def wrong_model(monkeypatch):
    """Let to_onnx give a model whose last layer is a little off."""

    def convert(estimator, X=None, **params):
        model = to_onnx(estimator, X, **params)
        bias = next(t for t in model.graph.initializer if len(t.dims) == 1 and t.dims[0] == 10)
        shifted = numpy_helper.to_array(bias) + np.linspace(0, 1, 10, dtype=np.float32)
        bias.CopyFrom(numpy_helper.from_array(shifted, bias.name))
        return model

    monkeypatch.setattr(_save_onnx, "to_onnx", convert)


def test_report(run, pipeline, digits, tmp_path):
    path = tmp_path / "digits.onnx"
    report = save_onnx(pipeline, path, digits[0])
    assert isinstance(report, ExportReport)
    assert report.path == path
    assert report.n_bytes == path.stat().st_size
    assert report.n_nodes == len(onnx.load(path).graph.node) == 8
    assert report.n_rows == 1797
    assert 0 <= report.max_difference <= 1e-5
    assert report.agreement == 1
    assert [file.name for file in tmp_path.iterdir()] == ["digits.onnx"]
    np.testing.assert_array_equal(run(path.read_bytes(), digits[0])[0], pipeline.predict(digits[0]))


def test_random_pixels_without_rows(pipeline, image_pipeline, tmp_path):
    assert save_onnx(pipeline, tmp_path / "a.onnx").n_rows == 64
    assert save_onnx(image_pipeline, str(tmp_path / "b.onnx")).agreement == 1


def test_many_rows_are_thinned_out(pipeline, digits, tmp_path):
    X = np.tile(digits[0], (6, 1))
    assert save_onnx(pipeline, tmp_path / "a.onnx", X).n_rows == 10_000
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    named = clone(pipeline).fit(frame[:50], np.arange(50) % 10)
    assert save_onnx(named, tmp_path / "b.onnx", frame).n_rows == 10_000


def test_labels_of_text_without_probabilities(four_digits, small_pipeline, tmp_path):
    X, y = four_digits
    voting = VotingClassifier([("a", small_pipeline()), ("b", small_pipeline(random_state=1))])
    voting.fit(X, np.array(["zero", "one", "two", "three"])[y])
    report = save_onnx(voting, tmp_path / "a.onnx", X)
    assert (report.max_difference, report.agreement) == (0, 1)


# SciKeras and Keras against newer releases of scikit-learn and NumPy than they know.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*_get_tags:FutureWarning")
@pytest.mark.skipif(sklearn.__version__ == "1.6.0", reason="cannot look at SciKeras' own classes")
@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn 1.6 itself raises on plain SciKeras estimators",
)
def test_regressor(digits, tmp_path):
    def build():
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    X, y = digits[0] / np.float32(16), digits[1].astype(np.float32)
    regressor = KerasRegressor(build, epochs=1, verbose=0).fit(X, y)
    report = save_onnx(regressor, tmp_path / "a.onnx", X)
    assert report.max_difference < 1e-5
    assert report.agreement == 1


def test_one_matrix_from_a_data_frame(digits, small_pipeline, tmp_path):
    frame = pd.DataFrame(digits[0][:300], columns=[f"p{i}" for i in range(64)])
    fitted = small_pipeline().fit(frame, digits[1][:300])
    assert save_onnx(fitted, tmp_path / "a.onnx", frame, columns_as="matrix").agreement == 1


def test_parameters_reach_to_onnx(pipeline, digits, tmp_path):
    save_onnx(pipeline, tmp_path / "a.onnx", digits[0], target_opset=15)
    assert onnx.load(tmp_path / "a.onnx").opset_import[0].version == 15


def test_nothing_is_written_that_disagrees(pipeline, digits, tmp_path, wrong_model):
    path = tmp_path / "digits.onnx"
    path.write_text("the older file")
    match = r"does not agree.*Of 1797 rows \d+ got another label.*largest difference is 0\.\d+"
    with pytest.raises(ExportError, match=match):
        save_onnx(pipeline, path, digits[0])
    assert path.read_text() == "the older file"
    assert [file.name for file in tmp_path.iterdir()] == ["digits.onnx"]


def test_unreadable_labels_count_as_disagreement(pipeline, digits, tmp_path, monkeypatch):
    def convert(estimator, X=None, **params):
        model = to_onnx(estimator, X, **params)
        del model.graph.node[-1].attribute[:]
        model.graph.node[-1].attribute.extend(
            [onnx.helper.make_attribute("axis", 1), onnx.helper.make_attribute("keepdims", 0)]
        )
        model.graph.node[-1].op_type = "ArgMin"
        return model

    monkeypatch.setattr(_save_onnx, "to_onnx", convert)
    with pytest.raises(ExportError, match=r"Of 1797 rows 1797 got another label"):
        save_onnx(pipeline, tmp_path / "digits.onnx", digits[0])


def test_interrupted_writing_leaves_the_older_file(pipeline, digits, tmp_path, monkeypatch):
    path = tmp_path / "digits.onnx"
    path.write_text("the older file")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_onnx(pipeline, path, digits[0][:50])
    assert path.read_text() == "the older file"
    assert [file.name for file in tmp_path.iterdir()] == ["digits.onnx"]


@pytest.mark.usefixtures("refuse_work")
class TestPaths:
    """Paths that cannot be written fail before the work."""

    def test_folder(self, pipeline, tmp_path):
        with pytest.raises(IsADirectoryError, match="it is a folder"):
            save_onnx(pipeline, tmp_path)

    def test_folder_that_is_absent(self, pipeline, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*Make it first"):
            save_onnx(pipeline, tmp_path / "absent" / "digits.onnx")

    def test_folder_without_permission(self, pipeline, tmp_path, monkeypatch):
        def deny(**_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(tempfile, "TemporaryFile", deny)
        with pytest.raises(PermissionError, match=r"Permission denied\. Choose another folder"):
            save_onnx(pipeline, tmp_path / "digits.onnx")

    def test_unfitted(self, tmp_path):
        with pytest.raises(NotFittedError):
            save_onnx(KerasMLPClassifier(), tmp_path / "digits.onnx")


def test_int8_reports_its_agreement(pipeline, digits, tmp_path):
    report = save_onnx(pipeline, tmp_path / "a.onnx", digits[0], quantize="int8")
    assert 0.98 <= report.agreement <= 1
    assert report.max_difference > 1e-5
    rows = save_onnx(pipeline, tmp_path / "b.onnx", quantize="int8", calibration_data=digits[0])
    assert rows.n_rows == 1797


def test_int8_that_lost_the_labels_is_refused(pipeline, digits, tmp_path):
    black = np.zeros((10, 64), dtype=np.uint8)
    with pytest.raises(ExportError, match=r"gives the float model's label on \d\d\.\d+%"):
        save_onnx(pipeline, tmp_path / "a.onnx", digits[0], quantize="int8", calibration_data=black)
    assert not list(tmp_path.iterdir())


def test_isotonic_calibration_is_not_refused_for_its_steepness(pipeline, digits, tmp_path):
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline), method="isotonic").fit(*digits)
    report = save_onnx(calibrated, tmp_path / "a.onnx", digits[0])
    assert report.agreement > 0.99
