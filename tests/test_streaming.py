"""More rows than memory: dask arrays are scaled lazily, streamed into training and predicted."""

import subprocess
import sys

import dask
import dask.array as da
import keras
import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import (
    KerasMLPClassifier,
    PixelScaler,
    _blocks,
    _streaming,
    make_mnist_pipeline,
)
from mnist_estimator._streaming import StreamedRows


class Disk:
    """Rows that are read a block at a time; `reads` holds the first row of each read."""

    def __init__(self, rows):
        self.rows, self.reads = rows, []

    def array(self, *lengths):
        """Return a dask array of blocks of these lengths."""
        chunks = (lengths, *((side,) for side in self.rows.shape[1:]))
        meta = np.empty((0,) * self.rows.ndim, self.rows.dtype)
        return da.map_blocks(self._read, chunks=chunks, dtype=self.rows.dtype, meta=meta)

    def _read(self, block_info=None):
        first, last = block_info[None]["array-location"][0]
        self.reads.append(first)
        return self.rows[first:last]


@pytest.fixture
def disk(digits):
    return Disk(digits[0])


@pytest.fixture
def blocks(disk):
    """The digits in four blocks, from disk."""
    return disk.array(500, 500, 500, 297)


@pytest.fixture
def small_buffer(monkeypatch):
    """Rounds of 128 rows of 64 features, so that the digits go through the buffer in pieces."""
    monkeypatch.setattr(_streaming, "_ROUND_BYTES", 128 * 64 * 4)


@pytest.fixture
def pipe():
    params = {"batch_size": 16, "learning_rate": 0.01, "epochs": 4, "random_state": 0}
    pipe = make_mnist_pipeline(hidden_layer_sizes=(32,), **params)
    return pipe.set_params(scale__pixel_max=16)


def weights_of(pipe):
    return np.concatenate([weight.ravel() for weight in pipe["mlp"].model_.get_weights()])


# The scaler.


def test_scaling_reads_nothing_until_it_is_computed(disk, blocks):
    scaled = PixelScaler().fit_transform(blocks)
    assert disk.reads == []
    assert (scaled.dtype, scaled.chunks) == (np.float32, blocks.chunks)
    np.testing.assert_array_equal(scaled.compute(), PixelScaler().fit_transform(disk.rows))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
def test_images_in_blocks_become_rows(disk, shape):
    disk.rows = disk.rows.reshape(-1, *shape)
    scaler = PixelScaler()
    scaled = scaler.fit_transform(disk.array(1000, 797).rechunk((300, 5, *shape[1:])))
    assert scaler.input_shape_ == shape
    assert scaled.chunks[1] == (64,)
    np.testing.assert_array_equal(scaled.compute(), PixelScaler().fit_transform(disk.rows))


def test_the_largest_grey_level_is_looked_for_in_all_blocks(disk):
    disk.rows = disk.rows / 4
    disk.rows[600:, 3] = np.nan
    disk.rows[1700, 5] = 7.5
    scaler = PixelScaler().fit(disk.array(*[100] * 17, 97))
    assert scaler.pixel_max_ == 7.5
    assert PixelScaler().fit(da.full((20, 3), np.nan, chunks=10)).pixel_max_ == 1


def test_a_bad_value_is_found_when_its_block_is_read(disk):
    disk.rows = disk.rows.astype(np.float32)
    disk.rows[700, 3] = -1
    blocks = disk.array(500, 500, 500, 297)
    scaler = PixelScaler()
    with pytest.raises(ValueError, match=r"Negative values .* smallest is -1"):
        scaler.fit(blocks)
    assert not hasattr(scaler, "n_features_in_")
    scaled = PixelScaler(pixel_max=16).fit_transform(blocks)
    with pytest.raises(ValueError, match="Negative values"):
        scaled.compute()


def test_fitting_the_scaler_again_leaves_what_is_still_to_be_computed(blocks):
    scaler = PixelScaler(pixel_max=16).fit(blocks)
    scaled = scaler.transform(blocks)
    scaler.set_params(pixel_max=1).fit(blocks)
    assert scaled.max().compute() == 1


def test_large_blocks_are_split_evenly(monkeypatch, disk):
    monkeypatch.setattr(_blocks, "_MAX_BLOCK_BYTES", 200 * 64 * 4)
    scaled = PixelScaler().fit_transform(disk.array(401, 0, 199, 1197))
    assert scaled.chunks[0] == (134, 134, 133, 199, 200, 200, 200, 199, 199, 199)
    np.testing.assert_array_equal(scaled.compute() * 255, disk.rows)


