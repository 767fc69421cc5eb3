"""What setup.py packs: the pinned wheel and no other, or a clear error."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from build_support import pack_lucid as packing


def wheel_with(directory: Path, names: list[str]) -> Path:
    path = directory / packing.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, f"# {name}\n")
    return path


def test_without_an_index_it_says_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(
        packing.PackingError, match=r"could not download lucid==0.3.10[^$]*No matching"
    ):
        packing.pack_lucid(tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_another_wheel_is_refused_and_what_was_packed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = wheel_with(tmp_path, [*packing.MODULES, packing.LICENSE])
    monkeypatch.setattr(packing, "download", lambda directory: wheel)
    target = tmp_path / "packed"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(packing.PackingError, match="sha256"):
        packing.pack_lucid(target)
    assert (target / "old").exists()


def test_only_what_is_used_is_unpacked_with_the_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = "lucid/recipes/caricature.py"
    wheel = wheel_with(tmp_path, [*packing.MODULES, packing.LICENSE, extra, "../escape.py"])
    downloads = []
    monkeypatch.setattr(packing, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(packing, "download", lambda directory: downloads.append(1) or wheel)
    target = tmp_path / "packed"
    packing.pack_lucid(target)
    files = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert files == {*packing.MODULES, "LICENSE", "SHA256"}
    packing.pack_lucid(target)
    assert len(downloads) == 1  # nothing to do the second time
    (target / "lucid/optvis/render.py").unlink()
    packing.pack_lucid(target)
    assert len(downloads) == 2
