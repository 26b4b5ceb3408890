"""Epochs over more rows than memory holds: blocks of a dask array through a shuffle buffer.

The compiled graph trains on rows that lie in a buffer of fixed size, some thousand at a time,
while a second thread loads the next blocks into the places of those used before. Rows that were
not drawn stay for later, so that those of a block spread over several rounds.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.utils import assert_all_finite

from mnist_estimator._aligned import aligned_empty
from mnist_estimator._blocks import is_dask, row_blocks
from mnist_estimator._rows import Rows, as_tensor, resident_rows
from mnist_estimator._tensorflow import tf
from mnist_estimator._validation import no_overflow

# What the rows of one round take as float32. The buffer is three times as large: one part is
# trained on, one is being loaded, and one stays to be mixed with what comes.
_ROUND_BYTES = 48 * 2**20


def graph_and_rows(graph, X, codes, weight, batch_size):
    """Return rows to train on, resident or streamed, and the graph that takes them.

    Parameters
    ----------
    graph : EpochGraph
        What trains.
    X : ndarray of float32 or uint8, or dask array, shape (n_rows, n_features)
        The features, or grey levels; a dask array is streamed.
    codes : ndarray of int32, shape (n_rows,)
        The index of each row's class.
    weight : ndarray of float32, shape (n_rows,)
        What each row's loss counts.
    batch_size : int
        Rows of a minibatch.

    Returns
    -------
    graph : EpochGraph or StreamingGraph
        What trains on these rows.
    rows : Rows or StreamedRows
        The rows.
    """
    if is_dask(X):
        return StreamingGraph(graph), StreamedRows(X, codes, weight, batch_size)
    return graph, resident_rows(X, codes, weight)


class StreamedRows:
    """Labelled rows, of which only a buffer is in memory.

    Parameters
    ----------
    blocks : dask.array.Array of shape (n_rows, n_features)
        The features, numbers in blocks of whole rows.
    codes : ndarray of int32, shape (n_rows,)
        The index of each row's class.
    weight : ndarray of float32, shape (n_rows,)
        What each row's loss counts.
    batch_size : int
        Rows of a minibatch; a round is a whole number of them.
    """

    def __init__(self, blocks, codes, weight, batch_size):
        self._blocks = row_blocks(blocks, split=True)
        self._codes = codes
        self._weight = weight
        n_rows, n_features = blocks.shape
        wanted = min(_ROUND_BYTES // (4 * n_features), n_rows)
        self._round_rows = max(1, wanted // batch_size) * batch_size
        n_places = min(3 * self._round_rows, n_rows)
        self._buffer = aligned_empty((n_places, n_features))
        self._buffer_codes = np.empty(n_places, np.int32)
        self._buffer_weight = np.empty(n_places, np.float32)

    def rounds(self, wanted, rng):
        """Go through rows, as many at once as a round takes.

        Parameters
        ----------
        wanted : ndarray of int, shape (n,)
            The rows to go through, each once.
        rng : numpy.random.Generator
            What shuffles the blocks, and the rows in the buffer.

        Yields
        ------
        rows : Rows
            The buffer.
        order : ndarray of int32
            Which of its rows to use; the others may change meanwhile. Always the same number,
            a multiple of the batch size, except in the last round.
        """
        size = self._round_rows
        places = np.arange(len(self._buffer), dtype=np.int32)
        load = self._loading(wanted, rng.permutation(self._blocks.numblocks[0]))
        next(load)
        with ThreadPoolExecutor(1, thread_name_prefix="load-blocks") as loader:
            ready, free = load.send(places[: 2 * size]), places[2 * size :]
            while len(ready):
                ready = rng.permutation(ready)
                order, ready = ready[:size], ready[size:]
                # A tensor of its own for each round: a GPU keeps its copy of one that it has seen.
                labels, weight = tf.constant(self._buffer_codes), tf.constant(self._buffer_weight)
                rows = Rows(as_tensor(self._buffer), labels, weight)
                loaded = loader.submit(load.send, free)
                yield rows, order
                ready, free = np.concatenate([ready, loaded.result()]), order

    def _loading(self, wanted, blocks):
        """Load rows: sent the places for the next ones, yield those of them that were filled."""
        is_wanted = np.zeros(len(self._codes), dtype=bool)
        is_wanted[wanted] = True
        ends = np.cumsum(self._blocks.chunks[0])
        places, n_filled = (yield), 0
        for block in blocks:
            first = ends[block] - self._blocks.chunks[0][block]
            rows = first + np.flatnonzero(is_wanted[first : ends[block]])
            if not len(rows):
                continue
            with no_overflow("X"):
                X = np.asarray(self._blocks.blocks[block].compute(), dtype=np.float32)
            assert_all_finite(X, input_name="X")
            while len(rows):
                now, rows = np.split(rows, [len(places) - n_filled])
                to = places[n_filled : n_filled + len(now)]
                self._buffer[to] = X[now - first]
                self._buffer_codes[to] = self._codes[now]
                self._buffer_weight[to] = self._weight[now]
                n_filled += len(now)
                if n_filled == len(places):
                    places, n_filled = (yield places), 0
            del X  # not while the next one is computed
        while True:
            places, n_filled = (yield places[:n_filled]), 0


class StreamingGraph:
    """An `EpochGraph` that takes `StreamedRows`.

    Parameters
    ----------
    graph : EpochGraph
        What trains on the buffer.
    """

    def __init__(self, graph):
        self._graph = graph

    def count_batches(self, n_rows):
        """Return how many batches an epoch of `n_rows` rows has."""
        return self._graph.count_batches(n_rows)

    def train(self, model, rows, order, seed, dropout_rate, learning_rates=(), first_batch=0):
        """Train for one epoch, as `EpochGraph.train` does.

        Parameters
        ----------
        model : keras.Model
            A compiled model of the graph's architecture.
        rows : StreamedRows
            Where the rows lie.
        order : ndarray of int32, shape (n,)
            The rows of this epoch. In which order they are used, `seed` decides.
        seed : int
            Seed of that order and of this epoch's dropout masks and distortions.
        dropout_rate : float
            The probability that a hidden unit is dropped.
        learning_rates : ndarray of float32, shape (n_batches,), default=()
            Each batch's learning rate, where the graph is `scheduled`.
        first_batch : int, default=0
            The number of the first batch; `seed` with another one shuffles otherwise.

        Returns
        -------
        loss, accuracy : float
            Means over the epoch.
        """
        entropy, rates, figures = (seed, first_batch), learning_rates, []
        rng = np.random.default_rng(entropy)
        for buffer, chosen in rows.rounds(order, np.random.default_rng(entropy)):
            inputs = (model, buffer, chosen, rng.integers(2**31), dropout_rate, rates)
            figures.append((self._graph.train(*inputs), chosen))
            rates = rates[self.count_batches(len(chosen)) :]
        return _mean(figures)

    def evaluate(self, model, rows, order):
        """Evaluate a model, as `EpochGraph.evaluate` does.

        Parameters
        ----------
        model : keras.Model
            A model of the graph's architecture.
        rows : StreamedRows
            Where the rows lie.
        order : ndarray of int32, shape (n,)
            Which rows to evaluate.

        Returns
        -------
        loss, accuracy : float
            Without dropout.
        """
        return _mean(
            (self._graph.evaluate(model, buffer, chosen), chosen)
            for buffer, chosen in rows.rounds(order, np.random.default_rng(0))
        )


def _mean(rounds):
    """Return the mean of the figures of some rounds, each row counting alike."""
    figures, sizes = zip(*((figures, len(order)) for figures, order in rounds), strict=True)
    loss, accuracy = np.average(figures, axis=0, weights=sizes)
    return float(loss), float(accuracy)
