"""A fetched file is whole, the one that was asked for, and the same one every time."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from file_server import FileServer, endless, plain

from tb_modelcompare.errors import CacheDirectoryError, FetchError
from tb_modelcompare.zoo.fetching import fetch

BODY = b"\x0a" + bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


def get(server: FileServer, path: str = "/model.pb", **options: Any) -> Path:
    return fetch(f"{server.address}{path}", plain_http=True, progress=False, **options)


def left(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.iterdir()) if cache.is_dir() else []


def test_a_file_is_fetched_once_and_its_checksum_recorded(server: FileServer, cache: Path) -> None:
    server.answers["/a/model.pb"] = plain(BODY)
    file = get(server, "/a/model.pb")
    assert file.read_bytes() == BODY
    assert file.parent == cache
    assert file.name.startswith("model-")
    assert get(server, "/a/model.pb") == file
    assert server.asked == ["/a/model.pb"]
    record = json.loads(file.with_suffix(".json").read_text())
    expected = {"address": f"{server.address}/a/model.pb", "sha256": SHA256, "size": len(BODY)}
    assert record == expected
    assert left(cache) == [file.with_suffix(".json").name, file.name]


def test_a_damaged_file_is_fetched_again(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)
    file = get(server)
    file.write_bytes(BODY[:-1])
    assert get(server).read_bytes() == BODY
    assert len(server.asked) == 2


def test_another_file_than_the_first_time_is_refused(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)
    file = get(server)
    file.unlink()
    server.answers["/model.pb"] = plain(BODY + b"more")
    with pytest.raises(FetchError, match=rf"the first fetch had {SHA256}.*Delete .*\.json"):
        get(server)
    assert left(cache) == [file.with_suffix(".json").name]
    file.with_suffix(".json").unlink()  # as the message says
    assert get(server).read_bytes() == BODY + b"more"


def test_a_stated_checksum_is_held_to(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)
    with pytest.raises(FetchError, match=f"{'0' * 64} is stated"):
        get(server, sha256="0" * 64)
    assert left(cache) == []
    assert get(server, sha256=SHA256).read_bytes() == BODY
    server.answers["/model.pb"] = plain(b"other")
    assert get(server, sha256=SHA256).read_bytes() == BODY
    with pytest.raises(FetchError, match="is stated"):  # not of the one in the cache
        get(server, sha256="1" * 64)
    with pytest.raises(FetchError, match="64 digits"):
        get(server, sha256="abc")


@pytest.mark.parametrize("header", ["x-goog-hash", "Content-MD5"])
def test_a_checksum_in_the_answer_is_held_to(server: FileServer, cache: Path, header: str) -> None:
    for body, right in ((b"other", False), (BODY, True)):
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        value = f"crc32c=n03x6A==, md5={md5}" if header == "x-goog-hash" else md5
        server.answers["/model.pb"] = plain(BODY, **{header: value})
        if right:
            assert get(server).read_bytes() == BODY
        else:
            with pytest.raises(FetchError, match="MD5"):
                get(server)
            assert left(cache) == []


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (plain(BODY, Content_Length=str(len(BODY) + 1)), "cut short after 256,001 of 256,002"),
        (plain(b"down", 503), "answers 503"),
        (plain(b"", 404), "answers 404"),
        (plain(b"<html>", Content_Type="text/html; charset=utf-8"), "a page of HTML"),
        (plain(BODY, Content_Length="9" * 15), "at most 1,000,000 are fetched"),
        (endless, "does not end after 1,000,000 bytes"),
        (plain(b"5\r\nxxx", Transfer_Encoding="chunked"), "broke off"),
        (plain(b"", 302, Location="file:///etc/passwd"), "is not allowed"),
        (plain(b"", 302, Location="ftp://127.0.0.1/model.pb"), "begins https://"),
        (plain(b"", 302, Location="/model.pb"), "answers 302"),
    ],
)  # fmt: skip
def test_nothing_is_kept_of_a_bad_answer(
    server: FileServer, cache: Path, answer: Any, named: str
) -> None:
    server.answers["/model.pb"] = answer
    with pytest.raises(FetchError, match=named):
        get(server, limit=10**6)
    assert left(cache) == []


def test_nothing_is_kept_of_what_is_no_model(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)

    def check(file: Path) -> None:
        assert file.read_bytes() == BODY
        raise FetchError("no model")

    with pytest.raises(FetchError, match="no model"):
        get(server, check=check)
    assert left(cache) == []


def test_redirects_are_followed_within_bounds(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(b"", 302, Location="/elsewhere")
    server.answers["/elsewhere"] = plain(BODY)
    assert get(server).read_bytes() == BODY


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/model.pb", "file:///etc/passwd", "ftp://a/b", "", "https://", "//a/b",
     "https://[::1/x"],
)  # fmt: skip
def test_https_alone_unless_a_mirror_is_set_up(cache: Path, address: str) -> None:
    with pytest.raises(FetchError):
        fetch(address)
    assert left(cache) == []


def test_offline(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FetchError, match=r"cannot be reached .*are you offline\?"):
        fetch(f"http://127.0.0.1:{port}/model.pb", plain_http=True)
    assert left(cache) == []


def test_what_was_fetched_is_there_offline(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)
    file = get(server)
    server.answers["/model.pb"] = plain(b"", 503)
    assert get(server) == file


@pytest.mark.parametrize("path", ["/..%2f..%2fescape.pb", "/%00.pb", "/" + "x" * 3000, "/", "/.pb"])
def test_names_of_files_are_ours(server: FileServer, cache: Path, path: str) -> None:
    server.answers[path] = plain(BODY)
    file = get(server, path)
    assert file.parent == cache
    assert len(file.name) < 100
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": 1}', "[" * 10**5])
def test_a_damaged_record_is_no_licence(server: FileServer, cache: Path, text: str) -> None:
    server.answers["/model.pb"] = plain(BODY)
    file = get(server)
    file.with_suffix(".json").write_text(text)
    with pytest.raises(FetchError, match="is damaged"):
        get(server)


def test_what_a_killed_process_left_is_removed(server: FileServer, cache: Path) -> None:
    server.answers["/model.pb"] = plain(BODY)
    file = get(server)
    file.with_suffix(".json").unlink()
    old, new = (file.with_name(f"{file.name}.part-{which}") for which in ("0000", "1111"))
    for partial in (old, new):
        partial.write_bytes(b"half")
    os.utime(old, (0, time.time() - 2 * 24 * 3600))
    get(server)
    assert not old.exists()
    assert new.exists()  # another process may be writing it


def test_a_cache_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheDirectoryError, match="TB_MODELCOMPARE_CACHE"):
        get(server, directory=tmp_path / "file" / "below")
