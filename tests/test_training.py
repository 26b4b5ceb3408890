"""The compiled epoch: its figures, its dropout, its threads, and how often it is traced."""

import threading

import numpy as np
import pytest
from sklearn.base import clone

from mnist_estimator import KerasMLPClassifier, training
from mnist_estimator._aligned import aligned_empty
from mnist_estimator._mlp import build_mlp
from mnist_estimator._rows import resident_rows
from mnist_estimator._tensorflow import keras, tf
from mnist_estimator.training import EpochGraph, epoch_graph


def compiled(sizes=(8,), seed=0, n_features=20):
    model = build_mlp(n_features, 3, sizes, dropout=0.5, seed=seed)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.random((100, 20), np.float32)
    return X, rng.integers(3, size=100, dtype=np.int32), rng.random(100, np.float32) + 0.5


@pytest.fixture(scope="module")
def rows(data):
    return resident_rows(*data)


@pytest.fixture(scope="module")
def graph():
    return EpochGraph(compiled(), batch_size=32, dropout=True)


@pytest.fixture
def no_graphs(monkeypatch):
    """Start from an empty cache of graphs."""
    monkeypatch.setattr(training, "_graphs", type(training._graphs)())
    return training._graphs


ORDER = np.arange(100, dtype=np.int32)
DISTORTED = {"augmentation": "affine", "image_shape": (4, 5)}


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


# What an epoch gives.


def test_evaluation_gives_what_keras_gives(graph, rows, data):
    X, y, weight = data
    model, some = compiled(seed=5), ORDER[3:80]
    expected = model.evaluate(
        X[some], y[some], sample_weight=weight[some], batch_size=100, verbose=0
    )
    np.testing.assert_allclose(graph.evaluate(model, rows, some), expected, rtol=1e-5)


def test_evaluation_in_several_chunks_gives_the_same(graph, data):
    X, y, weight = (np.tile(array.T, 30).T for array in data)
    model, order = compiled(), np.arange(3000, dtype=np.int32)
    many = graph.evaluate(model, resident_rows(np.ascontiguousarray(X), y, weight), order)
    np.testing.assert_allclose(many, graph.evaluate(model, resident_rows(*data), ORDER), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64], ids="{} rows".format)
def test_short_batches_and_batches_larger_than_the_data_are_trained_on(graph, rows, n):
    model = compiled()
    before = weights_of(model)
    loss, accuracy = graph.train(model, rows, ORDER[:n], 0, 0.0)
    assert model.optimizer.iterations.numpy() == -(-n // 32)
    assert loss > 0
    assert 0 <= accuracy <= 1
    assert accuracy * n == pytest.approx(round(accuracy * n))
    assert not np.array_equal(weights_of(model), before)


def test_rows_are_used_in_the_order_given(graph, rows):
    def trained(order):
        model = compiled()
        graph.train(model, rows, np.array(order, np.int32), 0, 0.0)
        return weights_of(model)

    reordered = [*range(32, 64), *range(32)]
    assert not np.array_equal(trained(range(64)), trained(reordered))
    np.testing.assert_array_equal(trained(reordered), trained(reordered))


# Dropout. What a step leaves unchanged tells which units it dropped: a linear network on rows of a
# single 1 changes the weights from that input to the units that are kept.

N_INPUTS = 1300  # two full batches of 512 rows, which draw their masks apart, and a short one


@pytest.fixture(scope="module")
def kept_units():
    """A function of seed and rate: which units an epoch kept, bool, one line a row."""

    def linear():
        model = build_mlp(N_INPUTS, 3, (300,), activation="linear", seed=0)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    graph = EpochGraph(linear(), batch_size=512, dropout=True)
    labels = np.arange(N_INPUTS, dtype=np.int32) % 3
    rows = resident_rows(np.eye(N_INPUTS, dtype=np.float32), labels, np.ones(N_INPUTS, np.float32))

    def kept(seed, rate):
        model = linear()
        before = model.layers[1].kernel.numpy()
        graph.train(model, rows, np.arange(N_INPUTS, dtype=np.int32), seed, rate)
        return model.layers[1].kernel.numpy() != before

    return kept


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.85])
def test_units_are_dropped_at_the_rate(kept_units, rate):
    kept = kept_units(1, rate)
    deviation = (rate * (1 - rate) / kept.size) ** 0.5
    assert kept.mean() == pytest.approx(1 - rate, abs=4 * deviation)
    for axis in (0, 1):  # of each unit, and in each row
        shares, deviation = kept.mean(axis), (rate * (1 - rate) / kept.shape[axis]) ** 0.5
        assert shares.std() == pytest.approx(deviation, rel=0.25)


