"""Parameters and data of every kind: each works, or gives one clear error and changes nothing."""

import decimal

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mnist_estimator import KerasMLPClassifier, OnnxClassifier, PixelScaler, make_mnist_pipeline
from mnist_estimator.exceptions import ModelFileError

# Some releases of scikit-learn take these labels, and warn.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Support for labels represented as bytes"),
    pytest.mark.filterwarnings("ignore:A column-vector y was passed"),
]

rng = np.random.default_rng(0)
X = rng.random((12, 3), np.float32)
y = np.arange(12) % 3


def examples(n):
    """Return the settings for `n` examples, the same ones in each run."""
    return settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# Values that many a parameter takes, among those that none does.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 5)
    | st.floats()
    | st.floats(0, 1)
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from(
        [
            *("relu", "tanh", "adam", "sgd", "balanced", "auto", "CPUExecutionProvider", "\ud800"),
            *(10**400, decimal.Decimal("0.5"), np.float32(0.5), np.int8(2), np.bool_(True)),
            *(np.datetime64("2020"), np.array(3), np.array([3]), np.array([[0.5]]), object(), int),
            *(keras.optimizers.Adam, keras.callbacks.Callback, keras.layers.ReLU, np.tanh, len),
            *(lambda: None, lambda x: x, lambda x: None, lambda x: x[..., :1], slice(3), range(2)),
        ]
    )
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers(0, 3) | st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=4,
)
# Arrays of any dtype, of shapes that occur and of those that cannot be.
dtypes = (
    npst.scalar_dtypes()
    | npst.byte_string_dtypes(max_len=3)
    | npst.unicode_string_dtypes(max_len=3)
    | st.sampled_from([np.dtype("V4"), np.dtype(np.longdouble), np.dtype([("a", int)])])
)
shapes = npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)


def arrays(shapes):
    """Return a strategy for arrays, and lists of their values, of any dtype."""
    plain = dtypes.flatmap(
        lambda dtype: (
            npst.arrays(dtype, shapes, elements={} if dtype.names is None else st.none())
            if dtype.kind != "V"
            else shapes.map(lambda shape: np.zeros(shape, dtype))
        )
    )
    objects = npst.arrays(object, shapes, elements=scalars)
    return plain | plain.map(np.ndarray.tolist) | objects | objects.map(np.ndarray.tolist)


@pytest.fixture(scope="module")
def fitted():
    return KerasMLPClassifier((2,), epochs=1, dropout=0.0, random_state=0).fit(X, y)


@pytest.fixture
def copied(fitted):
    """A function that gives the fitted classifier again and again, at no cost."""

    def copy():
        mlp = KerasMLPClassifier()
        vars(mlp).update(vars(fitted))
        return mlp

    return copy


def works_or_is_refused(act, estimator, *, naming=""):
    """Return what `act` gives; None where it raises as it may, the estimator being as before."""
    before = dict(vars(estimator))
    try:
        return act()
    except ModelFileError:  # names the file, whatever the parameter
        message = naming
    except (ValueError, TypeError) as error:
        message = str(error)
    assert naming in message
    after = vars(estimator)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    return None


def is_too_much(name, value):
    """Whether a value is right, and makes more work than a test has time for."""
    if name == "epochs":
        return isinstance(value, int) and value > 2
    if name == "hidden_layer_sizes":
        return any(isinstance(size, int) and size > 9 for size in np.ravel(value).tolist())
    return False


@examples(250)
@given(st.sampled_from(sorted(KerasMLPClassifier._parameter_constraints)), anything)
def test_parameters_of_the_classifier(copied, name, value):
    if name != "hidden_layer_sizes" and is_too_much(name, value):
        return
    mlp = copied().set_params(**{name: value})
    if works_or_is_refused(lambda: mlp.fit(X, y), mlp, naming=name):
        assert np.isfinite(mlp.predict_proba(X)).all()


