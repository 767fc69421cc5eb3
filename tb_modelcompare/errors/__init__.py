"""Every error that a user can cause, by name.

Each message says what is wrong and what to do about it. The command line
prints it and exits with status 2, the HTTP routes answer it as JSON, and Python
callers can catch it. All derive from `ModelCompareError`.
"""

from __future__ import annotations

import re


class ModelCompareError(ValueError):
    """Base class of every error raised on purpose by this package."""


class ProbeError(ModelCompareError):
    """Probe images or positions cannot be used (none, wrong shape or range)."""


class ProbeMismatchError(ModelCompareError):
    """Two snapshots, or a snapshot and an array, were made on different probes."""


class MissingAssetError(ModelCompareError):
    """A file that a snapshot's index names is not there."""


class CorruptSnapshotError(ModelCompareError):
    """An index, array, graph or probe is truncated, altered or malformed."""


class LogDirectoryError(ModelCompareError):
    """A log directory is none, or lies where we cannot read or write (a remote address)."""


class UnknownSnapshotError(ModelCompareError):
    """No snapshot (or layer, or unit) of that name is in the log directory."""


class ModelFileError(ModelCompareError):
    """A file or object given as a model is none that we can read."""


class FetchError(ModelCompareError):
    """A model's file cannot be fetched: no connection, an answer that is no model, another file."""


class LayerSelectionError(ModelCompareError):
    """A layer filter matches nothing, or names a layer that does not exist."""


class ActivationError(ModelCompareError):
    """Activations have a shape, type or value that no measure is defined on."""


class UndefinedLayerError(ActivationError):
    """A measure has no value for a layer, whichever the other is.

    A comparison of many layers has a missing value there, and a note that says why.

    Attributes
    ----------
    why : str
        The reason, and what to do: what stands after the layer's name in the message.
    """

    def __init__(self, layer: str, why: str) -> None:
        self.why = why
        super().__init__(f"No value for {layer}: {why}")


class OptionError(ActivationError):
    """An option has a name or a value that is not taken where it was given."""


class NotRenderableError(ModelCompareError):
    """A snapshot or layer has no frozen graph, or none that we agree to run."""


class DeviceError(ModelCompareError):
    """The device that renders are to run on is misnamed, or is not there."""


class PhotoError(ModelCompareError):
    """A photo cannot be decoded, is too large, or is no longer kept."""


class LimitError(ModelCompareError):
    """A request is larger than a declared bound."""


class UnknownJobError(ModelCompareError):
    """No job of that id, or no such file of it, is in memory or in the cache."""


class CacheDirectoryError(ModelCompareError):
    """The directory for computed results cannot be written."""


class RowsFewerThanUnitsWarning(UserWarning):
    """There are too few rows for the number of units: values are biased upward."""


class SelfCheckWarning(UserWarning):
    """A layer that is logged depends on its batch, or could not be compared with the framework."""


class ImplausibleOutputsWarning(UserWarning):
    """What a model computes looks as if it was not shown what it wants; check preprocessing."""


_COMPARED_NAMES, _COMPARED_LETTERS = 2000, 100


def nearest(name: str, names: tuple[str, ...], limit: int = 5) -> str:
    """A phrase that names what there is, nearest first.

    Names are near that have letters in common, in all or in a part between slashes, or, as
    "mixed4d" and "inception_4d" do, the words and numbers after the first.
    """
    import difflib

    if not names:
        return "there are none"
    wanted = name[:_COMPARED_LETTERS].lower()
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)

    def alike(part: str) -> float:
        matcher.set_seq1(part[:_COMPARED_LETTERS].lower())
        return matcher.ratio()

    def nearness(other: str) -> float:
        words, others = _words(wanted), _words(other.lower())
        shared = len(words & others) / max(len(words | others), 1)
        return max(alike(other), *map(alike, other.split("/")), shared)

    values = {other: nearness(other) for other in names[:_COMPARED_NAMES]}
    close = sorted((one for one in values if values[one] >= 0.5), key=lambda one: -values[one])
    shown = close[:limit] or names[:limit]
    more = "" if len(shown) == len(names) else f" (of {len(names)})"
    return f"{'nearest' if close else 'there are'}: {', '.join(shown)}{more}"


def _words(name: str) -> set[str]:
    """Words and numbers of a name: mixed4d is mixed, 4 and d."""
    return set(re.findall(r"[a-z]+|[0-9]+", name))


class RequestError(ModelCompareError):
    """A request that is malformed or not allowed; `status` is the HTTP status of the answer."""

    def __init__(self, message: str, status: int = 400, headers: tuple[tuple[str, str], ...] = ()):
        super().__init__(message)
        self.status = status
        self.headers = headers
