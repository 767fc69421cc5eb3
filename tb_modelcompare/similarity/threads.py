"""Many small factorisations at the same time, each on one thread of its own.

Inside BLAS a second thread makes the factorisation of a matrix of some hundred units slower,
not faster. One matrix per thread is what several processors are good for; the large products
keep all threads.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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


def spread(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    done: Callable[[Item], None] = lambda item: None,
) -> list[Result]:
    """`[function(item) for item in items]`, on as many threads as BLAS has here.

    `done` is told each item in order, in the calling thread; when it raises, what has not
    begun never does. The results do not depend on the number of threads. Of callers in several
    threads one waits for another; `function` must not call this itself.
    """

    def alone(item: Item) -> Result:
        with _blas().limit(limits=1):  # under OpenMP each thread has a setting of its own
            return function(item)

    with _one_caller:
        threads = max((library.num_threads for library in _blas().lib_controllers), default=1)
        with _blas().limit(limits=1), ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(alone, item) for item in items]
            try:
                results = []
                for item, future in zip(items, futures, strict=True):
                    results.append(future.result())
                    done(item)
            finally:
                pool.shutdown(cancel_futures=True)
    return results