def test_no_run_of_units_is_dropped_alike_twice_in_an_epoch(kept_units):
    bits = kept_units(1, 0.5).ravel()
    runs = np.packbits(np.lib.stride_tricks.sliding_window_view(bits, 64), axis=1).view(np.uint64)
    assert len(np.unique(runs)) == len(runs)


def test_every_epoch_drops_other_units(kept_units):
    one, other = kept_units(1, 0.5).ravel(), kept_units(2, 0.5).ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / one.size**0.5
    np.testing.assert_array_equal(one, kept_units(1, 0.5).ravel())


def test_the_layers_of_a_network_drop_other_units():
    model = build_mlp(20, 3, (40, 40), activation="linear", seed=0)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    start, graph = model.get_weights(), EpochGraph(model, batch_size=1, dropout=True)
    row = resident_rows(np.ones((1, 20), np.float32), np.zeros(1, np.int32), np.ones(1, np.float32))
    first, second = [], []
    for seed in range(200):
        model.set_weights(start)
        graph.train(model, row, np.zeros(1, np.int32), seed, 0.5)
        changed = model.layers[3].kernel.numpy() != start[2]  # where both ends are kept
        first.append(changed.any(axis=1))
        second.append(changed.any(axis=0))
    correlations = np.corrcoef(np.transpose(first), np.transpose(second))[:40, 40:]
    assert np.abs(correlations).max() < 6 / 200**0.5
    assert abs(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]) < 4 / 8000**0.5


def test_dropout_keeps_the_mean(rows):
    # Before any update, the mean of a linear layer's logits over many masks is that without.
    still = build_mlp(20, 3, (400,), activation="linear", seed=0)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(still.trainable_variables)
    optimizer.learning_rate = 0.0
    still.compile(optimizer, "sparse_categorical_crossentropy")
    graph = EpochGraph(still, batch_size=100, dropout=True)
    without = graph.train(still, rows, ORDER, 0, 0.0)[0]
    losses = [graph.train(still, rows, ORDER, seed, 0.1)[0] for seed in range(30)]
    assert np.mean(losses) == pytest.approx(without, rel=0.02)
    assert len(set(losses)) == 30


@pytest.mark.parametrize("n", [32, 20], ids=["full batch", "short batch"])
def test_masks_change_from_epoch_to_epoch(graph, rows, n):
    def loss(seed, rate):
        return graph.train(compiled(), rows, ORDER[:n], seed, rate)[0]

    assert loss(1, 0.5) == loss(1, 0.5)
    assert loss(1, 0.5) != loss(2, 0.5)
    assert loss(1, 0.0) == loss(2, 0.0)


# Threads.


def operations(graph):
    """Return all operations of a traced function and of the functions that it calls."""
    found, waiting = [], [graph.graph.as_graph_def()]
    while waiting:
        definition = waiting.pop()
        found += definition.node
        for function in definition.library.function:
            found += function.node_def
    return found


def test_a_graph_runs_on_one_thread(graph, rows, monkeypatch):
    calls = []
    run = tf.raw_ops.MapDefun
    monkeypatch.setattr(
        tf.raw_ops, "MapDefun", lambda **inputs: calls.append(inputs) or run(**inputs)
    )
    model = compiled()
    graph.train(model, rows, ORDER, 0, 0.5)
    graph.evaluate(model, rows, ORDER)
    assert len(calls) == 2  # the epoch, the evaluation
    for call in calls:
        assert call["max_intra_op_parallelism"] == 1
        executors = {
            node.attr["executor_type"].s
            for node in operations(call["f"])
            if "executor_type" in node.attr
        }
        assert b"SINGLE_THREADED_EXECUTOR" in executors


def test_operations_run_on_the_same_thread_one_after_the_other(rows):
    threads = []

    @tf.custom_gradient
    def watched(h):
        with tf.control_dependencies(
            [tf.numpy_function(lambda: threads.append(threading.get_native_id()), [], [])]
        ):
            return tf.identity(h), lambda gradient: gradient

    model = build_mlp(20, 3, (8, 8), activation=watched, dropout=0, seed=0)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    graph = EpochGraph(model, 8, dropout=False)
    graph.train(model, rows, ORDER[:96], 0, 0.0)
    assert len(threads) == 2 * 12
    assert len(set(threads)) == 1


# These have branches in their graphs, which TensorFlow's single-threaded executor waits for
# forever where there is one thread for graphs.
BRANCHES_ON_ONE_THREAD = """
import numpy as np, keras
from keras.optimizers import Adam
from mnist_estimator import KerasMLPClassifier
X, y = np.random.default_rng(0).random((40, 8)), np.arange(40) % 2
rising = keras.optimizers.schedules.CosineDecay(0.0, 9, warmup_target=0.01, warmup_steps=3)
for options in (
    {"learning_rate": rising},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
):
    KerasMLPClassifier((4,), epochs=1, optimizer=Adam(**options)).fit(X, y)
    print("fitted")
"""


