"""What layers' names say about which belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_SEPARATOR = re.compile(r"[_/.\-:]+")


def common_stem(names: Sequence[str]) -> str:
    """The longest beginning that all names share, cut where a word of each name ends.

    "conv1_pre" and "conv1" share "conv1"; "conv2d" and "dense" share nothing, "".
    """
    if not names:
        return ""
    ends = [word_ends(name) for name in names]
    shared = min((_shared_length(names[0], name) for name in names[1:]), default=len(names[0]))
    cuts = set(ends[0]).intersection(*ends[1:])
    best = max((cut for cut in cuts if cut <= shared), default=0)
    return names[0][:best]


def majority_stem(names: Sequence[str], share: float = 0.6) -> str:
    """The longest beginning that most names share and that says more than a class of layers.

    Of "block2_conv1", "block2_conv2", "add": "block2". Of "conv2d_1", "conv2d_2": "".
    """
    count: Counter[str] = Counter()
    for name in names:
        ends = word_ends(name)
        count.update({name[:end] for end in ends if not is_numbering(name[end:] or "whole")})
    enough = [stem for stem, number in count.items() if number >= share * len(names)]
    return max(enough, key=len, default="")


def bears(name: str, stem: str) -> bool:
    """Whether `name` begins with the words of `stem`, and has more."""
    return name.startswith(stem) and len(stem) in word_ends(name)[:-1]


def word_ends(name: str) -> list[int]:
    """Positions at which a word of `name` ends."""
    return [*(match.start() for match in _SEPARATOR.finditer(name)), len(name)]


def is_numbering(rest: str) -> bool:
    """Whether what follows a stem only tells namesakes apart, as in conv2d_1, conv2d_2."""
    return not re.search(r"[A-Za-z]", rest)


def starts_with_number(rest: str) -> bool:
    """Whether the first word of what follows a stem is a number."""
    words = [word for word in _SEPARATOR.split(rest) if word]
    return bool(words) and words[0].isdigit()


def unique_name(name: str, taken: set[str]) -> str:
    """`name`, numbered where it is taken: name_1, name_2, …. Takes it."""
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _shared_length(a: str, b: str) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length
