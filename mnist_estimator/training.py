"""An epoch of a multilayer perceptron as one compiled TensorFlow graph.

`Model.fit` spends most of an epoch of a small network between the batches: in Python, in the data
pipeline, in the metrics. Here the rows are one resident tensor, and a whole epoch (gather a batch,
forward, dropout, backward, update) is a loop inside one graph that works on the variables of an
ordinary Keras model and its Keras optimizer.

Two things make the graph fast, and both were measured (docs/benchmarks):

* Its operations run one after the other, and where a batch is little work on one thread: to hand
  a part of it to a second one costs more than that saves. So `BoundedGraph` bounds the threads of
  this graph alone.
* Graphs are kept, and run on any model of as many layers, so a search over layer sizes, learning
  rates or dropout rates traces once.
"""

import json
import threading
from collections import OrderedDict

import numpy as np

from mnist_estimator._bounded_graph import BoundedGraph, device_of
from mnist_estimator._distorted_rows import DistortingGraph
from mnist_estimator._fused_optimizers import apply_gradients, find_kernel
from mnist_estimator._processors import free_processors
from mnist_estimator._rows import take_rows
from mnist_estimator._tensorflow import keras, tf

# Dropout masks are drawn for many batches at once; so many floats stay in a core's cache.
_MASK_ELEMENTS = 300_000
# Multiplications of a batch (its rows × the weights) from which on its operations share threads.
_SHARED_WORK = 50e6
# Rows that one step of an evaluation takes.
_EVALUATION_ROWS = 2048
# TensorFlow counts rows with 32 bits.
_MOST_ROWS = 2**31 - 1
# Architectures whose graphs are kept (a graph takes a few hundred kilobytes).
_MAX_GRAPHS = 32


