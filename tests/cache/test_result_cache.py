"""Results on disk: whole or absent, bounded, shared by two TensorBoards."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG

import tb_modelcompare
from tb_modelcompare.cache.results import ResultCache, default_directory
from tb_modelcompare.errors import CacheDirectoryError


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def store(cache: ResultCache, name: str, content: bytes = b"0123456789") -> None:
    workspace = cache.workspace()
    (workspace / "0.png").write_bytes(content)
    cache.store(key(name), workspace, {"name": name})


@pytest.fixture
def cache(cache_directory: Path) -> ResultCache:
    return ResultCache()


def entry(cache_directory: Path, name: str) -> Path:
    return cache_directory / "results" / key(name)[:2] / key(name)


def test_a_result_is_found_by_another_process(cache: ResultCache) -> None:
    store(cache, "a", b"picture")
    program = (
        "import sys; from tb_modelcompare.cache.results import ResultCache; c = ResultCache();"
        "print(c.find(sys.argv[1]).report['name'], c.read(sys.argv[1], '0.png'))"
    )
    command = [sys.executable, "-c", program, key("a")]
    assert subprocess.check_output(command, text=True).strip() == "a b'picture'"


@pytest.mark.parametrize("file", ["0.png", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "altered", "absent"])
def test_a_damaged_result_is_absent_and_can_be_stored_again(
    cache: ResultCache, cache_directory: Path, file: str, damage: str
) -> None:
    store(cache, "a", b"picture")
    path = entry(cache_directory, "a") / file
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        altered = content.replace(b"pic", b"pik") if file == "0.png" else b"[" + content[1:]
        path.write_bytes({"cut": content[:-1], "empty": b"", "altered": altered}[damage])
    assert cache.read(key("a"), "0.png") is None
    assert cache.find(key("a")) is None
    assert not path.parent.exists()
    store(cache, "a", b"picture")
    assert cache.read(key("a"), "0.png") == b"picture"


def test_only_files_of_the_result_are_read(cache: ResultCache, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    store(cache, "a")
    for name in ("manifest.json", "../../../secret", str(tmp_path / "secret"), "1.png"):
        assert cache.read(key("a"), name) is None
    assert cache.find(key("a")) is not None


def test_the_least_recently_used_results_make_room(cache_directory: Path) -> None:
    cache = ResultCache(limit_bytes=5_000)
    for i, name in enumerate("abcd"):
        store(cache, name, b"x" * 1_000)
        manifest = entry(cache_directory, name) / "manifest.json"
        os.utime(manifest, (1_000 + i, 1_000 + i))
    assert cache.find(key("a")) is not None  # used now, so "b" is the oldest
    store(cache, "e", b"x" * 1_500)
    there = {name for name in "abcde" if cache.find(key(name)) is not None}
    assert "b" not in there
    assert {"a", "e"} <= there
    size = sum(f.stat().st_size for f in cache_directory.rglob("*") if f.is_file())
    assert size <= 5_000


def test_the_bound_also_holds_for_what_many_jobs_store(cache_directory: Path) -> None:
    """A worker gets a copy of the cache with every job, and stores little in each."""
    original = ResultCache(limit_bytes=50_000)
    for i in range(100):
        copy = pickle.loads(pickle.dumps(original))  # noqa: S301 (our own)
        copy.put(key(str(i)), {"0.png": bytes(1_000)}, {"name": str(i)})
    files = [file for file in cache_directory.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 52_000
    assert original.find(key("99")) is not None


def test_a_result_is_whole_only_with_its_parts(cache: ResultCache, cache_directory: Path) -> None:
    for part in "ab":
        store(cache, part, part.encode())
    cache.store(key("job"), cache.workspace(), {"kind": "analogies"}, parts=[key("a"), key("b")])
    found = cache.find(key("job"))
    assert found is not None
    assert found.parts == (key("a"), key("b"))
    (entry(cache_directory, "b") / "0.png").write_bytes(b"cut")
    assert cache.report(key("job")) == {"kind": "analogies"}
    assert cache.find(key("job")) is None
    assert cache.find(key("a")) is not None


def test_a_result_beyond_the_bound_is_still_usable_once(cache_directory: Path) -> None:
    cache = ResultCache(limit_bytes=100)
    store(cache, "a", b"x" * 1_000)
    assert cache.read(key("a"), "0.png") == b"x" * 1_000
    store(cache, "b", b"y" * 1_000)
    assert cache.find(key("a")) is None
    assert cache.read(key("b"), "0.png") == b"y" * 1_000


def test_two_processes_that_store_and_evict_at_once_never_read_half_a_result(
    cache: ResultCache, cache_directory: Path
) -> None:
    program = """
import hashlib, sys
from tb_modelcompare.cache.results import ResultCache
cache = ResultCache(limit_bytes=60_000)
for round in range(60):
    name = str(round % 12)
    key = hashlib.sha256(name.encode()).hexdigest()
    content = name.encode() * 5_000
    workspace = cache.workspace()
    (workspace / "0.png").write_bytes(content)
    cache.store(key, workspace, {"name": name})
    other = str((round * 7) % 12)
    found = cache.read(hashlib.sha256(other.encode()).hexdigest(), "0.png")
    assert found in (None, other.encode() * 5_000), "half a result"
"""
    commands = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [command.wait(timeout=HANG) for command in commands] == [0, 0]
    assert list((cache_directory / "work").iterdir()) == []
    size = sum(f.stat().st_size for f in (cache_directory / "results").rglob("*") if f.is_file())
    assert size <= 2 * 60_000


def test_workspaces_of_killed_servers_are_swept(cache: ResultCache) -> None:
    left, recent = cache.workspace(), cache.workspace()
    (left / "0.png").write_bytes(b"half")
    os.utime(left, (1_000, 1_000))
    cache.workspace()
    assert not left.exists()
    assert recent.exists()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ResultCache(tmp_path / "file" / "cache")
    with pytest.raises(CacheDirectoryError, match="TB_MODELCOMPARE_CACHE"):
        cache.workspace()


def test_the_default_is_the_users_cache_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TB_MODELCOMPARE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    directory = default_directory()
    assert directory.is_relative_to(tmp_path)
    assert directory.name == "tb-modelcompare"


def test_a_manifest_of_any_depth_is_no_result(cache: ResultCache, cache_directory: Path) -> None:
    store(cache, "a")
    (entry(cache_directory, "a") / "manifest.json").write_text("[" * 100_000)
    assert cache.find(key("a")) is None
    store(cache, "a")
    assert cache.find(key("a")) is not None


def test_a_manifest_never_holds_what_is_no_json(cache: ResultCache) -> None:
    workspace = cache.workspace()
    with pytest.raises(ValueError, match="JSON"):
        cache.store(key("a"), workspace, {"value": float("nan")})
    assert cache.find(key("a")) is None


def test_a_patched_installation_never_meets_results_of_the_code_before(tmp_path: Path) -> None:
    package = tmp_path / "tb_modelcompare"
    own = Path(tb_modelcompare.__file__).parent
    shutil.copytree(own, package, ignore=shutil.ignore_patterns("static", "_lucid"))
    code = "from tb_modelcompare.cache.results import code_version; print(code_version())"

    def digest() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.check_output(command, cwd=tmp_path, text=True)

    before = digest()
    assert digest() == before
    with (package / "similarity" / "cka.py").open("a") as file:
        file.write("\n# patched\n")
    assert digest() != before
