"""Many small factorisations at the same time, each on one thread of its own.

Inside BLAS a second thread makes the factorisation of a matrix of some hundred units slower,
not faster. One matrix per thread is what several processors are good for; the large products
keep all threads.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy.linalg
import scipy.linalg
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


@functools.cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of this process; looking for them takes some milliseconds."""
    assert numpy.linalg  # each brings a library of its own, which must have been loaded
    assert scipy.linalg
    return ThreadpoolController().select(user_api="blas")


# The limit is the whole process's, and each caller restores what it found: were there two at the
# same time, that could be the limit of the other.
_one_caller = threading.Lock()


def blas_threads() -> int:
    """How many threads BLAS has here."""
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


def _alone() -> Any:
    return _blas().limit(limits=1)


@functools.cache
def _team(threads: int) -> ThreadPoolExecutor:
    """Threads that are kept, as to start them takes as long as a small product.

    Under OpenMP each thread has a limit of its own, set when it starts.
    """
    return ThreadPoolExecutor(threads, "tb_modelcompare_blas", initializer=_alone)


if hasattr(os, "register_at_fork"):  # a forked process has none of them
    os.register_at_fork(after_in_child=_team.cache_clear)


def spread(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    done: Callable[[Item], None] = lambda item: None,
    cost: Callable[[Item], float] = lambda item: 0.0,
) -> list[Result]:
    """`[function(item) for item in items]`, on as many threads as BLAS has here.

    The items of the largest `cost` are begun first, so that all threads end together.
    `done` is told each item in order, in the calling thread; when it raises, what has not
    begun never does. The results do not depend on the number of threads. Of callers in several
    threads one waits for another; `function` must not call this itself.
    """

    with _one_caller:
        threads = blas_threads()
        if threads == 1:  # handing an item over, and limiting BLAS, take as long as a small product
            found = []
            for item in items:
                found.append(function(item))
                done(item)
            return found
        team = _team(threads)
        with _alone():
            longest = sorted(range(len(items)), key=lambda index: -cost(items[index]))
            futures = {index: team.submit(function, items[index]) for index in longest}
            results = []
            try:
                for index, item in enumerate(items):
                    results.append(futures[index].result())
                    done(item)
            finally:
                if len(results) < len(items):
                    for future in futures.values():
                        future.cancel()
                    wait(futures.values())
    return results