class EpochGraph:
    """The training and evaluation graphs of one architecture, optimizer and batch size.

    A graph is traced on a template: a model of that architecture and its optimizer. To run it
    on another model, that model's variables take the place of the template's. Where a fused kernel
    applies the optimizer, they may be of any width.

    Parameters
    ----------
    model : keras.Model
        The template, built by `build_mlp` and compiled.
    batch_size : int
        Rows of a minibatch.
    dropout : bool
        Whether hidden units are dropped at all.
    scheduled : bool, default=False
        Whether every batch has a learning rate of its own.
    n_helpers : int, default=0
        Threads of others that work while this graph does.

    Attributes
    ----------
    n_traces : int
        How many graphs have been traced so far.
    """

    def __init__(self, model, batch_size, dropout, *, scheduled=False, n_helpers=0):
        self.n_traces = 0
        self._model = model
        self._layers = _dense_layers(model)
        self._batch_size = batch_size
        self._dropout = dropout and len(self._layers) > 1
        self._scheduled = scheduled
        self._n_helpers = n_helpers
        self._traced = {}
        self._lock = threading.Lock()
        if find_kernel(model.optimizer) is not None:
            _forget_widths(model)

    def train(self, model, rows, order, seed, dropout_rate, learning_rates=(), first_batch=0):
        """Train `model` in place for one epoch.

        Parameters
        ----------
        model : keras.Model
            A compiled model of this graph's architecture.
        rows : Rows
            Where the rows lie.
        order : ndarray of int32, shape (n,)
            The rows of this epoch, in the order in which they are used. The last batch is short
            where `n` is no multiple of the batch size.
        seed : int
            Seed of this epoch's dropout masks.
        dropout_rate : float
            The probability that a hidden unit is dropped.
        learning_rates : ndarray of float32, shape (n_batches,), default=()
            Each batch's learning rate, where the graph is `scheduled`.
        first_batch : int, default=0
            The number of the first batch. What is random in a batch depends on `seed` and its
            number alone, not on how many are trained in one call.

        Returns
        -------
        loss, accuracy : float
            Means over the epoch, as Keras reports them: the weighted cross-entropy of each batch
            before its update, and the share of rows then read rightly, both with dropout on.
        """
        inputs = [rows.X, rows.y, rows.weight, tf.constant(order)]
        widths = [layer.units for layer in _dense_layers(model)[:-1]]
        inputs += [tf.constant(widths, tf.int32, (len(widths),)), tf.constant(np.int32(seed))]
        inputs.append(tf.constant(np.float32(dropout_rate)))
        inputs.append(tf.constant(learning_rates, tf.float32, (len(learning_rates),)))
        inputs.append(tf.constant(np.int64(first_batch)))
        return self._run("train", self._trace_train, model, inputs, len(order))

    def count_batches(self, n_rows):
        """Return how many batches an epoch of `n_rows` rows has."""
        return -(-n_rows // self._batch_size)

    def evaluate(self, model, rows, order):
        """Return the mean weighted cross-entropy and the accuracy of `model` on some rows.

        Parameters
        ----------
        model : keras.Model
            A model of this graph's architecture.
        rows : Rows
            Where the rows lie.
        order : ndarray of int32, shape (n,)
            Which rows to evaluate.

        Returns
        -------
        loss, accuracy : float
            Without dropout.
        """
        inputs = [rows.X, rows.y, rows.weight, tf.constant(order), tf.constant(np.int32(0))]
        return self._run("evaluate", self._trace_evaluate, model, inputs, len(order))

    # The steps of the mathematics.

    def _learn(self, rows, X, y, weight, masks, batch, learning_rates):
        """Take a batch of rows and update the weights on it; return what `_step` returns."""
        if self._scheduled:
            self._model.optimizer.learning_rate.assign(tf.gather(learning_rates, batch))
        labels, weights = tf.gather(y, rows), tf.gather(weight, rows)
        return self._step(take_rows(X, rows), labels, weights, masks)

    def _forward(self, x):
        """Return the logits of a batch, without dropout."""
        h = x
        for i, layer in enumerate(self._layers):
            h = tf.nn.bias_add(tf.matmul(h, layer.kernel.value), layer.bias.value)
            if i < len(self._layers) - 1:
                h = layer.activation(h)
        return h

    def _step(self, x, y, weight, masks):
        """Update the weights on one batch; return the sums of its losses and of its hits.

        `masks` holds a factor for every hidden unit, or is (). The gradients are those of
        docs/under_the_hood, written out: TensorFlow's own would not know, for layers of any width,
        that a mask is of the same shape as what it is multiplied with.
        """
        optimizer = self._model.optimizer
        inputs, activations, h = [], [], x
        for i, layer in enumerate(self._layers):
            inputs.append(h)
            h = tf.nn.bias_add(tf.matmul(h, layer.kernel.value), layer.bias.value)
            if i < len(self._layers) - 1:
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(h)
                    active = layer.activation(h)
                activations.append((tape, h, active))
                h = active * masks[i] if masks else active
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(h)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h)
        share = weight / tf.cast(tf.shape(x)[0], tf.float32)
        # `apply` divides by the scale again.
        delta = tape.gradient(losses, h, output_gradients=optimizer.scale_loss(share))
        gradients = []
        for i, layer in reversed(list(enumerate(self._layers))):
            bias = tf.raw_ops.BiasAddGrad(out_backprop=delta)
            gradients = [tf.matmul(inputs[i], delta, transpose_a=True), bias, *gradients]
            if i > 0:
                delta = tf.matmul(delta, layer.kernel.value, transpose_b=True)
                delta = delta * masks[i - 1] if masks else delta
                tape, sums, active = activations[i - 1]
                delta = tape.gradient(active, sums, output_gradients=delta)
        apply_gradients(optimizer, gradients, self._model.trainable_variables)
        return tf.reduce_sum(losses * weight), _count_hits(h, y)

    def _draw_kept(self, n_batches, n_rows, n_units, key, number, rate):
        """Draw which hidden units of some batches are kept: bool, (n_batches, n_rows, n_units).

        A random number of 16 bits decides: the rate is kept within 1 / 65536, and one call of
        the generator gives twice as many of them. `number` is that of the first batch.
        """
        n_draws = n_rows * n_units
        n_blocks = -(-n_draws // 8)  # Philox counts in blocks of four words of 32 bits
        # A batch may be larger than all rows, and than what 32 bits count.
        n_blocks_a_batch = -(-(self._batch_size * tf.cast(n_units, tf.int64)) // 8)
        words = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=tf.stack([n_batches * n_blocks * 4]),
            key=tf.cast(tf.stack([key]), tf.uint64),
            counter=tf.cast(tf.stack([number * n_blocks_a_batch, 0]), tf.uint64),
            alg=1,  # Philox, the same numbers on every machine
            dtype=tf.uint32,
        )
        numbers = tf.reshape(tf.bitcast(words, tf.uint16), [n_batches, -1])[:, :n_draws]
        kept = numbers >= tf.cast(tf.minimum(tf.round(rate * 65536), 65535), tf.uint16)
        return tf.reshape(kept, [n_batches, n_rows, n_units])

    def _masks(self, kept, widths, rate):
        """Return the dropout factors, 0 or 1 / (1 - rate), of each hidden layer."""
        factors = tf.cast(kept, tf.float32) * (1 / (1 - rate))
        return tf.split(factors, widths, axis=1, num=len(self._layers) - 1)

    # The graphs.

    def _trace_train(self, X, y, weight, order, widths, seed, rate, learning_rates, first_batch):
        """Trace the loop over the batches, of which the last may be short."""
        self.n_traces += 1
        size = tf.minimum(min(self._batch_size, _MOST_ROWS), tf.size(order))
        stop, n_units = -(-tf.size(order) // size), tf.reduce_sum(widths)
        chunk = tf.maximum(1, _MASK_ELEMENTS // (size * tf.maximum(1, n_units)))

        def train_chunk(first, loss, hits):
            if self._dropout:
                number = first_batch + tf.cast(first, tf.int64)
                kept = self._draw_kept(chunk, size, n_units, seed, number, rate)

            def train_batch(batch, loss, hits):
                rows, masks = order[batch * size : batch * size + size], ()
                if self._dropout:
                    kept_now = tf.gather(kept, batch - first)[: tf.size(rows)]
                    masks = self._masks(kept_now, widths, rate)
                batch_loss, batch_hits = self._learn(
                    rows, X, y, weight, masks, batch, learning_rates
                )
                return batch + 1, loss + batch_loss, hits + batch_hits

            end = tf.minimum(first + chunk, stop)
            return tf.while_loop(lambda batch, *_: batch < end, train_batch, [first, loss, hits])

        # Sums start from an argument: TensorFlow 2.21's single-threaded executor crashes on a
        # loop whose every start value is a constant.
        start, zero = seed * 0, rate * 0
        _, loss, hits = tf.while_loop(
            lambda first, *_: first < stop, train_chunk, [start, zero, zero]
        )
        return loss, hits

    def _trace_evaluate(self, X, y, weight, order, start):
        """Trace the evaluation of all rows of `order`."""
        self.n_traces += 1

        def evaluate_chunk(first, loss, hits):
            rows = order[first : first + _EVALUATION_ROWS]
            logits, labels = self._forward(take_rows(X, rows)), tf.gather(y, rows)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss += tf.reduce_sum(losses * tf.gather(weight, rows))
            return first + _EVALUATION_ROWS, loss, hits + _count_hits(logits, labels)

        zero = tf.cast(start, tf.float32) * 0
        _, loss, hits = tf.while_loop(
            lambda first, *_: first < tf.size(order), evaluate_chunk, [start, zero, zero]
        )
        return loss, hits

    # Running them.

    def _run(self, name, trace, model, inputs, n_rows):
        """Run the graph called `name` on `model`, tracing it where that has not happened yet.

        Return the loss and the accuracy: its sums, a row.
        """
        device = device_of(model)
        key = (name, inputs[0].dtype, device)
        with self._lock:
            if key not in self._traced:
                graph = BoundedGraph(trace, inputs, device)
                place_of = {id(v.handle): place for place, v in enumerate(_state_of(self._model))}
                # Handles of other variables than the model's stand there themselves.
                graph.places = [place_of.get(id(handle), handle) for handle in graph.handles]
                self._traced[key] = graph
        graph = self._traced[key]
        variables = [variable.handle for variable in _state_of(model)]
        handles = [variables[place] if isinstance(place, int) else place for place in graph.places]
        loss, hits = np.array(graph(inputs, handles, self._n_threads(model, n_rows))) / n_rows
        return float(loss), float(hits)

    def _n_threads(self, model, n_rows):
        """Return how many threads serve best; those that others need are not taken."""
        if min(self._batch_size, n_rows) * model.count_params() < _SHARED_WORK:
            return 1
        return max(1, free_processors() - self._n_helpers)


def _dense_layers(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def _forget_widths(model):
    """Let a template's variables stand for those of layers of any width."""
    for variable in (*model.trainable_variables, *model.optimizer.variables):
        shape = tf.TensorShape([None] * len(variable.shape))
        variable._value = tf.Variable(variable.value, shape=shape)


def _state_of(model):
    """Return every variable that training reads or writes, in the same order for all models."""
    return [v.value for v in (*model.trainable_variables, *model.optimizer.variables)]


def _count_hits(logits, labels):
    """Count the rows whose largest logit is that of their label."""
    guesses = tf.argmax(logits, axis=1, output_type=tf.int32)
    return tf.reduce_sum(tf.cast(tf.equal(guesses, labels), tf.float32))


_graphs: OrderedDict[tuple, EpochGraph | DistortingGraph] = OrderedDict()
_graphs_lock = threading.Lock()


def epoch_graph(
    build,
    architecture,
    activation,
    optimizer,
    batch_size,
    dropout,
    distort=None,
    *,
    scheduled=False,
):
    """Return the graph for an architecture, the one from an earlier fit where there is one.

    Parameters
    ----------
    build : callable
        Called without arguments to make a compiled template model where none is kept.
    architecture : tuple
        Features, classes and units of each hidden layer.
    activation : str or callable
        The hidden units' activation.
    optimizer : keras.optimizers.Optimizer
        The optimizer to train with. Its learning rate, where that is a number, is a variable of
        the graph and no part of the key.
    batch_size : int
        Rows of a minibatch.
    dropout : bool
        Whether hidden units are dropped at all; the rate itself is an input of the graph.
    distort : Warp, CustomDistortion or None, default=None
        What distorts the rows.
    scheduled : bool, default=False
        Whether every batch has a learning rate of its own.

    Returns
    -------
    graph : EpochGraph or DistortingGraph
        The graph, shared by all models of as many layers.
    """
    config = optimizer.get_config()
    if not isinstance(config.get("learning_rate"), dict):
        config.pop("learning_rate", None)
    config.pop("name", None)
    described = json.dumps(config, sort_keys=True, default=repr)
    if find_kernel(optimizer) is not None:
        architecture = (*architecture[:2], len(architecture[2]))
    key = (architecture, activation, type(optimizer), described, batch_size, dropout, distort)
    key += (scheduled,)
    with _graphs_lock:
        if key not in _graphs:
            graph = EpochGraph(
                *(build(), batch_size, dropout),
                scheduled=scheduled,
                n_helpers=0 if distort is None else 1,
            )
            _graphs[key] = graph if distort is None else DistortingGraph(graph, distort, batch_size)
            if len(_graphs) > _MAX_GRAPHS:
                _graphs.popitem(last=False)
        _graphs.move_to_end(key)
        return _graphs[key]
