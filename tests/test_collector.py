"""Python's garbage collector waits, and no longer than it should."""

import gc
import threading

import numpy as np
import pytest

from mnist_estimator._bounded_graph import BoundedGraph
from mnist_estimator._collector import collector_paused
from mnist_estimator._tensorflow import tf


def test_it_waits_and_goes_on():
    collections, threshold = [], gc.get_threshold()
    gc.set_threshold(10)
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        with collector_paused():
            collections.clear()
            objects = [[] for _ in range(1000)]
            n_meanwhile = len(collections)
        objects += [[] for _ in range(1000)]
        n_later = len(collections)
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*threshold)
    assert n_meanwhile == 0
    assert n_later > 0
    assert len(objects) == 2000


def test_it_goes_on_after_an_error():
    with pytest.raises(ZeroDivisionError), collector_paused():
        1 / gc.isenabled()
    assert gc.isenabled()


def test_who_has_stopped_it_keeps_it_stopped():
    gc.disable()
    try:
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_goes_on_after_pauses_of_two_threads():
    inside, done = threading.Barrier(2), threading.Event()

    def pause():
        with collector_paused():
            inside.wait()
            done.wait()

    thread = threading.Thread(target=pause)
    thread.start()
    inside.wait()
    with collector_paused():
        assert not gc.isenabled()
    done.set()
    thread.join()
    assert gc.isenabled()


def test_it_waits_while_a_graph_is_traced():
    enabled = []

    def traced(X):
        enabled.append(gc.isenabled())
        return (X + 1,)

    graph = BoundedGraph(traced, [tf.constant([[1.0]])], "CPU:0")
    assert enabled == [False]
    assert gc.isenabled()
    np.testing.assert_array_equal(graph([tf.constant([[2.0]])], [])[0], [[3.0]])