# What is no array of rows.


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (dask.delayed(np.eye)(3), TypeError, r"got dask.delayed.Delayed. Convert .* first"),
        (da.ones((9, 2))[da.ones(9) > 0], ValueError, r"unknown shape \(nan, 2\).*chunk_sizes"),
        (da.ones(9), ValueError, r"Expected 2D array, got a dask array of shape \(9,\)"),
        (da.ones((0, 4)), ValueError, r"Found array with shape \(0, 4\)"),
    ],
)
@pytest.mark.parametrize("estimator", [PixelScaler(), KerasMLPClassifier()])
def test_other_collections_are_refused(estimator, X, error, message):
    with pytest.raises(error, match=message):
        clone(estimator).fit(X, np.arange(9) % 2)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (da.ones((9, 4, 4)), np.arange(9) % 2, "dim 3, while dim 2 is required"),
        (da.ones((9, 4)).astype("U5"), np.arange(9) % 2, "of numbers, got one of dtype <U5"),
        (da.ones((9, 4)), np.arange(8) % 2, r"inconsistent numbers of samples: \[9, 8\]"),
        (da.ones((9, 4)) * np.inf, np.arange(9) % 2, "Input X contains infinity"),
    ],
)
def test_rows_that_do_not_fit_are_refused(X, y, message):
    mlp = KerasMLPClassifier(epochs=1)
    with pytest.raises(ValueError, match=message):
        mlp.fit(X, y)
    assert not hasattr(mlp, "model_")


def test_callbacks_at_batches_need_rows_in_memory(blocks, digits):
    mlp = KerasMLPClassifier(epochs=1, callbacks=keras.callbacks.TerminateOnNaN())
    with pytest.raises(ValueError, match=r"called at batches .* pass X.compute\(\)"):
        mlp.fit(blocks, digits[1])


# The buffer.


