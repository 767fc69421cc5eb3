"""What every framework's capture has in common: selecting layers, preparing images, checking.

A framework's module (`keras`, `onnx`, `torch`) turns a model into a `Model` and declares what it
opens as a `Framework`; nothing here knows about frameworks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture import checking
from tb_modelcompare.capture.boxes import layers_of_boxes
from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.padding import OwnMask, no_mask, warn_of_padding
from tb_modelcompare.capture.resizing import resize
from tb_modelcompare.errors import (
    LayerSelectionError,
    ModelFileError,
    NotRenderableError,
    ProbeError,
    nearest,
)
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.graph import LayerGraph, Node
from tb_modelcompare.probe.preprocessing import Preprocessing, unit_range
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.rows import filled_up
from tb_modelcompare.probe.sampling import (
    REDUCTIONS,
    Floats,
    Mask,
    Reading,
    Reduction,
    Sampled,
)

# Images that a translated graph is compared on: two show whether it mixes a batch's images up.
_COMPARED = 2

LayerFilter = str | Iterable[str] | Callable[[Node], bool]


@dataclass(frozen=True)
class FrozenGraph:
    """A serialised GraphDef, its placeholder, and each layer's tensor in it."""

    graph_def: bytes
    input: str
    input_shape: tuple[int | None, int | None, int]
    tensors: dict[str, str]


