"""One word for one thing: the glossary's, in the package and in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Words that stood for something that the glossary calls otherwise.
FORMER = {
    "position": r"\bplaces\b|\b(?:one|each|every|this) place of\b",
    "progressive estimate": r"\bfirst looks?\b|\bprogressive looks?\b",
    "permutation": r"\bshuffl(?:e|es|ed|ing)\b",
    "null": r"\b(?:by|from|of|than|to) chance\b|\bchance (?:gives|level)\b",
    "constant": r"\bdead (?:units?|layers?|ReLUs?|ones?)\b",
    "without a counterpart": r"\bonly here\b|\bhere only\b",
    "residual direction": r"\bdifference[_ ]directions?\b",
}
# Where such a word is meant otherwise, or is a name that users rely on.
ALLOWED = {
    "docs/http_api.md": {"places", "shuffles"},  # JSON fields
    "tb_modelcompare/analogy/__init__.py": {"difference_direction"},  # deprecated
    "tb_modelcompare/capture/torch/functions.py": {"shuffle"},  # torch's operators
    "tb_modelcompare/jobs/models.py": {"places"},
    "tb_modelcompare/jobs/null.py": {"shuffles"},
}


def former_words(text: str) -> list[tuple[str, str]]:
    """The words found, each with the word of the glossary."""
    return [
        (found[0], word)
        for word, pattern in FORMER.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


def test_former_words_are_found() -> None:
    found = former_words("The first look at places that are no better than chance; a dead unit.")
    assert [word for _, word in found] == ["position", "progressive estimate", "null", "constant"]
    assert former_words("This takes place in place of another place, and looks like one.") == []


def test_the_package_and_the_documentation_use_the_words_of_the_glossary() -> None:
    files = [
        *(file for file in (ROOT / "tb_modelcompare").rglob("*.py") if "_lucid" not in file.parts),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]
    assert len(files) > 150
    wrong = []
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        for former, word in former_words(file.read_text(encoding="utf-8")):
            if former not in ALLOWED.get(name, ()):
                wrong.append(f"{name}: {former!r}; the glossary says {word!r}")
    assert wrong == []