@pytest.mark.parametrize("n_wanted", [5, 128, 300, 1797])
def test_rounds_go_through_the_wanted_rows_once(small_buffer, disk, blocks, n_wanted):
    disk.rows = np.arange(1797, dtype=np.uint16)[:, np.newaxis].repeat(64, axis=1)
    blocks = disk.array(500, 500, 500, 297)
    codes, weight = np.arange(1797, dtype=np.int32), np.arange(1797, dtype=np.float32) / 2
    wanted = np.random.default_rng(0).permutation(1797)[:n_wanted]
    seen, sizes = [], []
    rows = StreamedRows(blocks, codes, weight, batch_size=16)
    for buffer, order in rows.rounds(wanted, np.random.default_rng(0)):
        assert len(buffer.X) == 3 * 128
        chosen = buffer.X.numpy()[order]
        assert (chosen == chosen[:, :1]).all()
        seen.extend(chosen[:, 0])
        sizes.append(len(order))
        np.testing.assert_array_equal(buffer.y.numpy()[order], chosen[:, 0])
        np.testing.assert_array_equal(buffer.weight.numpy()[order], chosen[:, 0] / 2)
    assert sorted(seen) == sorted(wanted)
    assert sizes == [128] * (n_wanted // 128) + [n_wanted % 128] * (n_wanted % 128 > 0)


def test_the_buffer_mixes_rows_of_several_blocks(small_buffer, disk):
    disk.rows = np.repeat(np.arange(18, dtype=np.uint8), 100)[:1797, np.newaxis].repeat(64, axis=1)
    rows = StreamedRows(
        disk.array(*[100] * 17, 97), np.zeros(1797, np.int32), np.ones(1797, np.float32), 16
    )
    rounds = rows.rounds(np.arange(1797), np.random.default_rng(0))
    per_round = [len(np.unique(buffer.X.numpy()[order, 0])) for buffer, order in rounds]
    assert np.mean(per_round) > 3.5  # 1.3 blocks of 100 rows would do for a round of 128


def test_blocks_without_a_wanted_row_are_not_read(small_buffer, disk, blocks):
    rows = StreamedRows(blocks, np.zeros(1797, np.int32), np.ones(1797, np.float32), 16)
    assert sum(len(order) for _, order in rows.rounds([3, 1203], np.random.default_rng(0))) == 2
    assert sorted(disk.reads) == [0, 1000]


def test_a_batch_of_more_rows_than_a_round_is_one_round(small_buffer, blocks):
    rows = StreamedRows(blocks, np.zeros(1797, np.int32), np.ones(1797, np.float32), 1000)
    rounds = rows.rounds(np.arange(1797), np.random.default_rng(0))
    assert [len(order) for _, order in rounds] == [1000, 797]


# Training.


def test_streaming_learns_as_well_as_training_from_memory(small_buffer, pipe, blocks, digits):
    X, y = digits
    streamed, resident = clone(pipe).fit(blocks, y), clone(pipe).fit(X, y)
    for figure in ("accuracy", "val_accuracy"):
        there, here = streamed["mlp"].history_[figure], resident["mlp"].history_[figure]
        np.testing.assert_allclose(there[-1], here[-1], atol=0.04)
    assert streamed["mlp"].n_samples_fit_ == resident["mlp"].n_samples_fit_
    assert streamed.score(X, y) > 0.9


def test_the_figures_are_means_over_all_rows(small_buffer, pipe, blocks, digits):
    pipe.set_params(mlp__dropout=0, mlp__learning_rate=1e-9, mlp__epochs=1)
    X, y = digits
    weight = np.random.default_rng(0).uniform(0, 2, len(y))
    streamed = clone(pipe).fit(blocks, y, mlp__sample_weight=weight)["mlp"].history_
    resident = clone(pipe).fit(X, y, mlp__sample_weight=weight)["mlp"].history_
    for figure, values in resident.items():
        np.testing.assert_allclose(streamed[figure], values, rtol=1e-5)


def test_the_same_random_state_gives_the_same_weights(small_buffer, pipe, blocks, digits):
    X, y = digits
    first = weights_of(clone(pipe).fit(blocks, y))
    with dask.config.set(scheduler="synchronous"):
        again = weights_of(clone(pipe).fit(da.from_array(X, chunks=(500, 10)), da.from_array(y)))
    np.testing.assert_array_equal(first, again)
    other = weights_of(clone(pipe).set_params(mlp__random_state=1).fit(blocks, y))
    assert not np.array_equal(first, other)


def test_weights_of_rows_and_classes_count(small_buffer, pipe, blocks, digits):
    _, y = digits
    is_low = y < 5
    pipe.set_params(mlp__class_weight={0: 0.0}).fit(blocks, y, mlp__sample_weight=is_low)
    assert pipe["mlp"].n_samples_fit_ == is_low.sum() - round(is_low.sum() * 0.2)
    assert set(np.unique(pipe.predict(blocks).compute())) == {1, 2, 3, 4}


def test_early_stopping_watches_rows_held_out_from_the_stream(small_buffer, pipe, blocks, digits):
    pipe.set_params(mlp__early_stopping=True, mlp__n_iter_no_change=2, mlp__epochs=60)
    mlp = pipe.fit(blocks, digits[1])["mlp"]
    assert mlp.n_iter_ < 60
    losses = mlp.history_["val_loss"]
    assert np.argmin(losses) == len(losses) - 3


def test_distortions_and_schedules_work_on_streams(small_buffer, pipe, blocks, digits):
    pipe.set_params(mlp__augmentation="affine", mlp__schedule="cosine", mlp__batch_size=20)
    first, again = (clone(pipe).fit(blocks, digits[1]) for _ in range(2))
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    plain = clone(pipe).set_params(mlp__augmentation=None).fit(blocks, digits[1])
    assert plain["mlp"].history_["loss"][-1] < first["mlp"].history_["loss"][-1]
    # All batches have their rate: the optimizer counted as many steps as in memory.
    in_memory = clone(pipe).fit(*digits)["mlp"].model_.optimizer.iterations
    assert int(first["mlp"].model_.optimizer.iterations) == int(in_memory)


def test_training_goes_on_from_disk(small_buffer, pipe, blocks, digits):
    _, y = digits
    mlp = pipe.set_params(mlp__warm_start=True).fit(blocks, y)["mlp"]
    pipe.fit(blocks, y)
    mlp.partial_fit(pipe["scale"].transform(blocks), y)
    assert len(mlp.history_["loss"]) == 9
    assert mlp.history_["loss"][-1] < mlp.history_["loss"][3]


def test_a_streamed_fit_goes_on_from_its_checkpoint(small_buffer, tmp_path, pipe, disk, digits):
    _, y = digits
    whole = clone(pipe).fit(disk.array(900, 897), y)
    pipe.set_params(mlp__checkpoint=tmp_path, mlp__epochs=2).fit(disk.array(900, 897), y)
    pipe.set_params(mlp__epochs=4).fit(disk.array(900, 897), y)
    np.testing.assert_array_equal(weights_of(pipe), weights_of(whole))
    assert len(list(tmp_path.iterdir())) == 2
    pipe.fit(disk.array(1000, 797), y)  # other blocks are another order of the rows
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_while_reading_ends_the_fit_and_changes_nothing(small_buffer, pipe, disk, digits):
    _, y = digits
    pipe.fit(disk.array(500, 1297), y)
    before = weights_of(pipe)
    disk.rows = disk.rows.astype(np.float32)
    disk.rows[1000] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        pipe.fit(disk.array(500, 1297), y)
    np.testing.assert_array_equal(weights_of(pipe), before)


# Prediction.


def test_predictions_of_blocks_are_lazy_and_the_same(pipe, disk, blocks, digits):
    X, y = digits
    names = np.array([f"digit {label}" for label in range(10)])[y]
    pipe.fit(X, names)
    probabilities, labels = pipe.predict_proba(blocks), pipe.predict(blocks)
    assert disk.reads == []
    assert (probabilities.dtype, probabilities.chunks) == (np.float32, (blocks.chunks[0], (10,)))
    assert (labels.dtype, labels.chunks) == (names.dtype, blocks.chunks[:1])
    np.testing.assert_allclose(probabilities.compute(), pipe.predict_proba(X), rtol=1e-5)
    np.testing.assert_array_equal(labels.compute(), pipe.predict(X))
    with pytest.raises(ValueError, match="X has 63 features, but PixelScaler is expecting 64"):
        pipe.predict(blocks[:, :63])


def test_scoring_reads_each_block_once(pipe, disk, blocks, digits):
    X, y = digits
    pipe.fit(X, y)
    assert pipe.score(blocks, da.from_array(y, chunks=700)) == pipe.score(X, y)
    assert sorted(disk.reads) == [0, 500, 1000, 1500]


# Other stores than memory maps.


def test_a_zarr_array_can_be_fitted(tmp_path, pipe, digits):
    X, y = digits
    da.from_array(X, chunks=(500, 64)).to_zarr(str(tmp_path / "digits.zarr"))
    stored = da.from_zarr(str(tmp_path / "digits.zarr"))
    assert pipe.fit(stored, y).score(stored, y) > 0.9


def test_dask_is_not_imported_by_itself():
    script = (
        "import sys, numpy as np\n"
        "from mnist_estimator import make_mnist_pipeline\n"
        "X, y = np.zeros((20, 4), np.uint8), np.arange(20) % 2\n"
        "make_mnist_pipeline(epochs=1).fit(X, y).predict(X)\n"
        "assert 'dask' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# Memory.

MEMORY_SCRIPT = """
import sys, threading
from pathlib import Path

import dask.array as da
import numpy as np

from mnist_estimator import make_mnist_pipeline

path, n_rows, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def anonymous_megabytes():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024 / 1e6


def read(block_info=None):
    first, last = block_info[None]["array-location"][0]
    return np.memmap(path, np.uint8, "r", shape=(n_rows, 784))[first:last]


def watch():
    while not done.wait(0.01):
        peaks.append(anonymous_megabytes())


images = da.map_blocks(read, chunks=((10_000,) * (n_rows // 10_000), (784,)), dtype=np.uint8)
labels = np.arange(n_rows) % 10
pipe = make_mnist_pipeline(epochs=1, batch_size=128)
pipe.fit(images[:5000].compute(), labels[:5000])
before, peaks, done = anonymous_megabytes(), [], threading.Event()
watcher = threading.Thread(target=watch)
watcher.start()
try:
    pipe.fit(images, labels)
finally:
    done.set()
    watcher.join()
grown = max(peaks) - before
assert grown < limit, f"{grown:.0f} MB"
print(f"{grown:.0f} {pipe['mlp'].history_['val_accuracy'][-1]}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_is_bounded_whatever_the_number_of_rows(tmp_path, mnist):
    X, y, _, _ = mnist
    n_rows = 200_000  # 627 MB as float32
    by_class = [np.flatnonzero(y == label)[:5000] for label in range(10)]
    images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=(n_rows, 784))
    for label, chosen in enumerate(by_class):
        images[label::10] = np.resize(X[chosen], (n_rows // 10, 784))
    images.flush()
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(tmp_path / "images"), str(n_rows), "400"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    grown, accuracy = map(float, run.stdout.split())
    assert grown > 100  # the buffer, at least: the measure works
    assert accuracy > 0.9
