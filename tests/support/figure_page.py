"""What a page with a figure carries."""

from __future__ import annotations

import json
import re
from typing import Any


def page_data(page: str) -> dict[str, Any]:
    """The data of a report, or of a figure in a notebook, as the tab reads them."""
    (text,) = re.findall(r'id="modelcompare-data">(.*?)</script>', page, re.DOTALL)
    return dict(json.loads(text))
