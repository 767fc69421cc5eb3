"""Whole comparisons, kept in the cache: command line, notebook and tab find each other's."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.comparison import compare_snapshots
from tb_modelcompare.compare.wire import matrix_info
from tb_modelcompare.errors import CacheDirectoryError
from tb_modelcompare.jobs import similarity
from tb_modelcompare.jobs.arrays import array_file, save_arrays
from tb_modelcompare.jobs.kind import identity, result_key
from tb_modelcompare.jobs.runtime.progress import write_array
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import MEASURES, Comparison
from tb_modelcompare.similarity.comparison import STATISTICS


@dataclass(frozen=True)
class Wanted:
    """Two snapshots of one probe, the name of a measure, and the statistics that are asked for.

    `layers` are names of layers of a and of b, None for all.
    """

    a: Snapshot
    b: Snapshot
    measure: str
    permutations: int = 0
    resamples: int = 0
    untrained: Snapshot | None = None
    seeds: tuple[Snapshot, ...] = ()
    layers: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def _some_layers(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """None for all, also where each is named."""
        every = self.a.layer_names, self.b.layer_names
        return None if self.layers == every else self.layers

    @property
    def _plain(self) -> bool:
        asked = (self.permutations, self.resamples, self.untrained, self.seeds, self._some_layers)
        return not any(asked)

    @property
    def _inputs(self) -> similarity.Inputs:
        return similarity.Inputs(self.a, self.b, self.measure)

    @property
    def key(self) -> str:
        """The key of the result; without statistics it is that of the tab's job."""
        if self._plain:
            return result_key(similarity.KIND.name, similarity.content(self._inputs))
        content = {
            **similarity.content(self._inputs),
            "permutations": self.permutations,
            "resamples": self.resamples,
            "untrained": self.untrained and identity(self.untrained),
            "seeds": [identity(seed) for seed in self.seeds],
            "layers": self._some_layers,
        }
        return result_key("comparison", content)


def kept_comparison(
    wanted: Wanted, make: Callable[[Wanted], Comparison], complain: Callable[[str], None]
) -> Comparison:
    """The comparison, from the cache if it was made before, else from `make`, and then kept.

    `complain` is told where the cache cannot be written; the values are there all the same.
    """
    cache = ResultCache()
    comparison = _find(wanted, cache)
    if comparison is None:
        comparison = make(wanted)
        try:
            _keep(wanted, comparison, cache)
        except CacheDirectoryError as error:
            complain(f"the comparison is not kept for the next time: {error}")
    return comparison


def _find(wanted: Wanted, cache: ResultCache) -> Comparison | None:
    """The comparison, if it was made before; each of its files is checked."""
    result = cache.find(wanted.key)
    if result is None:
        return None
    info = result.report["matrix"]
    arrays: dict[str, Any] = {}
    for name in ("values", *STATISTICS):
        file = _file(name)
        if file in result.files:
            content = cache.read(wanted.key, file)
            if content is None:  # another process has made room meanwhile
                return None
            arrays[name] = np.load(io.BytesIO(content), allow_pickle=False)
    return Comparison(
        rows=tuple(info["rows"]),
        columns=tuple(info["columns"]),
        measure=wanted.measure,
        warnings=tuple(info["warnings"]),
        distance=MEASURES[wanted.measure].distance,
        **arrays,
    )


def make_comparison(wanted: Wanted, progress: Callable[[float], None] | None = None) -> Comparison:
    """Compute the comparison."""
    options: dict[str, Any] = {}
    if wanted.untrained is not None:
        options["untrained"] = wanted.untrained.all_activations()
    if wanted.seeds:
        options["seeds"] = [seed.all_activations() for seed in wanted.seeds]
    return compare_snapshots(
        wanted.a,
        wanted.b,
        MEASURES[wanted.measure],
        layers=wanted.layers,
        permutations=wanted.permutations,
        resamples=wanted.resamples,
        progress=progress,
        **options,
    )


def _keep(wanted: Wanted, comparison: Comparison, cache: ResultCache) -> None:
    """Keep a comparison for the next time.

    Raises
    ------
    CacheDirectoryError
        If the cache cannot be written.
    """
    measure = MEASURES[wanted.measure]
    info = matrix_info(wanted.a, wanted.b, measure, comparison)
    workspace = cache.workspace()
    try:
        write_array(workspace / _file("values"), comparison.values.astype("<f8"))
        save_arrays(comparison.statistics(), workspace)
        report = msgspec.to_builtins(similarity.Result(info))
        cache.store(wanted.key, workspace, report)
    finally:
        cache.discard(workspace)  # unless it has become the result


def _file(array: str) -> str:
    return similarity.MATRIX if array == "values" else array_file(array)
