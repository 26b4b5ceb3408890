"""One function over many items, by threads that each take the next one."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any


def map_in_threads(function: Callable[[Any], Any], items: Sequence[Any], n_threads: int) -> list:
    """Call a function on every item, and return the results in the order of the items.

    An executor of concurrent.futures does the same, slower: while its queue is filled, item by
    item, the thread that does so and those that work wait for each other, at Python's lock.

    Parameters
    ----------
    function : callable
        Takes an item.
    items : sequence
        What it is called with.
    n_threads : int
        How many threads to start. They have done their work when this returns, or raises.

    Returns
    -------
    results : list
        What it returned for each item.

    Raises
    ------
    BaseException
        What the function raised; no further item is begun then.
    """
    results: list[Any] = [None] * len(items)
    errors: list[BaseException] = []
    todo = deque(enumerate(items))

    def work(ended: threading.Event) -> None:
        while todo:
            try:
                place, item = todo.popleft()
            except IndexError:  # another thread took the last one
                break
            try:
                results[place] = function(item)
            except BaseException as error:
                errors.append(error)
                todo.clear()
        ended.set()

    # An interrupted `Thread.join` of Python 3.11 takes the thread for ended, so events tell.
    ends = [threading.Event() for _ in range(n_threads)]
    threads = [threading.Thread(target=work, args=[ended]) for ended in ends]
    try:
        for thread in threads:
            thread.start()
        for ended in ends:
            ended.wait()
    finally:  # also after Ctrl-C, which stops this thread only
        todo.clear()
        for thread, ended in zip(threads, ends, strict=True):
            if thread.ident is not None:
                ended.wait()
    if errors:
        raise errors[0]
    return results
