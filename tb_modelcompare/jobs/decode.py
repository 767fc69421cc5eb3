"""From a JSON object to a typed request, with errors in the words of the HTTP API."""

from __future__ import annotations

import reprlib
import types
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from tb_modelcompare.errors import RequestError

Record = TypeVar("Record", bound=msgspec.Struct)


def decode(body: dict[str, Any], record: type[Record], what: str) -> Record:
    """The record that a JSON object describes.

    Parameters
    ----------
    body : dict
        JSON values.
    record : class
        A struct. The constraints of its fields are checked.
    what : str
        What the object is, for messages.

    Raises
    ------
    RequestError
        If a field is missing, unknown, or of the wrong type or range. The message names the
        field and says what to give.
    """
    config = record.__struct_config__
    fields = msgspec.structs.fields(record)
    names = [field.encode_name for field in fields]
    for name in body:
        if name not in names and name != config.tag_field:
            listed = [*([config.tag_field] if config.tag_field else []), *names]
            raise RequestError(f"unknown field {name!r:.100}; {what} takes {', '.join(listed)}")
    values = {}
    for field in fields:
        if field.encode_name in body:
            value = body[field.encode_name]
        elif field.required:
            value = None
        else:
            continue
        values[field.name] = _checked(field.encode_name, value, field.type)
    return record(**values)


def shortened(value: Any) -> str:
    """A value of a client in a message: short, however long or deeply nested it is."""
    return f"{reprlib.repr(value):.100}"


def _checked(name: str, value: Any, kind: Any) -> Any:
    base = _plain(kind)
    if _is_struct(base) and isinstance(value, dict):
        return decode(value, base, name)
    if get_origin(base) is list and _is_struct(get_args(base)[0]) and _is_objects(value):
        return [decode(one, get_args(base)[0], f"an object in {name}") for one in value]
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        words = _extra(kind)
        wanted = words.get("give") or _wanted(kind)
        wrong = words.get("wrong") or f"is {shortened(value)}; give {wanted}"
        raise RequestError(f"{name} {wrong}") from error


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _extra(kind: Any) -> dict[str, Any]:
    return {k: v for meta in _metas(kind) for k, v in (meta.extra or {}).items()}


def _metas(kind: Any) -> list[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        return [*_metas(base), *(meta for meta in metas if isinstance(meta, msgspec.Meta))]
    if get_origin(kind) in (Union, types.UnionType):
        return [meta for part in get_args(kind) for meta in _metas(part)]
    return []


def _wanted(kind: Any) -> str:
    """What a field takes, in words."""
    metas, base = _metas(kind), _plain(kind)
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    if get_origin(base) is Literal:
        return " or ".join(map(str, get_args(base)))
    if base in (int, float):
        bounds = f" from {low}" if low is not None else ""
        bounds += f" to {high}" if high is not None else ""
        return f"{'an integer' if base is int else 'a number'}{bounds}"
    return "a string" if base is str else "another value"


def _plain(kind: Any) -> Any:
    """A type without its constraints, and without null."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        (only, *_) = [part for part in get_args(kind) if part is not type(None)]
        return _plain(only)
    return kind
