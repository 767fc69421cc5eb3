"""The documentation's pages that the tab opens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import urldefrag

import pytest
from serving import PREFIX, Server

ROOT = Path(__file__).parents[2]
HELP = (ROOT / "frontend/src/ui/pages.ts").read_text()


@pytest.fixture
def server(session_logs: Path, serve: Callable[..., Server]) -> Server:
    return serve(session_logs)


def read(server: Server, page: str) -> str:
    response = server.client.get(f"{PREFIX}/{page}")
    assert (response.status_code, response.mimetype) == (200, "text/html"), page
    return str(response.text)


def test_every_question_mark_leads_to_a_part_of_a_page(server: Server) -> None:
    linked = re.findall(r"'([\w/-]+\.html(?:#[\w-]+)?)'", HELP)
    assert len(linked) >= 10
    for link in linked:
        page, anchor = urldefrag(f"docs/{link}")
        assert not anchor or f'id="{anchor}"' in read(server, page), link


def test_no_link_of_a_page_is_dead(server: Server) -> None:
    pages = [app[1:] for app in server.plugin.get_plugin_apps() if app.startswith("/docs/")]
    assert len(pages) >= 10
    texts = {page: read(server, page) for page in pages}
    for page, text in texts.items():
        assert "<h1" in text
        assert text.count("aria-current=page") == 1, f"{page} does not stand among the others"
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            if ":" in link:
                continue
            there, anchor = urldefrag(link)
            target = normpath(join(dirname(page), there)) if there else page
            assert target in texts, (page, link)
            assert not anchor or f'id="{anchor}"' in texts[target], (page, link)
