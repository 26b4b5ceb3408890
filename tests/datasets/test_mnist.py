import doctest
import inspect

import numpy as np
import pytest

import mnist_estimator
from mnist_estimator import fetch_mnist
from mnist_estimator.exceptions import DatasetError


def test_bunch(fill, tmp_path, published):
    images, labels = published.arrays["train"]
    mnist = fetch_mnist(data_home=fill(tmp_path / "data"))
    np.testing.assert_array_equal(mnist.data, images.reshape(12, 784), strict=True)
    np.testing.assert_array_equal(mnist.images, images, strict=True)
    np.testing.assert_array_equal(mnist.target, labels.astype(np.int64), strict=True)
    assert np.shares_memory(mnist.data, mnist.images)
    assert mnist.target_names.tolist() == list("0123456789")
    assert mnist.DESCR.startswith("MNIST handwritten digits")
    assert mnist.data.flags.writeable


@pytest.mark.parametrize(("subset", "parts"), [("test", ["test"]), ("all", ["train", "test"])])
def test_subset(fill, tmp_path, published, subset, parts):
    X, y = fetch_mnist(subset=subset, data_home=fill(tmp_path / "data"), return_X_y=True)
    images, labels = zip(*(published.arrays[part] for part in parts), strict=True)
    np.testing.assert_array_equal(X, np.concatenate(images).reshape(-1, 784), strict=True)
    np.testing.assert_array_equal(y, np.concatenate(labels).astype(np.int64), strict=True)


def test_as_images(fill, tmp_path, published):
    options = {"data_home": fill(tmp_path / "data"), "as_images": True}
    X, _ = fetch_mnist(return_X_y=True, **options)
    np.testing.assert_array_equal(X, published.arrays["train"][0], strict=True)
    mnist = fetch_mnist(**options)
    assert mnist.data.shape == mnist.images.shape == (12, 28, 28)


def test_signature():
    assert str(inspect.signature(fetch_mnist)) == (
        "(*, subset='train', data_home=None, download_if_missing=True, return_X_y=False, "
        "as_images=False)"
    )


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("subset", "validation"),
        ("data_home", 3),
        ("download_if_missing", "yes"),
        ("return_X_y", 2),
        ("as_images", None),
    ],
)
def test_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of fetch_mnist must be"):
        fetch_mnist(**{parameter: value})


def spoil(folder, published):
    """Cut every file of a folder short, so that reading any of them is an error."""
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])


def test_data_home_comes_first(fill, tmp_path, published, monkeypatch):
    monkeypatch.setenv("MNIST_ESTIMATOR_DATA", str(tmp_path / "variable"))
    spoil(fill(tmp_path / "variable"), published)
    spoil(fill(published.cache), published)
    assert fetch_mnist(data_home=str(fill(tmp_path / "home"))).data.shape == (12, 784)


def test_the_environment_variable_comes_second(fill, tmp_path, published, monkeypatch):
    monkeypatch.setenv("MNIST_ESTIMATOR_DATA", str(fill(tmp_path / "variable", compress=False)))
    spoil(fill(published.cache), published)
    assert fetch_mnist().data.shape == (12, 784)


@pytest.mark.parametrize("variable", [None, ""])
def test_the_cache_comes_third(fill, published, monkeypatch, variable):
    if variable is not None:
        monkeypatch.setenv("MNIST_ESTIMATOR_DATA", variable)
    fill(published.cache)
    assert fetch_mnist().data.shape == (12, 784)


def test_home_is_expanded(fill, tmp_path, published, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fill(tmp_path / "data")
    assert fetch_mnist(data_home="~/data").data.shape == (12, 784)
    monkeypatch.setenv("MNIST_ESTIMATOR_DATA", "~/data")
    assert fetch_mnist().data.shape == (12, 784)


@pytest.mark.parametrize("given", [True, False])
def test_downloads_once_to_data_home_or_the_cache(
    serve, serve_published, tmp_path, published, given
):
    published.use_mirrors(serve(serve_published))
    options = {"data_home": tmp_path / "home"} if given else {}
    for _ in range(2):
        assert fetch_mnist(subset="all", **options).data.shape == (17, 784)
    assert len(serve.paths) == 4
    folder = tmp_path / "home" if given else published.cache
    assert sorted(path.name for path in folder.iterdir()) == [
        "t10k-images.gz",
        "t10k-labels.gz",
        "train-images.gz",
        "train-labels.gz",
    ]


def test_only_what_is_missing_is_downloaded(serve, serve_published, fill, published):
    published.use_mirrors(serve(serve_published))
    fill(published.cache)
    (published.cache / "train-labels.gz").unlink()
    assert fetch_mnist().target.shape == (12,)
    assert serve.paths == ["/train-labels.gz"]


def test_a_damaged_file_is_an_error_and_stays(serve, serve_published, fill, published):
    published.use_mirrors(serve(serve_published))
    spoil(fill(published.cache), published)
    before = (published.cache / "train-images.gz").read_bytes()
    with pytest.raises(DatasetError, match=r"train-images\.gz is damaged"):
        fetch_mnist()
    assert (published.cache / "train-images.gz").read_bytes() == before
    assert serve.paths == []


def check_ways_out(message):
    assert "pass data_home=" in message
    assert "MNIST_ESTIMATOR_DATA" in message
    assert "connect to the network" in message
    assert "--data digits" in message
    assert "\n" not in message


def test_offline_with_nothing_cached(published):
    published.use_mirrors("http://127.0.0.1:1/")
    with pytest.raises(DatasetError, match=r"train-images could not be downloaded") as caught:
        fetch_mnist()
    check_ways_out(str(caught.value))
    assert str(published.cache) in str(caught.value)
    assert list(published.cache.iterdir()) == []


def test_download_not_allowed(serve, serve_published, published, tmp_path):
    published.use_mirrors(serve(serve_published))
    with pytest.raises(
        DatasetError, match=r"home has no train-images or train-images\.gz"
    ) as caught:
        fetch_mnist(data_home=tmp_path / "home", download_if_missing=False)
    check_ways_out(str(caught.value))
    assert not (tmp_path / "home").exists()
    assert serve.paths == []


def test_nothing_is_downloaded_to_the_folder_of_the_variable(
    serve, serve_published, published, tmp_path, monkeypatch
):
    published.use_mirrors(serve(serve_published))
    monkeypatch.setenv("MNIST_ESTIMATOR_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match="has no train-images"):
        fetch_mnist()
    assert list(tmp_path.iterdir()) == []
    assert serve.paths == []


def test_a_variable_that_names_no_folder(published, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_ESTIMATOR_DATA", str(tmp_path / "old"))
    with pytest.raises(DatasetError, match=r"MNIST_ESTIMATOR_DATA names .*old, which is not a"):
        fetch_mnist()


def test_real_mnist(mnist):
    X_train, y_train, X_test, y_test = mnist
    assert X_train.shape == (60_000, 784)
    assert X_test.shape == (10_000, 784)
    assert np.bincount(y_train).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert f"{X_train.mean() / 255:.4f}" == "0.1307"  # the mean that everybody quotes


def test_examples_hold_on_real_mnist(mnist):
    text = mnist_estimator.fetch_mnist.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "fetch_mnist", None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    assert runner.run(test, out=report.append).failed == 0, "".join(report)
    assert len(test.examples) >= 5
