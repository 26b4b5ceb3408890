"""One function over many items by several threads: order, errors, Ctrl-C."""

import signal
import threading
import time

import pytest

from mnist_estimator.runtime._threads import map_in_threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_are_in_the_order_of_the_items(n_threads):
    def slow_at_first(item):
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert map_in_threads(slow_at_first, range(20), n_threads) == [i * i for i in range(20)]
    assert map_in_threads(slow_at_first, [], n_threads) == []


def test_as_many_items_as_threads_are_worked_on_at_once():
    together = threading.Barrier(3, timeout=20)
    places = map_in_threads(lambda _: together.wait(), range(3), 3)
    assert sorted(places) == [0, 1, 2]


@pytest.mark.parametrize("kind", [ValueError, IndexError, KeyboardInterrupt])
def test_an_error_is_raised_when_all_have_done_their_work_and_begins_nothing_more(kind):
    begun, ended = [], []

    def fail_at_3(item):
        begun.append(item)
        if item == 3:
            raise kind("the third")
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(kind, match="the third"):
        map_in_threads(fail_at_3, range(1000), 2)
    assert len(begun) < 10
    assert sorted([*ended, 3]) == sorted(begun)


@pytest.fixture
def interruptible():
    """Let Ctrl-C raise, as in a terminal: a program in a shell's background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signal.pthread_kill")
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_items_in_hand_only():
    begun, ended = [], []

    def interrupt_at_3(item):
        begun.append(item)
        if item == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        # The first thread, for which the caller waits, is in the middle of something then.
        time.sleep(0.3 if item == 0 else 0.02)
        ended.append(item)

    with pytest.raises(KeyboardInterrupt):
        map_in_threads(interrupt_at_3, range(1000), 2)
    assert len(begun) < 100
    assert sorted(ended) == sorted(begun)
