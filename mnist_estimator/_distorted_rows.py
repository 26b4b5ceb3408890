"""Epochs on distorted images: one thread distorts the next rows while another one trains."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mnist_estimator._bounded_graph import SINGLE_THREADED, BoundedGraph, device_of
from mnist_estimator._processors import processors_are_free
from mnist_estimator._rows import Rows, take_rows
from mnist_estimator._tensorflow import tf
from mnist_estimator.augmentation import CustomDistortion

# What the rows that are distorted ahead take as float32.
_CHUNK_BYTES = 12 * 2**20


class DistortingGraph:
    """An `EpochGraph` that is given every row distorted, anew in each epoch.

    Distortions are a compiled graph of their own. It runs ahead of the training in a second
    thread where the fit is the process's own work; in one of several threads or worker processes
    of a search the processors are taken, and the two take turns.

    Parameters
    ----------
    graph : EpochGraph
        What trains.
    distort : Warp or CustomDistortion
        What distorts a batch of rows.
    batch_size : int
        Rows of a minibatch.

    Attributes
    ----------
    n_traces : int
        How many graphs of distortions have been traced so far.
    """

    def __init__(self, graph, distort, batch_size):
        self.n_traces = 0
        self._graph = graph
        self._distort = distort
        self._batch_size = batch_size
        self._traced = {}
        self._lock = threading.Lock()

    def count_batches(self, n_rows):
        """Return how many batches an epoch of `n_rows` rows has."""
        return self._graph.count_batches(n_rows)

    def evaluate(self, model, rows, order):
        """Return the loss and the accuracy of `model` on some rows as they are."""
        return self._graph.evaluate(model, rows, order)

    def train(self, model, rows, order, seed, dropout_rate, learning_rates=(), first_batch=0):
        """Train for one epoch, as `EpochGraph.train` does, on distorted rows.

        Parameters
        ----------
        model : keras.Model
            A compiled model of the graph's architecture.
        rows : Rows
            Where the rows lie.
        order : ndarray of int32, shape (n,)
            The rows of this epoch, in the order in which they are used.
        seed : int
            Seed of this epoch's dropout masks and distortions.
        dropout_rate : float
            The probability that a hidden unit is dropped.
        learning_rates : ndarray of float32, shape (n_batches,), default=()
            Each batch's learning rate, where the graph is `scheduled`.
        first_batch : int, default=0
            The number of the first batch. What is random in a batch depends on `seed` and its
            number alone.

        Returns
        -------
        loss, accuracy : float
            Means over the epoch, on distorted rows and with dropout on.
        """
        if isinstance(self._distort, CustomDistortion):
            self._distort.reseed(seed)
        chunks = self._chunks(rows, order, seed, first_batch, device_of(model))
        if processors_are_free() and "GPU" not in device_of(model):  # see `turns`
            chunks = _one_ahead(chunks)
        sums, batch = np.zeros(2), 0
        for chunk in chunks:
            n_rows = len(chunk.y)
            n_batches = self.count_batches(n_rows)
            figures = self._graph.train(
                *(model, chunk, np.arange(n_rows, dtype=np.int32), seed, dropout_rate),
                learning_rates[batch : batch + n_batches],
                first_batch + batch,
            )
            sums += np.multiply(figures, n_rows)
            batch += n_batches
        loss, accuracy = sums / len(order)
        return float(loss), float(accuracy)

    def _chunks(self, rows, order, seed, first_batch, device):
        """Distort rows, some thousand at a time; yield them as `Rows`."""
        size = self._batch_size
        n_batches = max(1, _CHUNK_BYTES // (4 * rows.X.shape[1] * size))
        for start in range(0, len(order), n_batches * size):
            chosen = tf.constant(order[start : start + n_batches * size])
            number = tf.constant(np.int32(first_batch + start // size))
            inputs = [rows.X, chosen, tf.constant(np.int32(seed)), number]
            key = (rows.X.dtype, device)
            with self._lock:
                if key not in self._traced:
                    # TensorFlow's single-threaded executor is not made for whatever a user's
                    # function does.
                    own = isinstance(self._distort, CustomDistortion)
                    executor = "" if own else SINGLE_THREADED
                    self._traced[key] = BoundedGraph(self._trace, inputs, device, executor)
            graph = self._traced[key]
            (X,) = graph(inputs, graph.handles)
            yield Rows(X, tf.gather(rows.y, chosen), tf.gather(rows.weight, chosen))

    def _trace(self, X, chosen, seed, number):
        """Trace the distortion of `chosen` rows, batch by batch."""
        self.n_traces += 1
        size = self._batch_size
        n_full = tf.size(chosen) // size
        batches = tf.reshape(chosen[: n_full * size], (n_full, size))

        def distort_batch(batch, made):
            rows = take_rows(X, tf.gather(batches, batch))
            rows = self._distort(rows, tf.stack([seed, number + batch]))
            return batch + 1, made.write(batch, rows)

        made = tf.TensorArray(tf.float32, n_full, element_shape=(size, X.shape[1]))
        first = number - number  # not a constant, which that executor crashes on
        _, made = tf.while_loop(lambda batch, _: batch < n_full, distort_batch, [first, made])
        rest = take_rows(X, chosen[n_full * size :])
        # A loop of one turn or none: with one thread, that executor waits forever for `tf.cond`.
        _, rest = tf.while_loop(
            lambda turn, rest: turn < tf.minimum(tf.shape(rest)[0], 1),
            lambda turn, rest: (turn + 1, self._distort(rest, tf.stack([seed, number + n_full]))),
            [first, rest],
        )
        return (tf.concat([made.concat(), rest], axis=0),)


def _one_ahead(items):
    """Go through `items`, making the next one in a second thread while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="distort") as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item
