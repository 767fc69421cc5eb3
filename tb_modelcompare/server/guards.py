"""Guards of every route: method, host, origin, size; errors answered as JSON.

TensorBoard checks none of these. A page on the web can make a browser send requests to
localhost, directly (cross-site requests) or under a name of its own that resolves to
127.0.0.1 (DNS rebinding), and could then read logs or start computations.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from tensorboard import errors as tensorboard_errors
from tensorboard.backend import http_util
from tensorboard.util import tb_logging
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from tb_modelcompare import errors
from tb_modelcompare.errors import RequestError
from tb_modelcompare.log.hashing import time_limit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HEADER = "X-Modelcompare"

# For verifying files of a log directory, per request: browsers and proxies wait some 30 s.
CHECK_SECONDS = 10.0

Handler = Callable[[Request], Response]
WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_logger = tb_logging.get_logger()


@dataclass(frozen=True)
class Upload:
    """What the body of a POST may be: content types, and the most bytes."""

    types: tuple[str, ...]
    max_bytes: int


JSON = Upload(("application/json",), 2**20)


# The first class that an error is an instance of gives the status of the answer.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.UnknownSnapshotError, 404),
    (errors.UnknownJobError, 404),
    (errors.LayerSelectionError, 404),
    (errors.ProbeMismatchError, 409),
    (errors.MissingAssetError, 410),
    (errors.LimitError, 429),
    (errors.CacheDirectoryError, 507),
    (errors.ModelCompareError, 422),
)


@dataclass(frozen=True)
class Guard:
    """Wraps handlers into WSGI applications that refuse what no tab of ours would send.

    Attributes
    ----------
    any_host : bool
        Any name is allowed: TensorBoard listens on the network, under names that we cannot know,
        and none was given.
    hosts : frozenset of str
        Names allowed beside localhost where not any is.
    """

    any_host: bool = False
    hosts: frozenset[str] = frozenset()

    @classmethod
    def from_flags(cls, flags: Any, environ: Mapping[str, str] = os.environ) -> Guard:
        """From TensorBoard's flags (None where embedded without) and the environment.

        TENSORBOARD_PROXY_URL is where TensorBoard's own notebook support says that its users
        reach it.
        """
        named = {
            host.strip().lower() for host in getattr(flags, "modelcompare_hosts", "").split(",")
        }
        bound = (getattr(flags, "host", None) or "localhost").lower().strip("[]")
        proxy = urlsplit(environ.get("TENSORBOARD_PROXY_URL", "")).hostname
        listens_outside = getattr(flags, "bind_all", False) or not _is_loopback(bound)
        given = named - {""}
        return cls(
            any_host="*" in given or bool(listens_outside and not given),
            hosts=frozenset(given) | ({proxy} if proxy else frozenset()),
        )

    def get(self, handler: Handler) -> WSGIApplication:
        """The handler of a path that is only read, as a WSGI application."""
        return self.route({"GET": handler})

    def route(self, handlers: Mapping[str, Handler], upload: Upload = JSON) -> WSGIApplication:
        """The handlers of a path by method as a WSGI application; their errors become JSON."""

        def application(
            environ: dict[str, Any], start_response: Callable[..., Any]
        ) -> Iterable[bytes]:
            request = Request(environ)
            request.max_content_length = upload.max_bytes
            response = self._answer(request, handlers, upload)
            return response(environ, start_response)

        return application

    def _answer(
        self, request: Request, handlers: Mapping[str, Handler], upload: Upload
    ) -> Response:
        try:
            handler = _handler(request, handlers)
            self._check_host(request)
            _check_site(request)
            if request.method == "POST":
                _check_post(request, upload)
            with time_limit(CHECK_SECONDS):
                return handler(request)
        except RequestError as error:
            return _error(request, error, error.status, error.headers)
        except errors.ModelCompareError as error:
            status = next(status for kind, status in _STATUS if isinstance(error, kind))
            return _error(request, error, status)
        except tensorboard_errors.PublicError as error:
            return _error(request, error, error.http_code)
        except Exception:  # whatever it is, TensorBoard goes on serving
            _logger.exception("Model comparison: %s failed", request.path)
            return _json_error(
                request, "InternalError", "an unexpected error; see TensorBoard's log", 500
            )

    def _check_host(self, request: Request) -> None:
        if self.any_host:
            return
        host = _host_name(request.headers.get("Host", ""))
        if not _is_loopback(host) and host not in self.hosts:
            message = (
                f"TensorBoard was reached as {host!r:.200}, which is neither localhost nor a name "
                f"that it was given; if it is yours, start TensorBoard with --modelcompare_hosts "
                f"and this name"
            )
            _logger.warning("Model comparison refused a request: %s", message)
            raise RequestError(message, 403)


def respond(
    request: Request,
    content: msgspec.Struct | dict[str, Any] | bytes | str,
    content_type: str,
    *,
    code: int = 200,
    expires: int = 0,
    headers: Sequence[tuple[str, str]] = (),
) -> Response:
    """TensorBoard's own way to answer: compression, security headers, no caching by default."""
    values = content if isinstance(content, bytes) else msgspec.to_builtins(content)
    response: Response = http_util.Respond(
        request, values, content_type, code=code, expires=expires, headers=list(headers)
    )
    return response


