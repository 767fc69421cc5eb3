"""A server in this process, with answers good and bad."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class FileServer:
    """Serves files of a directory below its address, and whatever `answers` holds for a path."""

    directory: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""


def plain(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An answer with a body, whose length is stated unless the headers say another one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        stated = {"Content-Length": str(len(body))}
        stated |= {key.replace("_", "-"): value for key, value in headers.items()}
        for key, value in stated.items():
            handler.send_header(key, value)
        handler.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked has heard enough
            handler.wfile.write(body)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body of no stated length that goes on until nobody listens."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        while True:
            handler.wfile.write(b"x" * 65536)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[FileServer]:
    """A server on a free port of this machine, ended with the context."""
    server = FileServer(directory)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            file = directory / self.path.lstrip("/")
            if self.path in server.answers:
                server.answers[self.path](self)
            elif file.is_file():
                plain(file.read_bytes())(self)
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=lambda: listening.serve_forever(0.02), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