def test_one_thread_for_graphs_is_enough_for_branches(printed_on_one_thread):
    assert printed_on_one_thread(BRANCHES_ON_ONE_THREAD).split() == ["fitted"] * 3


@pytest.fixture
def threads_of(monkeypatch, no_graphs):
    """Fit on four processors and return how many threads each run of a graph was given."""
    asked = []
    run = tf.raw_ops.MapDefun

    def noting(**inputs):
        asked.append(inputs["max_intra_op_parallelism"])
        return run(**inputs)

    monkeypatch.setattr(tf.raw_ops, "MapDefun", noting)
    monkeypatch.setattr(training, "free_processors", lambda: 4)

    def fit(data, **params):
        asked.clear()
        X, y, _ = data
        KerasMLPClassifier(epochs=1, validation_split=0.2, **params).fit(X, y)
        return asked

    return fit


def test_large_batches_of_large_networks_share_the_processors(threads_of, data, monkeypatch):
    assert threads_of(data, hidden_layer_sizes=(8,)) == [1, 1]  # the epoch, the validation
    monkeypatch.setattr(training, "_SHARED_WORK", 32 * 195)  # 20·8 + 8 + 8·3 + 3 weights
    assert threads_of(data, hidden_layer_sizes=(8,)) == [4, 1]  # the 20 rows held out are fewer
    assert threads_of(data, hidden_layer_sizes=(8,), batch_size=31) == [1, 1]
    assert threads_of(data, hidden_layer_sizes=(7,)) == [1, 1]
    # One of them distorts the next rows.
    assert set(threads_of(data, hidden_layer_sizes=(16,), **DISTORTED)) >= {3}
    monkeypatch.setattr(training, "free_processors", lambda: 1)  # in a search
    assert set(threads_of(data, hidden_layer_sizes=(16,), **DISTORTED)) == {1}


def test_shared_work_gives_the_same_weights_each_time(digits, monkeypatch):
    monkeypatch.setattr(training, "free_processors", lambda: 2)
    params = {"hidden_layer_sizes": (256, 128), "batch_size": 1024, "epochs": 3, "random_state": 0}
    X, y = digits[0] / np.float32(16), digits[1]
    first, second = (KerasMLPClassifier(**params).fit(X, y) for _ in range(2))
    assert 1024 * first.model_.count_params() > training._SHARED_WORK
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.score(X, y) > 0.7


def test_the_threads_of_the_process_stay_as_they_are(graph, rows):
    config = tf.config.threading
    before = (
        config.get_intra_op_parallelism_threads(),
        config.get_inter_op_parallelism_threads(),
    )
    graph.train(compiled(), rows, ORDER, 0, 0.5)
    after = config.get_intra_op_parallelism_threads(), config.get_inter_op_parallelism_threads()
    assert after == before


# Reuse.


def test_one_graph_serves_every_model_of_its_architecture(data):
    graph = EpochGraph(compiled(), batch_size=32, dropout=True)
    trained = []
    for seed in (1, 2, 1):
        model = compiled(seed=seed)
        graph.train(model, resident_rows(*data), ORDER, 3, 0.2)
        graph.evaluate(model, resident_rows(*data), ORDER)
        trained.append(weights_of(model))
    assert graph.n_traces == 2  # the epoch, the evaluation
    np.testing.assert_array_equal(trained[0], trained[2])
    assert not np.array_equal(trained[0], trained[1])


def test_a_graph_trains_other_widths_as_a_graph_of_their_own(rows):
    shared = EpochGraph(compiled(), batch_size=32, dropout=True)
    for width in (8, 40, 1, 8):
        trained = []
        for graph in (shared, EpochGraph(compiled((width,)), batch_size=32, dropout=True)):
            model = compiled((width,), seed=1)
            figures = graph.train(model, rows, ORDER, 3, 0.5) + graph.evaluate(model, rows, ORDER)
            trained.append(np.append(weights_of(model), figures))
        np.testing.assert_array_equal(*trained)


def test_tensorflow_sees_no_shape_of_a_variable(graph, rows, monkeypatch):
    # Given handles of variables of other shapes, it prepares MapDefun's function anew: 0.07 s for
    # an epoch. Of a tensor of handles it looks at the first.
    run, given = tf.raw_ops.MapDefun, []
    monkeypatch.setattr(
        tf.raw_ops,
        "MapDefun",
        lambda **inputs: given.append(inputs["captured_inputs"]) or run(**inputs),
    )
    for width in (8, 5):
        graph.train(compiled((width,)), rows, ORDER, 0, 0.5)
    for inputs in given:
        assert [x.shape for x in inputs if x.dtype == tf.resource] == [(1 + 4 + 2,)]


