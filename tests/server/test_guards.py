"""Requests that no tab of ours sends are refused, on every route."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import POST_HEADERS, PREFIX, Server, error_of
from werkzeug.test import TestResponse

from tb_modelcompare.server import bundle as bundle_module
from tb_modelcompare.server.guards import JSON, Guard
from tb_modelcompare.server.routes import ROUTES as DECLARED

_PATHS = list(dict.fromkeys(route.path for route in DECLARED))
_METHODS = {route: {one.method for one in DECLARED if one.path == route} for route in _PATHS}
ROUTES = ["index.js", "static/view-0a1b2c3d.js", "docs/glossary.html", *_PATHS]
WRITES = [route for route in _PATHS if _METHODS[route] == {"POST"}]
READS = [route for route in ROUTES if "POST" not in _METHODS.get(route, {"GET"})]
LISTENS_OUTSIDE = ({"bind_all": True}, {"host": "0.0.0.0"}, {"host": "192.168.1.7"})
SIMILARITY = {
    "kind": "similarity",
    "a": "first/net@0",
    "b": "second/net@0",
    "measure": "linear_cka",
}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    static = tmp_path / "bundle"
    (static / "static").mkdir(parents=True)
    (static / "index.js").write_text("export function render() {}")
    (static / "static" / "view-0a1b2c3d.js").write_text("// a chunk")
    (tmp_path / "secret.js").write_text("// outside the bundle")
    monkeypatch.setattr(bundle_module, "STATIC", static)
    return static


@pytest.fixture
def server(session_logs: Path, bundle: Path, serve: Callable[..., Server]) -> Server:
    return serve(session_logs)


def test_the_list_of_routes_above_is_complete(server: Server) -> None:
    served = set(server.plugin.get_plugin_apps())
    pages = {route for route in served if route.startswith("/docs/")}
    assert {f"/{route}" for route in ROUTES} | pages == served
    assert {"snapshots", "jobs", "cells_info"} <= set(ROUTES)
    assert {"cancel", "warm_up", "photo"} <= set(WRITES)


def test_no_two_routes_answer_the_same_request() -> None:
    assert len({(route.path, route.method) for route in DECLARED}) == len(DECLARED)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(server: Server, route: str, method: str) -> None:
    response = server.client.open(f"{PREFIX}/{route}", method=method, headers=POST_HEADERS)
    assert response.status_code == 405
    assert method not in response.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("route", READS)
def test_routes_that_read_do_not_take_post(server: Server, route: str) -> None:
    assert server.post(route, {}).status_code == 405


@pytest.mark.parametrize("route", WRITES)
def test_routes_that_do_something_do_not_take_get(server: Server, route: str) -> None:
    assert server.get(route, id="0" * 64).status_code == 405


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:6006", "10.0.0.1", "", "["]
)
def test_names_that_resolve_to_localhost_are_refused(server: Server, route: str, host: str) -> None:
    method = "POST" if route in WRITES else "GET"
    response = server.client.open(
        f"{PREFIX}/{route}", method=method, headers={**POST_HEADERS, "Host": host}, json={}
    )
    assert response.status_code == 403
    assert "modelcompare_hosts" in error_of(response)[2]


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:6006", "LocalHost:1", "127.0.0.1:6006", "127.1.2.3", "[::1]:80"],
)
def test_local_names_are_served(server: Server, host: str) -> None:
    assert server.get("measures", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("flags", LISTENS_OUTSIDE)
def test_where_tensorboard_listens_outside_any_name_is_served(
    session_logs: Path, serve: Callable[..., Server], flags: dict[str, Any]
) -> None:
    server = serve(session_logs, **flags)
    assert server.get("measures", headers={"Host": "gpu3.lab.example:6006"}).status_code == 200


@pytest.mark.parametrize("flags", LISTENS_OUTSIDE)
def test_names_given_by_flag_are_the_only_ones_where_tensorboard_listens_outside(
    session_logs: Path, serve: Callable[..., Server], flags: dict[str, Any]
) -> None:
    server = serve(session_logs, modelcompare_hosts="lab.example", **flags)

    def status(host: str) -> int:
        return server.get("measures", headers={"Host": host}).status_code

    assert [status(host) for host in ("lab.example:6006", "localhost", "[::1]:80")] == [200] * 3
    assert [status(host) for host in ("evil.com", "192.168.1.8", "")] == [403] * 3
    anywhere = serve(session_logs, modelcompare_hosts="lab.example,*", **flags)
    assert anywhere.get("measures", headers={"Host": "evil.com"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://]:1", "//", "http://\u2100.example"])
def test_an_origin_that_is_malformed_is_refused(server: Server, origin: str) -> None:
    headers = {**POST_HEADERS, "Origin": origin}
    response = server.client.post(f"{PREFIX}/jobs", json=SIMILARITY, headers=headers)
    assert response.status_code == 403


@pytest.mark.parametrize("named", ["hub.example", "other.example, HUB.example", "*"])
def test_a_proxy_named_by_flag_is_served(
    session_logs: Path, serve: Callable[..., Server], named: str
) -> None:
    server = serve(session_logs, modelcompare_hosts=named)
    assert server.get("measures", headers={"Host": "hub.example"}).status_code == 200


def test_the_notebook_proxy_of_tensorboard_is_served() -> None:
    environ = {"TENSORBOARD_PROXY_URL": "https://hub.example/user/a/proxy/%PORT%"}
    guard = Guard.from_flags(argparse.Namespace(), environ)
    assert guard.hosts == {"hub.example"}
    assert not guard.any_host


@pytest.mark.parametrize("route", ROUTES)
def test_requests_of_other_sites_are_refused(server: Server, route: str) -> None:
    method = "POST" if route in WRITES else "GET"
    response = server.client.open(
        f"{PREFIX}/{route}", method=method, json={}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert response.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none", "same-site"])
def test_requests_of_the_tab_and_the_address_bar_are_served(server: Server, site: str) -> None:
    assert server.get("measures", headers={"Sec-Fetch-Site": site}).status_code == 200


def post(server: Server, **options: Any) -> TestResponse:
    headers = {**POST_HEADERS, "Host": "localhost:6006", **options.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    options.setdefault("json", SIMILARITY)
    return server.client.post(f"{PREFIX}/jobs", headers=headers, **options)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Modelcompare": None}, 403),
        ({"X-Modelcompare": "yes"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:8888"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_posts_that_another_page_could_send_are_refused(
    server: Server, headers: dict[str, str], status: int
) -> None:
    assert post(server, headers=headers).status_code == status
    assert server.json("jobs") == {"jobs": []}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:6006", "Sec-Fetch-Site": "same-origin"},
        {},  # curl
        {"Origin": "https://tb.example", "X-Forwarded-Host": "tb.example"},  # behind TLS
    ],
)
def test_posts_of_the_tab_are_accepted(server: Server, headers: dict[str, str]) -> None:
    assert post(server, headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_posts_of_forms_are_refused(server: Server, content_type: str) -> None:
    response = post(server, json=None, data='{"kind": "similarity"}', content_type=content_type)
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" + b" " * JSON.max_bytes + b"}", 413),
        (b"", 411),
        (b"[1]", 400),
        (b'"text"', 400),
        (b'{"kind": ', 400),
        (b"\xff\xfe", 400),
        (b'{"seed": NaN}', 400),
        (b"[" * 100_000, 400),
    ],
)
def test_bodies_that_are_no_small_json_object_are_refused(
    server: Server, body: bytes, status: int
) -> None:
    response = post(server, json=None, data=body, content_type="application/json")
    assert error_of(response)[:2] == (status, "RequestError")


def test_a_body_of_undeclared_length_is_refused(server: Server) -> None:
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    response = post(server, environ_overrides=environ)
    assert response.status_code == 411


@pytest.mark.parametrize(
    "path",
    [
        "static/../../secret.js",
        "static/..%2f..%2fsecret.js",
        "static/%2e%2e/%2e%2e/secret.js",
        "static//view-0a1b2c3d.js",
        "static/",
        "static/absent-00000000.js",
        "../../../../etc/passwd",
    ],
)
def test_only_files_of_the_bundle_are_served(server: Server, path: str) -> None:
    response = server.client.get(f"{PREFIX}/{path}")
    assert response.status_code == 404
    assert b"outside" not in response.data


def test_the_bundle_is_served_with_caching_for_hashed_names_only(server: Server) -> None:
    index, chunk = server.get("index.js"), server.get("static/view-0a1b2c3d.js")
    assert index.data == b"export function render() {}"
    assert index.mimetype == chunk.mimetype == "text/javascript"
    assert "no-cache" in index.headers["Cache-Control"]
    assert "max-age=31536000" in chunk.headers["Cache-Control"]
    assert chunk.headers["X-Content-Type-Options"] == "nosniff"


def test_a_checkout_without_a_bundle_says_how_to_build_it(
    session_logs: Path, serve: Callable[..., Server], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bundle_module, "STATIC", tmp_path / "absent")
    response = serve(session_logs).get("index.js")
    assert response.mimetype == "text/javascript"
    assert "export function render" in response.text
    assert "npm run build" in response.text


def test_a_defect_of_ours_is_logged_and_tells_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("/home/someone/secret")

    monkeypatch.setattr("tb_modelcompare.server.catalog.Catalog.contents", fail)
    response = server.get("snapshots")
    assert error_of(response)[:2] == (500, "InternalError")
    assert "secret" not in response.text
    assert "ZeroDivisionError" in caplog.text
    assert server.get("measures").status_code == 200


def test_head_answers_without_a_body(server: Server) -> None:
    response = server.client.head(f"{PREFIX}/snapshots")
    assert response.status_code == 200
    assert response.data == b""
