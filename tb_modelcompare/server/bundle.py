"""The tab's own files."""

from __future__ import annotations

import importlib
import mimetypes
import re
import threading
from pathlib import Path

from werkzeug.wrappers import Request, Response

from tb_modelcompare.server.guards import Handler, respond

STATIC = Path(__file__).parents[1] / "static"

_YEAR = 365 * 24 * 3600
_HASHED = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.\w+\Z")

_NOT_BUILT = """\
export function render() {
  document.body.textContent =
    "The tab was not built. In a checkout of tb-modelcompare, run `pip install .` " +
    "(or `npm ci && npm run build` in frontend/) and start TensorBoard again.";
}
"""


def bundle_files() -> dict[str, Handler]:
    """The bundle's files by their path below `static/`, by the names that there are now."""
    return {
        file.relative_to(STATIC).as_posix(): _served(file)
        for file in sorted(STATIC.rglob("*"))
        if file.is_file()
    }


def index(request: Request) -> Response:
    """The tab's entry: a fixed name, so never used without asking.

    The tab will ask for the measures next; importing them (scipy) takes a while.
    """
    threading.Thread(
        target=importlib.import_module, args=("tb_modelcompare.similarity",), daemon=True
    ).start()
    entry = STATIC / "index.js"
    content = entry.read_bytes() if entry.is_file() else _NOT_BUILT
    return respond(request, content, "text/javascript")


def _served(file: Path) -> Handler:
    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    expires = _YEAR if _HASHED.search(file.name) else 0

    def serve(request: Request) -> Response:
        return respond(request, file.read_bytes(), content_type, expires=expires)

    return serve