@dataclass(frozen=True)
class Feed:
    """One item of what a model is shown: shape without the batch, type, and if it is an image."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    is_image: bool = True

    @classmethod
    def of(cls, probe: Probe) -> Feed:
        """The items of a probe as they are; images are shown as floating point."""
        dtype = "float32" if probe.is_of_images else probe.images.dtype.name
        return cls(probe.images.shape[1:], dtype, probe.is_of_images)

    def require_arrays_fit(self, what: str, shape: Sequence[int | None]) -> None:
        """Refuse a model whose input, the batch first and None for any size, is of another shape.

        Raises
        ------
        ModelFileError
        """
        fits = (size in (None, given) for size, given in zip(shape[1:], self.shape, strict=False))
        if len(shape) != len(self.shape) + 1 or not all(fits):
            raise ModelFileError(
                f"{what} takes {tuple(shape)} and the probe's arrays are (n, "
                f"{', '.join(map(str, self.shape))})"
            )


# Prepared items (b, …), positions (b, k, 2) float64 and, where there is padding, which tokens
# (b, length) are real → one Sampled per layer, rows ordered by item, then position.
Sampler = Callable[[npt.NDArray[Any], npt.NDArray[np.float64], Mask | None], list[Sampled]]


def _no_reference(layers: Sequence[str], items: npt.NDArray[Any]) -> Mapping[str, Reference]:
    """Nothing to compare with, of which the self-check then warns."""
    return {}


@dataclass(frozen=True)
class Model:
    """A model, opened for capture.

    Attributes
    ----------
    graph : LayerGraph
        Every node; blocks and drawing not yet found.
    candidates : tuple of str
        Nodes whose value can be logged.
    passive : frozenset of str
        Candidates that pass values through unchanged (dropout, flatten, padding): not logged
        unless asked for by name.
    input_shape : tuple of int or None
        (height, width, channels) of images, None where the model takes any.
    sampler : callable (layers, feed, reading) → Sampler
    freeze : callable (layers, images) → FrozenGraph
        Prepared images (n, h, w, c) are for frameworks whose graph is a translation that has to
        be compared with the model. Raises NotRenderableError where the model cannot be frozen.
    reference : callable (layers, items) → mapping of layer to Reference
        What the framework's own forward pass gives for some prepared items, by another way than
        the sampler's. Layers that it does not show are left out.
    own_mask : callable (items) → mask or None
        Which tokens of items the model itself takes for real.
    """

    graph: LayerGraph
    candidates: tuple[str, ...]
    passive: frozenset[str]
    input_shape: tuple[int | None, ...]
    sampler: Callable[[Sequence[str], Feed, Reading], Sampler]
    freeze: Callable[[Sequence[str], Floats], FrozenGraph]
    reference: Callable[[Sequence[str], npt.NDArray[Any]], Mapping[str, Reference]] = _no_reference
    own_mask: OwnMask = no_mask


@dataclass(frozen=True)
class SizedModel:
    """A model that takes images of any size, as a torch module does, with that of its training.

    Attributes
    ----------
    model : object
    size : (int, int) or None
        Height and width that images are resized to; None for those of the probe.
    """

    model: Any
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Framework:
    """What a module of this folder opens; the module declares it as `FRAMEWORK`.

    Attributes
    ----------
    opens : callable
        Whether a model is one of these. It is asked about paths of files and directories that
        are there, and about whatever else a user calls a model, and imports no framework.
    open : callable (model, feed) → Model
        It raises ModelFileError where the model cannot be read.
    files : tuple of str
        What its files are called in messages, such as "a .keras file".
    files_take_arrays : bool
        Whether its files can be shown a probe of arrays.
    not_read : mapping of str to str
        Endings of files that are never opened, each with what to do instead.
    """

    opens: Callable[[Any], bool]
    open: Callable[[Any, Feed], Model]
    files: tuple[str, ...] = ()
    files_take_arrays: bool = False
    not_read: Mapping[str, str] = field(default_factory=dict)


def has_suffix(model: Any, *suffixes: str) -> bool:
    """Whether a model is the path of a file with one of these endings."""
    return isinstance(model, Path) and not model.is_dir() and model.suffix in suffixes


def class_is_of(model: Any, framework: str) -> bool:
    """Whether the class of a model, or one that it derives from, is defined by a framework."""
    return any(c.__module__.partition(".")[0] == framework for c in type(model).__mro__)


ALL_LAYERS = "all"


def select_layers(model: Model, layers: LayerFilter | None) -> tuple[str, ...]:
    """The layers to log, in topological order.

    Parameters
    ----------
    layers : None, list of names, regular expression or predicate
        None is one for each box of the drawn graph (see `layers_of_boxes`), and "all" every
        candidate that is not passive. Any other text is a regular expression that is searched
        for in the names; a predicate is asked about each `Node`.

    Raises
    ------
    LayerSelectionError
        If nothing matches, a name does not exist, or names a layer without usable output.
    """
    names = model.candidates
    layers = checked_filter(layers)
    if layers is None or layers == ALL_LAYERS:
        chosen = [name for name in names if name not in model.passive]
        if layers is None:
            chosen = layers_of_boxes(model.graph, chosen)
        wanted = "all layers"
    elif isinstance(layers, str):
        wanted = f"regular expression {layers!r}"
        pattern = compiled_pattern(layers)
        chosen = [name for name in names if pattern.search(name)]
    elif callable(layers):
        wanted = "the layer predicate"
        nodes = {node.name: node for node in model.graph.nodes}
        chosen = [name for name in names if layers(nodes[name])]
    else:
        return _select_by_name(model, tuple(layers))
    if not chosen:
        guess = layers if isinstance(layers, str) else ""
        raise LayerSelectionError(f"{wanted} matches no layer; {nearest(guess, names)}")
    return tuple(chosen)


def checked_filter(layers: Any) -> LayerFilter | None:
    """A filter that can be asked about a model's layers.

    Raises
    ------
    LayerSelectionError
        If it is no filter, or a regular expression that does not compile.
    """
    if layers is None or callable(layers):
        checked: LayerFilter | None = layers
        return checked
    if isinstance(layers, str):
        compiled_pattern(layers)
        return layers
    names = None if isinstance(layers, bytes) or not isinstance(layers, Iterable) else tuple(layers)
    if names is None or not all(isinstance(name, str) for name in names):
        raise LayerSelectionError(
            f"layers is {layers!r:.100}; give a list of names, a regular expression or a predicate "
            f"of a Node"
        )
    return names


def compiled_pattern(expression: str) -> re.Pattern[str]:
    """A regular expression, ready to be searched for in layers' names.

    Raises
    ------
    LayerSelectionError
        If it does not compile.
    """
    try:
        return re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise LayerSelectionError(
            f"regular expression {expression!r:.200} is malformed: {error}"
        ) from error


def checked_preprocessing(preprocessing: Any, probe: Probe) -> Preprocessing | None:
    """What a model wants of the images of a probe; None where nothing is chosen.

    Raises
    ------
    ProbeError
        If it is no `Preprocessing`, or the probe holds no images.
    """
    if preprocessing is None:
        return None
    if not isinstance(preprocessing, Preprocessing):
        raise ProbeError(
            f"preprocessing is {preprocessing!r:.100}; give a Preprocessing, such as "
            f"Preprocessing.range(0, 255)"
        )
    if not probe.is_of_images:
        raise ProbeError("preprocessing is for images; prepare the arrays of the probe instead")
    return preprocessing


def _select_by_name(model: Model, wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted:
        raise LayerSelectionError(f"no layer is named; {nearest('', model.candidates)}")
    everything = {node.name for node in model.graph.nodes}
    for name in wanted:
        if name not in everything:
            raise LayerSelectionError(
                f"the model has no layer {name!r}; {nearest(str(name), model.candidates)}"
            )
        if name not in model.candidates:
            raise LayerSelectionError(
                f"layer {name!r} has no output that can be logged (floating point, one value per "
                f"unit at each position); {nearest(name, model.candidates)}"
            )
    return tuple(name for name in model.candidates if name in set(wanted))


@dataclass(frozen=True)
class Recording:
    """A model made ready for one probe: can be run again and again while the model trains."""

    model: Model
    probe: Probe
    layers: tuple[str, ...]
    preprocessing: Preprocessing | None
    feed: Feed
    sampler: Sampler
    reduction: Reduction = "sample"

    def batches(self, batch_size: int) -> Iterator[list[Sampled]]:
        """Feed the probe to the model; for each batch of items one `Sampled` per layer.

        Raises
        ------
        OptionError
            If `batch_size` is no whole number from 1.
        """
        batch_size = whole("batch_size", batch_size, least=1)
        return self._batches(batch_size)

    def take_part(self, batch_size: int) -> None:
        """Compute what the chief computes, and keep nothing.

        Where parameters are spread over processes, one of them cannot compute alone: it would
        wait for the others' share for ever.
        """
        for _ in self.batches(batch_size):
            pass

    def _batches(self, batch_size: int) -> Iterator[list[Sampled]]:
        probe = self.probe
        positions, asked = filled_up(probe.positions, probe.image_of_row)
        for start in range(0, len(probe), batch_size):
            batch = slice(start, start + batch_size)
            mask = None if probe.mask is None else probe.mask[batch]
            sampled = self.sampler(self._prepared(batch), positions[batch], mask)
            if start == 0:
                first = slice(min(checking.CHECKED, batch_size))
                self._check(sampled, positions[first], None if mask is None else mask[first])
            if asked is not None:
                rows = asked[batch].ravel()
                sampled = [replace(one, values=one.values[rows]) for one in sampled]
            yield sampled

    def _check(
        self, sampled: Sequence[Sampled], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> None:
        """Compare what is logged of the first items with the framework's own forward pass."""
        items = self._prepared(slice(len(positions)))
        references = self.model.reference(self.layers, items)
        arguments = references, positions, self.reduction, mask
        wrong = checking.problems(self.layers, sampled, *arguments)
        if wrong:  # in a batch of their own, what items give cannot depend on others
            alone = self.sampler(items, positions, mask)
            if broken := checking.problems(self.layers, alone, *arguments):
                checking.refuse(broken)
            checking.warn_of_mixed(wrong)
        unchecked = [layer for layer in self.layers if layer not in references]
        if unchecked:
            checking.warn_of_unchecked(unchecked)

    def freeze(self) -> FrozenGraph:
        """The model's frozen graph with the chosen layers; NotRenderableError if it has none."""
        if not self.probe.is_of_images:
            raise NotRenderableError("the probe holds arrays and no images")
        return self.model.freeze(self.layers, self._prepared(slice(_COMPARED)))

    def _prepared(self, which: slice) -> npt.NDArray[Any]:
        items = self.probe.images[which]
        if self.preprocessing is None:
            return items
        height, width, channels = self.feed.shape
        return self.preprocessing.apply(resize(unit_range(items, channels), height, width))


def prepare(
    model: Model,
    probe: Probe,
    preprocessing: Preprocessing | None,
    layers: LayerFilter | None,
    reduction: Reduction = "sample",
) -> Recording:
    """Choose layers and fit the probe to the model's input.

    Raises
    ------
    LayerSelectionError
        If `layers` matches nothing.
    ProbeError
        If the preprocessing is for another number of channels, or for what is no image.
    OptionError
        If there is no such reduction.
    """
    one_of("reduction", reduction, REDUCTIONS)
    preprocessing = checked_preprocessing(preprocessing, probe)
    chosen = select_layers(model, layers)
    feed = Feed.of(probe)
    fitted = None
    if feed.is_image:
        height, width, channels = model.input_shape
        assert channels is not None
        feed = replace(feed, shape=(height or feed.shape[0], width or feed.shape[1], channels))
        fitted = (preprocessing or Preprocessing()).for_channels(channels)
    reading = probe.reading(reduction)
    if not probe.is_of_images and reduction != "flatten":
        warn_of_padding(probe, model.own_mask)
    sampler = model.sampler(chosen, feed, reading)
    return Recording(model, probe, chosen, fitted, feed, sampler, reduction)
