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
from tb_modelcompare.jobs import significance, similarity
from tb_modelcompare.jobs.arrays import array_file
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
    def inputs(self) -> significance.Inputs:
        """What the tab's job of statistics would be given. None stands for all layers there, also
        where each is named."""
        of_a, of_b = self.layers or (None, None)
        return significance.Inputs(
            self.a,
            self.b,
            self.measure,
            None if of_a == self.a.layer_names else of_a,
            None if of_b == self.b.layer_names else of_b,
            self.permutations,
            self.resamples,
        )

    @property
    def values_alone(self) -> bool:
        """Whether it is what the tab's matrix shows."""
        of_all = self.inputs.layers_a is None and self.inputs.layers_b is None
        return of_all and not (self.permutations or self.resamples or self.untrained or self.seeds)

    @property
    def key(self) -> str:
        """The key of the result: that of the tab's job, where there is one that gives the same."""
        if self.values_alone:
            matrix = similarity.Inputs(self.a, self.b, self.measure)
            return result_key(similarity.KIND.name, similarity.content(matrix))
        content = significance.content(self.inputs)
        if not (self.untrained or self.seeds):
            return result_key(significance.KIND.name, content)
        content["untrained"] = self.untrained and identity(self.untrained)
        content["seeds"] = [identity(seed) for seed in self.seeds]
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
    info = result.report["matrix"] if wanted.values_alone else result.report
    arrays: dict[str, Any] = {}
    for name in ("values", *STATISTICS):
        alone = wanted.values_alone and name == "values"
        file = similarity.MATRIX if alone else array_file(name)
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
        interval_label=info.get("interval_label", ""),
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
    workspace = cache.workspace()
    try:
        if wanted.values_alone:
            kind = similarity.KIND.name
            write_array(workspace / similarity.MATRIX, comparison.values.astype("<f8"))
            info = matrix_info(wanted.a, wanted.b, measure, comparison)
            result: msgspec.Struct = similarity.Result(info)
        else:
            kind = significance.KIND.name
            result = significance.kept_result(comparison, wanted.inputs, workspace)
        cache.store(wanted.key, workspace, {"kind": kind, **msgspec.to_builtins(result)})
    finally:
        cache.discard(workspace)  # unless it has become the result
