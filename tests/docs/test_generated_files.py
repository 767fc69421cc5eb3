"""What is written from the server's records is as they are now."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from build_support.generate import ROOT, generated
from build_support.openapi import document
from tb_modelcompare.jobs.registry import KINDS
from tb_modelcompare.server import bundle

FILES = generated()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_generated_file_is_stale(file: Path) -> None:
    assert file.read_text() == FILES[file], "run ./run generate"


def test_every_kind_of_job_is_in_every_generated_file() -> None:
    for file, text in FILES.items():
        for kind in KINDS:
            assert f"`{kind}`:" in text or f'"{kind}"' in text, (file, kind)


def test_the_document_has_the_routes_that_the_server_has(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "STATIC", tmp_path / "no bundle")
    served = set(serve(tmp_path).plugin.get_plugin_apps())
    assert set(document()["paths"]) == {
        path for path in served if not path.startswith("/docs/")
    } - {"/index.js"}


def test_a_changed_record_makes_the_files_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    from build_support import openapi

    monkeypatch.setattr(openapi, "KINDS", {"similarity": KINDS["similarity"]})
    now = generated()
    assert all(now[file] != file.read_text() for file in FILES)


def test_references_lead_to_schemas_that_are_there() -> None:
    text = json.dumps(document())
    named = document()["components"]["schemas"]
    wanted = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted <= set(named)
    assert (ROOT / "docs" / "openapi.json").is_file()
