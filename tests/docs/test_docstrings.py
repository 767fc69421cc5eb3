"""Public docstrings are numpydoc: complete, with shapes of arrays, and examples that run."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

validation = pytest.importorskip("numpydoc.validate")

MODULES = (
    "tb_modelcompare",
    "tb_modelcompare.similarity",
    "tb_modelcompare.analogy",
    "tb_modelcompare.training",
    "tb_modelcompare.zoo",
)
REQUIRED = {
    "GL05",  # tabs
    "GL06", "GL07",  # a section that numpydoc does not know, or out of order
    "GL08",  # no docstring
    "SS01", "SS02", "SS03",  # a summary: one sentence, with capital letter and full stop
    "PR01", "PR02", "PR03", "PR04",  # parameters: all, no others, in order, with types
    "RT01",  # what is returned
    "YD01",  # what is yielded
}  # fmt: skip


def public_objects() -> Iterator[Any]:
    """Functions and classes of each `__all__`."""
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield value


def documented() -> dict[str, Any]:
    """The public objects, and the public methods of the classes, by full name."""
    found = {}
    for value in public_objects():
        name = f"{value.__module__}.{value.__qualname__}"
        found[name] = value
        if inspect.isclass(value):
            for member, method in vars(value).items():
                unwrapped = getattr(method, "__func__", method)
                if not member.startswith("_") and inspect.isfunction(unwrapped):
                    found[f"{name}.{member}"] = unwrapped
    return found


DOCUMENTED = documented()


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_docstrings_are_numpydoc(name: str) -> None:
    value = DOCUMENTED[name]
    report = validation.validate(name)
    errors = {code: message for code, message in report["errors"] if code in REQUIRED}
    text = report["docstring"]
    if dataclasses.is_dataclass(value) and "\nParameters\n" not in text:
        errors.pop("PR01", None)  # its fields are attributes
        fields = [one.name for one in dataclasses.fields(value) if not one.name.startswith("_")]
        attributes = text.partition("\nAttributes\n")[2]
        undescribed = [one for one in fields if not re.search(rf"\b{one}\b.*:", attributes)]
        assert undescribed == []
    if "\nYields\n" in text:
        errors.pop("RT01", None)
    assert errors == {}


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_arrays_have_shapes(name: str) -> None:
    text = inspect.getdoc(DOCUMENTED[name]) or ""
    types = re.findall(r"^(?:[\w, *]+ : )?(array\b.*)$", text, re.MULTILINE)
    assert [one for one in types if "(" not in one] == []


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, value in DOCUMENTED.items()
        if name.startswith(("tb_modelcompare.similarity", "tb_modelcompare.analogy"))
        and inspect.isfunction(value)
        and name.rpartition(".")[0] in sys.modules
    ),
)
def test_functions_on_arrays_say_what_they_raise_and_show_an_example(name: str) -> None:
    text = inspect.getdoc(DOCUMENTED[name]) or ""
    assert "\nRaises\n------\n" in text
    if "executor" not in inspect.signature(DOCUMENTED[name]).parameters:
        assert "\nExamples\n--------\n" in text
        assert ">>> " in text


# They draw, or fetch, and stand in `docs/how-to/`.
WITHOUT_EXAMPLES = {"analogies", "caricatures", "draw", "behaviour", "load", "accumulate_shards"}


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_show_an_example(module: str) -> None:
    public = importlib.import_module(module)
    functions = {
        name: value
        for name, value in ((name, getattr(public, name)) for name in public.__all__)
        if inspect.isfunction(value) and name not in WITHOUT_EXAMPLES
    }
    assert [name for name, value in functions.items() if ">>> " not in (value.__doc__ or "")] == []


def with_examples() -> dict[str, Any]:
    modules = {name: importlib.import_module(name) for name in MODULES}
    return {
        name: value
        for name, value in {**DOCUMENTED, **modules}.items()
        if ">>>" in (value.__doc__ or "")
    }


@pytest.mark.parametrize("name", sorted(with_examples()))
def test_examples_run(name: str) -> None:
    value = with_examples()[name]
    module = value if inspect.ismodule(value) else sys.modules[value.__module__]
    examples = doctest.DocTestParser().get_doctest(
        inspect.getdoc(value) or "", dict(vars(module)), name, None, None
    )
    said: list[str] = []
    results = doctest.DocTestRunner().run(examples, out=said.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(said)
