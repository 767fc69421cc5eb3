"""What can be done with a comparison: reading, saving, drawing."""

from __future__ import annotations

import inspect
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tb_modelcompare import similarity
from tb_modelcompare.errors import ActivationError, LayerSelectionError, OptionError
from tb_modelcompare.similarity import MEASURES, Comparison, compare

HOSTILE = "\x1b[31m</script>" + "x" * 200
NAN = np.nan


def of(values, distance: bool = False) -> Comparison:
    shape = np.shape(values)
    rows, columns = (tuple(f"{c}{i}" for i in range(n)) for c, n in zip("ab", shape, strict=True))
    return Comparison(np.array(values, float), rows, columns, "linear_cka", distance=distance)


def computed(**options) -> Comparison:
    random = np.random.default_rng(0)
    a = {name: random.standard_normal((40, 3)) for name in ("one", HOSTILE)}
    return compare(a, {"other": random.standard_normal((40, 4))}, groups="rows", **options)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_a_function_of_its_name(name):
    function = getattr(similarity, name)
    X, Y = (np.random.default_rng(seed).standard_normal((30, 4)) for seed in (0, 1))
    assert function(X, Y) == MEASURES[name].function(X, Y)
    assert inspect.isfunction(function)
    assert function.__name__ == name
    assert name in similarity.__all__
    assert name in dir(similarity)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_and_their_functions_are_pickled(name):
    for one in (MEASURES[name], getattr(similarity, name)):
        assert pickle.loads(pickle.dumps(one)) is one  # noqa: S301


def test_a_measure_of_a_user_is_pickled_as_it_is():
    own = replace(MEASURES["svcca"], title="Mine")
    copy = pickle.loads(pickle.dumps(own))  # noqa: S301
    assert copy.title == "Mine"
    assert computed(measure=copy).values == pytest.approx(computed(measure="svcca").values)


def test_an_option_that_is_fixed_cannot_be_given_again():
    X = np.eye(4)
    assert "comparison" not in inspect.signature(similarity.rsa_pearson).parameters
    with pytest.raises(TypeError):
        similarity.rsa_pearson(X, X, comparison="spearman")
    with pytest.raises(AttributeError, match="no_measure"):
        _ = similarity.no_measure


def test_the_best_pairs_are_the_most_similar():
    found = of([[0.1, 0.9], [NAN, 0.9]])
    assert [(m.row, m.column, m.value) for m in found.best(2)] == [
        ("a0", "b1", 0.9),
        ("a1", "b1", 0.9),
    ]
    assert len(found.best()) == 3  # the fourth has no value
    nearest = of([[0.1, 0.9], [NAN, 0.2]], distance=True).best(2)
    assert [m.value for m in nearest] == [0.1, 0.2]
    for bad in (0, 1.5, True):
        with pytest.raises(OptionError, match="n is"):
            found.best(bad)


def test_computed_distances_know_what_they_are():
    a = {"x": np.random.default_rng(0).standard_normal((40, 3))}
    assert compare(a, a, "procrustes_angle").distance
    assert not compare(a, a, "linear_cka").distance
    stream = similarity.MomentStream()
    stream.update(a)
    assert stream.compare("procrustes_angle").distance


def test_layers_are_found_by_name():
    found = of([[0.1, 0.9], [0.3, 0.2]])
    assert found["a1", "b0"] == 0.3
    assert found["a0"] == {"b0": 0.1, "b1": 0.9}
    for layers, says in (
        (("a2", "b0"), "first model has no layer 'a2'; nearest: a"),
        (("a0", "c"), "second model has no layer 'c'"),
        (0, "write comparison"),
        ((0, 1), "first model has no layer 0"),
        (("a0", "b0", "b1"), "write comparison"),
    ):
        with pytest.raises(LayerSelectionError, match=says):
            found[layers]


