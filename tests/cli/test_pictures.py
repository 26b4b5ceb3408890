import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mnist_estimator.cli._pictures import PictureFitter, draw


def model(shape, dtype="uint8", **described):
    return SimpleNamespace(
        input_shape=shape,
        input_dtype=np.dtype(dtype),
        n_features=int(np.prod(shape)),
        metadata={"input": described},
    )


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1)])
@pytest.mark.parametrize("described", [{"max": 255}, {}])
def test_an_image_of_the_right_size_stays_as_it_is(image, shape, described):
    rows = PictureFitter(model(shape, **described)).fit(image)
    assert rows.dtype == np.uint8
    assert rows.shape == (1, *shape)
    np.testing.assert_array_equal(rows.ravel(), image.ravel())


@pytest.mark.parametrize("described", [{"max": 1.0}, {}])
def test_grey_levels_become_those_of_the_model(image, described):
    rows = PictureFitter(model((784,), "float32", **described)).fit(image)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.ravel(), image.ravel() / 255, rtol=1e-6)


def test_small_scans_are_made_as_those_of_the_data(digits):
    """Of scans that are drawn large, most come back nearest to one of their own digit."""
    X, y = digits[0].astype(int), digits[1]
    fitter = PictureFitter(model((64,), max=16))
    n_right = 0
    for row, label in zip(X[:200], y[:200], strict=True):
        ink = Image.fromarray(np.uint8(row.reshape(8, 8) * 15.9))
        ink = ink.resize((20, 20), Image.Resampling.BICUBIC)
        scan = fitter.fit(np.pad(np.asarray(ink), 4))
        assert scan.shape == (1, 64)
        assert scan.max() <= 16
        n_right += y[200:][np.abs(X[200:] - scan).sum(axis=1).argmin()] == label
    assert n_right > 140


def test_a_one_does_not_become_a_bar():
    image = np.zeros((28, 28), dtype=np.uint8)
    image[4:24, 14] = 255
    (scan,) = PictureFitter(model((8, 8), max=16)).fit(image)
    assert (scan.any(axis=0)).sum() <= 2
    assert scan.any(axis=1).all()


@pytest.mark.parametrize("shape", [(785,), (28, 28, 3)])
def test_rows_that_are_no_images_are_refused(shape):
    with pytest.raises(ValueError, match="not the pixels of a grey image"):
        PictureFitter(model(shape))


def test_a_table_is_no_image():
    table = SimpleNamespace(input_shape=(4,), input_dtype=None, n_features=4)
    with pytest.raises(ValueError, match="not the pixels of a grey image"):
        PictureFitter(table)


def test_drawn_in_grey_levels():
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    image = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    picture = draw(image, console)
    assert picture.plain == "▀▀"
    console.print(picture, end="")
    text = console.file.getvalue()
    assert "38;2;0;0;0;48;2;255;255;255m▀" in text
    assert "38;2;255;255;255;48;2;0;0;0m▀" in text


@pytest.mark.parametrize("options", [{"no_color": True, "force_terminal": True}, {}])
def test_drawn_in_shades_where_there_is_no_colour(options):
    console = Console(file=io.StringIO(), **options)
    image = np.array([[0, 255, 255], [0, 255, 0], [0, 0, 255], [0, 0, 255]], dtype=np.uint8)
    assert draw(image, console).plain == " █▒\n  █"