def respond_json(request: Request, content: Any, *, expires: int = 0) -> Response:
    """Answer with a record, or with JSON values."""
    return respond(request, content, "application/json", expires=expires)


class NotModified(Response):
    """The answer that the browser has the contents named by `tag` already."""

    def __init__(self, content_type: str, tag: str) -> None:
        headers = {
            "ETag": tag,
            "Cache-Control": "no-cache, must-revalidate",
            "X-Content-Type-Options": "nosniff",
        }
        super().__init__(status=304, headers=headers, content_type=content_type)

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """With the content type, which werkzeug drops here and TensorBoard warns of missing."""
        headers = super().get_wsgi_headers(environ)
        headers["Content-Type"] = self.headers["Content-Type"]
        return headers


def read_json(request: Request) -> dict[str, Any]:
    """The body of a POST as a JSON object.

    Raises
    ------
    RequestError
        If it is too large, or no JSON object.
    """
    try:
        value = json.loads(
            read_body(request), parse_constant=_refuse_constant, object_pairs_hook=_fields
        )
    except RequestError:
        raise
    except (ValueError, RecursionError) as error:
        raise RequestError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise RequestError("the body is not a JSON object")
    return value


def read_body(request: Request) -> bytes:
    """The body of a POST, whole.

    Raises
    ------
    RequestError
        If it is larger than its route takes, or ended early.
    """
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        most = request.max_content_length
        raise RequestError(f"the body is larger than {most} bytes", 413) from error
    except ClientDisconnected as error:
        raise RequestError("the body ended early") from error


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of which no field is given twice: one of the two would be ignored."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise RequestError(f"the field {twice!r:.100} is given twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _handler(request: Request, handlers: Mapping[str, Handler]) -> Handler:
    """The one for the method of the request. HEAD asks what GET would answer."""
    found = handlers.get("GET" if request.method == "HEAD" else request.method)
    if found is None:
        allowed = (*handlers, "HEAD") if "GET" in handlers else tuple(handlers)
        raise RequestError(
            f"{request.method} is not allowed here; use {' or '.join(handlers)}",
            405,
            (("Allow", ", ".join(allowed)),),
        )
    return found


def _check_site(request: Request) -> None:
    """Browsers say where a request comes from; a script cannot forge this header."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    allowed = ("same-origin",) if request.method == "POST" else ("same-origin", "same-site")
    if site not in (*allowed, "none"):
        raise RequestError(f"requests from other sites ({site}) are refused", 403)


def _check_post(request: Request, upload: Upload) -> None:
    """Only scripts of the same origin can send this header and these content types."""
    if request.mimetype not in upload.types:
        raise RequestError(f"POST needs Content-Type: {' or '.join(upload.types)}", 415)
    if request.headers.get(HEADER) != "1":
        raise RequestError(f"POST needs the header {HEADER}: 1", 403)
    if request.content_length is None:
        raise RequestError("POST needs Content-Length", 411)
    if request.content_length > upload.max_bytes:
        raise RequestError(f"the body is larger than {upload.max_bytes} bytes", 413)
    origin = request.headers.get("Origin")
    if origin is None:
        return
    # A proxy may have replaced Host and kept the outer name here. Another site cannot add
    # this header without a preflight request, which is refused as a method.
    reached_as = {request.headers.get("Host", ""), request.headers.get("X-Forwarded-Host", "")}
    if not _authority(origin) or _authority(origin) not in map(_normal_authority, reached_as):
        raise RequestError(f"Origin {origin!r:.200} is not this TensorBoard", 403)


def _authority(origin: str) -> str:
    """The host and port of an Origin header; "" if it is malformed, or of another scheme."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return _normal_authority(parts.netloc) if parts.scheme in ("http", "https") else ""


def _normal_authority(host: str) -> str:
    """Without the default ports, which browsers leave out and some proxies add."""
    return host.lower().removesuffix(":80").removesuffix(":443")


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; "" if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _error(
    request: Request, error: Exception, status: int, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    return _json_error(request, type(error).__name__, str(error), status, headers)


def _json_error(
    request: Request,
    kind: str,
    message: str,
    status: int,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    content = {"error": {"type": kind, "message": message}}
    return respond(request, content, "application/json", code=status, headers=headers)