def test_it_is_shown_by_its_strongest_pairs():
    text = repr(of(np.linspace(0, 1, 20).reshape(4, 5)))
    assert text.startswith("Comparison of 4 × 5 layers by linear_cka\n  a3  b4  1.000\n")
    assert "5 most similar of 20 pairs" in text
    shown = repr(computed(resamples=5))
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 120
    assert "note: few rows" in repr(replace(of([[1.0]]), warnings=("few rows",)))
    assert repr(of([[NAN]])) == "Comparison of 1 × 1 layers by linear_cka"


def test_it_is_saved_whole(tmp_path):
    before = computed(resamples=40, permutations=5)
    after = Comparison.load(before.save(tmp_path / "any name"))
    assert (after.rows, after.columns, after.measure) == (before.rows, before.columns, "linear_cka")
    assert after.warnings == before.warnings
    for name in ("values", "null_mean", "null_high", "p_value", "low", "high", "effective_rows"):
        assert (getattr(after, name) == getattr(before, name)).all()
    assert after.baseline is None
    assert list(tmp_path.iterdir()) == [tmp_path / "any name"]


def damaged(tmp_path: Path) -> list[Path]:
    whole = of([[1.0, 2.0]]).save(tmp_path / "whole").read_bytes()
    files = {
        "cut": whole[:-40],
        "empty": b"",
        "text": b"hello",
        "changed": whole.replace(b"1", b"2"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "others.npz", values=np.eye(2))
    np.savez(tmp_path / "number.npz", about=np.array("3"), values=np.eye(2))
    np.savez(tmp_path / "pickle.npz", about=np.array({"version": 1}, object))
    text = '{"version": 1, "rows": ["a"], "columns": [], "warnings": [], "measure": "m"}'
    np.savez(tmp_path / "shape.npz", about=np.array(text), values=np.eye(2))
    np.save(tmp_path / "array.npy", np.eye(2))
    return [one for one in tmp_path.iterdir() if one.name != "whole"]


def test_other_files_are_refused(tmp_path):
    for file in [*damaged(tmp_path), tmp_path / "nowhere", tmp_path]:
        with pytest.raises(ActivationError, match=r"holds no comparison"):
            Comparison.load(file)


def test_a_text_in_place_of_a_comparison_invites_nobody_to_unpickle_it(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with pytest.raises(ActivationError, match=r"no \.npz file, or is cut off") as told:
        Comparison.load(file)
    assert "pickle" not in str(told.value)


def test_frames_need_pandas_and_pictures_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ActivationError, match="pip install pandas"):
        of([[1.0]]).to_dataframe()
    with pytest.raises(ActivationError, match="pip install matplotlib"):
        of([[1.0]]).plot()


def test_frames(monkeypatch):
    frames: list[tuple[object, dict[str, object]]] = []

    def data_frame(data, **options):
        frames.append((data, options))

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=data_frame))
    found = computed(permutations=5)
    found.to_dataframe()
    matrix, options = frames.pop()
    assert matrix is found.values
    assert options == {"index": found.rows, "columns": found.columns}
    found.to_dataframe(pairs=True)
    table, _ = frames.pop()
    beside = ["null_mean", "null_high", "p_value", "calibrated", "effective_rows"]
    assert list(table) == ["row", "column", "linear_cka", *beside]
    for row, column, value in zip(*list(table.values())[:3], strict=True):
        assert found[row, column] == value


def test_it_is_drawn_on_axes_that_are_given():
    said: dict[str, tuple[object, ...]] = {}

    class Axes:
        figure = SimpleNamespace(colorbar=lambda *_, label, **__: said.update(bar=(label,)))

        def __getattr__(self, name):
            return lambda *values, **options: said.update({name: (*values, options)})

    axes = Axes()
    found = of([[0.1, 0.9]])
    assert found.plot(axes) is axes
    assert said["imshow"][0] is found.values
    assert said["set_xticks"][1] == found.columns
    assert said["set_yticks"][1] == found.rows
    assert said["bar"] == ("linear_cka",)