@examples(150)
@given(arrays(shapes), arrays(npst.array_shapes(min_dims=1, max_dims=1, max_side=3)) | anything)
def test_rows_and_labels_of_the_classifier(copied, bad_X, bad_y):
    mlp = copied()
    if works_or_is_refused(lambda: mlp.fit(bad_X, bad_y), mlp):
        assert set(mlp.predict(bad_X)) <= set(mlp.classes_)


@examples(60)
@given(st.sampled_from(["y", "sample_weight", "classes"]), arrays(st.just((12,))) | anything)
def test_what_goes_along_with_the_rows(copied, name, value):
    mlp = copied()
    given_ = {"y": y, name: value}
    if name == "classes":
        del mlp.model_
    fit = mlp.partial_fit if name == "classes" else mlp.fit
    if works_or_is_refused(lambda: fit(X, **given_), mlp):
        assert np.isfinite(mlp.predict_proba(X)).all()


@examples(150)
@given(arrays(shapes))
def test_rows_to_predict(fitted, bad_X):
    probabilities = works_or_is_refused(lambda: fitted.predict_proba(bad_X), fitted)
    if probabilities is not None:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_all_that_left_the_classifier_as_it_was(fitted):
    again = KerasMLPClassifier((2,), epochs=1, dropout=0.0, random_state=0).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))


@examples(200)
@given(st.sampled_from(["pixel_max", "clip"]), anything)
def test_parameters_of_the_scaler(name, value):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    scaler = PixelScaler(**{name: value})
    if works_or_is_refused(lambda: scaler.fit(images), scaler, naming=name):
        scaled = works_or_is_refused(lambda: scaler.transform(images), scaler, naming="pixel_max")
        assert scaled is None or np.isfinite(scaled).all()


@examples(300)
@given(arrays(shapes))
def test_images_of_the_scaler(images):
    scaler = PixelScaler()
    scaled = works_or_is_refused(lambda: scaler.fit(images).transform(images), scaler)
    if scaled is not None:
        assert scaled.dtype == np.float32
        assert len(scaled) == len(images)
        assert not np.isinf(scaled).any()
        assert np.nanmax(scaled, initial=0) <= 1


@examples(40)
@given(
    st.sampled_from(["scale__pixel_max", "mlp__dropout", "mlp__epochs", "mlp__optimizer"]), anything
)
def test_parameters_of_the_pipeline(name, value):
    if is_too_much(name.rpartition("_")[2], value):
        return
    pipe = make_mnist_pipeline(hidden_layer_sizes=(2,), epochs=1, random_state=0)
    pipe.set_params(**{name: value})
    images, labels = np.arange(80, dtype=np.uint8).reshape(20, 2, 2), np.arange(20) % 2
    naming = name.partition("__")[2]
    if works_or_is_refused(lambda: pipe.fit(images, labels), pipe["mlp"], naming=naming):
        assert set(pipe.predict(images)) <= {0, 1}


@pytest.fixture(scope="module")
def model_path(network_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "model.onnx"
    path.write_bytes(network_file((3, 4, 3)).SerializeToString())
    return path


@examples(200)
@given(st.sampled_from(["path", "providers", "n_threads"]), anything)
def test_parameters_of_a_model_file(model_path, name, value):
    classifier = OnnxClassifier(model_path).set_params(**{name: value})
    labels = works_or_is_refused(lambda: classifier.predict([[0, 1, 2]]), classifier, naming=name)
    assert labels is None or labels.tolist() in ([0], [1], [2])


@examples(300)
@given(arrays(shapes) | arrays(st.just((2, 3))) | anything)
def test_rows_for_a_model_file(model_path, rows):
    classifier = OnnxClassifier(model_path).fit()
    probabilities = works_or_is_refused(lambda: classifier.predict_proba(rows), classifier)
    if probabilities is not None:
        assert probabilities.shape == (len(rows), 3)
        assert np.isfinite(probabilities).all()
