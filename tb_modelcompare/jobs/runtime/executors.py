"""Where jobs run: one spawned process per lane, or the workers of a dask.distributed cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from tb_modelcompare.errors import ModelCompareError

# The exit status of a worker that ended itself for memory.
_OUT_OF_MEMORY = 86
_WATCH_SECONDS = 0.5


class SchedulerError(ModelCompareError):
    """The cluster's scheduler cannot be used."""


class WorkerProcess(ProcessPoolExecutor):
    """One spawned process behind a concurrent.futures executor; made anew when it dies.

    The process ends when its TensorBoard does, however that ended, and when its memory grows
    beyond `memory_bytes`.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._spawn = _WorkerContext()
        self._memory_bytes = memory_bytes
        super().__init__(
            max_workers=1, mp_context=self._spawn, initializer=_begin, initargs=(memory_bytes,)
        )

    @property
    def processes(self) -> tuple[SpawnProcess, ...]:
        """The process, once a job has started it; those that it replaced come first."""
        return tuple(self._spawn.processes)

    def kill(self) -> None:
        """End the process now; its job's future fails with BrokenExecutor."""
        for process in self.processes:
            process.kill()

    def death(self) -> str:
        """Why the process is no more, in words for the one who waits for its job."""
        for process in self.processes:
            code = _exit_code(process)
            if code == _OUT_OF_MEMORY:
                return (
                    f"the worker process needed more than {self._memory_bytes / 1e9:.1f} GB of "
                    f"memory; ask for fewer layers or smaller pictures at a time"
                )
            if code is not None and code < 0:
                name = signal.Signals(-code).name
                hint = ", most often for lack of memory" if name == "SIGKILL" else ""
                return f"the worker process was ended by {name}{hint}; try again"
            if code:
                return f"the worker process ended with status {code}; see TensorBoard's log"
        return "the worker process ended; see TensorBoard's log"


def _exit_code(process: SpawnProcess) -> int | None:
    """The code of a process that is ending; another thread may be the one to collect it."""
    deadline = time.monotonic() + 5
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.exitcode


def local_executor() -> WorkerProcess:
    """A worker process that may use three quarters of the machine's memory."""
    return WorkerProcess(memory_bytes=_physical_memory() * 3 // 4)


def cluster_executor(address: str) -> Callable[[], Executor]:
    """A function that connects to a dask.distributed scheduler on first use.

    All lanes share one connection.
    """
    lock = threading.Lock()
    clients: list[Any] = []

    def connect() -> Executor:
        with lock:
            if clients and clients[0].status == "running":
                return _executor_of(clients[0])
            clients.clear()
            try:
                import distributed
            except ImportError as error:
                raise SchedulerError(
                    "--modelcompare_scheduler needs dask: pip install 'tb-modelcompare[dask]'"
                ) from error
            try:
                client = distributed.Client(address, timeout=5, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise SchedulerError(
                    f"no dask scheduler answers at {address!r} ({error}); start one with "
                    f"`dask scheduler`, or leave out --modelcompare_scheduler"
                ) from error
            clients.append(client)
            return _executor_of(client)

    return connect


def _executor_of(client: Any) -> Executor:
    # A job that ended its worker once would end the next one too.
    executor: Executor = client.get_executor(retries=0)
    return executor


class _QuietSpawnProcess(SpawnProcess):
    """A spawned process that does not run the program's main module again.

    Python's spawn imports it in the child: the whole of TensorBoard, or, where TensorBoard was
    started from a training script without a `__main__` guard, the training itself.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  multiprocessing's own name
        with _main_module_hidden():
            return SpawnProcess._Popen(process_obj)


class _WorkerContext(SpawnContext):
    """Spawning that remembers its processes."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = _QuietSpawnProcess(*args, **kwargs)
        self.processes.append(process)
        return process


_hiding = threading.Lock()


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    with _hiding:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _begin(memory_bytes: int) -> None:
    """First thing in a worker: see to it that it ends with the server, or beyond its bound."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's to handle
    # TensorFlow imports Keras where it can, and takes a third longer for it. Jobs read frozen
    # graphs, which need no Keras, and a worker without it cannot deserialize a model of Keras.
    sys.modules["keras"] = None  # type: ignore[assignment]
    threading.Thread(target=_watch, args=(memory_bytes,), daemon=True).start()


def _watch(memory_bytes: int) -> None:
    server = multiprocessing.parent_process()
    while True:
        if server is not None and not server.is_alive():
            os._exit(0)
        if _memory_in_use() > memory_bytes:
            os._exit(_OUT_OF_MEMORY)
        time.sleep(_WATCH_SECONDS)


def _memory_in_use() -> int:
    """Bytes of this process that are not merely files mapped into memory."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass  # not Linux
    try:
        import resource
    except ImportError:  # Windows has no such figure in the standard library
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 16 * 2**30