def test_a_graph_knows_the_number_of_rows_by_no_trace(graph, data):
    X, y, weight = data
    n_traces = graph.n_traces
    for n in (40, 70):
        graph.train(compiled(), resident_rows(X[:n].copy(), y[:n], weight[:n]), ORDER[:n], 0, 0.5)
    assert graph.n_traces == n_traces


def test_searches_trace_once_for_what_a_graph_takes_as_input(no_graphs, data):
    X, y, weight = data
    mlp = KerasMLPClassifier((8,), epochs=1, random_state=0, validation_split=0.2)
    for params in (
        {},
        {"dropout": 0.5},
        {"learning_rate": 0.1},
        {"class_weight": "balanced"},
        {"epochs": 2, "random_state": 7},
        {"early_stopping": True},
        {"hidden_layer_sizes": (5,)},
    ):
        clone(mlp).set_params(**params).fit(X, y)
        clone(mlp).set_params(**params).fit(X[:50], y[:50], sample_weight=weight[:50])
    (kept,) = no_graphs.values()
    assert kept.n_traces == 2


def test_what_changes_the_graph_gets_a_graph_of_its_own(no_graphs, data):
    X, y, _ = data
    mlp = KerasMLPClassifier((8,), epochs=1, random_state=0)
    variants = [
        {},
        {"hidden_layer_sizes": (8, 4)},
        {"activation": "tanh"},
        {"dropout": 0.0},
        {"optimizer": "sgd"},
        {"batch_size": 16},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 100)},
        {"optimizer": keras.optimizers.Adam(beta_1=0.8)},
    ]
    losses = [clone(mlp).set_params(**params).fit(X[:64], y[:64]).history_ for params in variants]
    assert len(no_graphs) == len(variants)
    assert len({tuple(history["loss"]) for history in losses}) >= len(variants) - 1


def test_the_graphs_used_last_are_kept(no_graphs, monkeypatch):
    monkeypatch.setattr(training, "_MAX_GRAPHS", 2)

    def graph_of(key):
        return epoch_graph(compiled, (64, 10, (16,)), key, keras.optimizers.SGD(), 32, True)

    first, _ = graph_of("a"), graph_of("b")
    assert graph_of("a") is first
    graph_of("c")  # pushes "b" out
    assert graph_of("a") is first
    assert [key[1] for key in no_graphs] == ["c", "a"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "nadam"])
def test_a_graph_traced_for_other_widths_trains_as_one_of_its_own(no_graphs, data, optimizer):
    X, y, weight = data
    params = {"optimizer": optimizer, "epochs": 2, "random_state": 0, "validation_split": 0.2}
    mlp = KerasMLPClassifier((8, 4), **params)
    alone = clone(mlp).fit(X, y, sample_weight=weight)
    no_graphs.clear()
    clone(mlp).set_params(hidden_layer_sizes=(3, 6)).fit(X, y)
    after = clone(mlp).fit(X, y, sample_weight=weight)
    # Keras' own updates, where TensorFlow has no kernel, know the widths: a graph for each.
    assert len(no_graphs) == (2 if optimizer in ("rmsprop", "nadam") else 1)
    assert after.history_ == alone.history_
    for weights, expected in zip(
        after.model_.get_weights(), alone.model_.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weights, expected)


def test_fits_in_several_threads_give_what_they_give_alone(data):
    X, y, _ = data
    mlp = KerasMLPClassifier((8,), epochs=3)
    seeds = range(4)
    alone = [clone(mlp).set_params(random_state=seed).fit(X, y) for seed in seeds]
    together = [clone(mlp).set_params(random_state=seed) for seed in seeds]
    threads = [threading.Thread(target=one.fit, args=(X, y)) for one in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(weights_of(one.model_), weights_of(other.model_))


# Resident rows.


def test_rows_that_lie_well_are_not_copied(data):
    aligned = aligned_empty((10, 20))
    aligned[:] = data[0][:10]
    rows = resident_rows(aligned, data[1][:10], data[2][:10])
    assert np.shares_memory(rows.X._numpy(), aligned)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda X: X[1:],
        np.asfortranarray,
        lambda X: X[:, ::2],
        lambda X: np.lib.stride_tricks.as_strided(X, writeable=False),
    ],
    ids=["not aligned", "by columns", "every second column", "read-only"],
)
def test_other_rows_are_copied_and_kept(data, prepare):
    aligned = aligned_empty((11, 20))
    aligned[:] = data[0][:11]
    X = prepare(aligned)
    rows = resident_rows(X, data[1][: len(X)], data[2][: len(X)])
    np.testing.assert_array_equal(rows.X.numpy(), X)
    np.testing.assert_array_equal(rows.y.numpy(), data[1][: len(X)])
    np.testing.assert_array_equal(rows.weight.numpy(), data[2][: len(X)])
