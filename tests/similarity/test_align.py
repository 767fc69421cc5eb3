"""Alignments read from matrices whose answer one can see."""

from __future__ import annotations

import json
from itertools import permutations

import alignments
import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import Comparison
from tb_modelcompare.similarity import alignment as align


def comparison(values, measure: str = "linear_cka") -> Comparison:
    values = np.array(values, np.float64)
    rows, columns = values.shape
    return Comparison(
        values, tuple(f"a{i}" for i in range(rows)), tuple(f"b{j}" for j in range(columns)), measure
    )


MATRIX = [
    [0.9, 0.8, 0.1],
    [0.8, 0.1, 0.2],
    [0.3, 0.4, 0.5],
    [0.1, 0.2, 0.6],
]


def pairs(alignment):
    return [(match.row, match.column) for match in alignment.matches]


def test_best_matches():
    found = align.best_matches(comparison(MATRIX))
    assert pairs(found) == [("a0", "b0"), ("a1", "b0"), ("a2", "b2"), ("a3", "b2")]
    assert found.score == pytest.approx((0.9 + 0.8 + 0.5 + 0.6) / 4)
    assert found.matches[2].value == 0.5


def test_mutual_best():
    found = align.mutual_best(comparison(MATRIX))
    assert pairs(found) == [("a0", "b0"), ("a3", "b2")]
    assert found.score == pytest.approx(0.75)


def test_one_to_one_gives_up_the_best_pair_for_a_better_whole():
    found = align.one_to_one(comparison(MATRIX))
    assert pairs(found) == [("a0", "b1"), ("a1", "b0"), ("a3", "b2")]
    assert found.score == pytest.approx((0.8 + 0.8 + 0.6) / 3)


def all_paths(height, width):
    stack = [[(0, 0)]]
    while stack:
        path = stack.pop()
        i, j = path[-1]
        if (i, j) == (height - 1, width - 1):
            yield path
        for step in ((1, 0), (0, 1), (1, 1)):
            if i + step[0] < height and j + step[1] < width:
                stack.append([*path, (i + step[0], j + step[1])])


@pytest.mark.parametrize("ends", [None, -3.0])
@pytest.mark.parametrize("seed", range(10))
def test_monotone_path_is_the_best_of_all_paths(seed, ends):
    random = np.random.default_rng(seed)
    values = random.uniform(0, 1, random.integers(1, 6, 2))
    if ends is not None:  # the mean of the best path can be below that of the matrix
        values[0, 0] = values[-1, -1] = ends
    found = align.monotone_path(comparison(values))
    best = max(np.mean([values[p] for p in path]) for path in all_paths(*values.shape))
    assert found.score == pytest.approx(best, abs=1e-9)
    path = [(int(m.row[1:]), int(m.column[1:])) for m in found.matches]
    assert path in list(all_paths(*values.shape))


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, -0.7, 0.0])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (4, 7)])
def test_where_all_is_equal_rounding_does_not_choose_the_path(shape, value):
    found = align.monotone_path(comparison(np.full(shape, value)))
    assert len(found.matches) == max(shape)


@pytest.mark.parametrize("seed", range(5))
def test_monotone_path_does_not_depend_on_where_the_scale_begins(seed):
    values = np.random.default_rng(seed).uniform(0, 1, (6, 5))
    path = pairs(align.monotone_path(comparison(values)))
    assert path == pairs(align.monotone_path(comparison(values - 4)))
    assert path == pairs(align.monotone_path(comparison(4 - values, "procrustes_distance")))


@pytest.mark.parametrize("seed", range(5))
def test_one_to_one_is_the_best_of_all_pairings(seed):
    values = np.random.default_rng(seed).uniform(0, 1, (4, 4))
    best = max(values[range(4), order].mean() for order in permutations(range(4)))
    assert align.one_to_one(comparison(values)).score == pytest.approx(best)


def test_distances_are_matched_by_the_smallest():
    found = align.best_matches(comparison([[0.1, 1.0], [0.9, 0.2]], "procrustes_angle"))
    assert pairs(found) == [("a0", "b0"), ("a1", "b1")]
    assert found.score == pytest.approx(0.15)


def test_a_net_with_itself_is_aligned_along_the_diagonal():
    values = np.exp(-0.3 * abs(np.subtract.outer(np.arange(6), np.arange(6))))
    for method in (align.best_matches, align.mutual_best, align.one_to_one, align.monotone_path):
        found = method(comparison(values))
        assert pairs(found) == [(f"a{i}", f"b{i}") for i in range(6)]
        assert found.score == 1.0


def test_nothing_to_align():
    for method in (align.best_matches, align.mutual_best, align.one_to_one, align.monotone_path):
        with pytest.raises(ActivationError, match="finite"):
            method(comparison([[np.nan]]))


def test_a_layer_without_any_value_is_left_out():
    """A debiased measure may have none for a layer; the others are aligned all the same."""
    values = np.eye(4)
    values[1] = values[:, 2] = np.nan
    for method in (align.best_matches, align.mutual_best, align.one_to_one, align.monotone_path):
        found = method(comparison(values))
        assert {("a0", "b0"), ("a3", "b3")} <= set(pairs(found))
        assert all(a != "a1" and b != "b2" for a, b in pairs(found))
        assert np.isfinite(found.score)


@pytest.mark.parametrize("case", json.loads(alignments.FILE.read_text()), ids=lambda c: c["name"])
def test_library_and_tab_agree_on_every_rule(case):
    """The tab is held to the same file by frontend/src/align/select.test.ts."""
    found = alignments.expected(case["distance"], alignments.read(case["values"]))
    for rule, alignment in case["expected"].items():
        assert found[rule]["pairs"] == alignment["pairs"], rule
        assert found[rule]["score"] == pytest.approx(alignment["score"], rel=1e-12), rule
