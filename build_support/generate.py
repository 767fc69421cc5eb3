"""Write what follows from the records of requests and answers; `./run generate` calls it.

These are an OpenAPI document, the types of the front end, and the tables in docs/http_api.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from build_support.openapi import (
    REFERENCE,
    document,
    job_requests,
    name_of,
    summary,
    tables_of_cells,
)
from tb_modelcompare.server.route import Route
from tb_modelcompare.server.routes import ROUTES

ROOT = Path(__file__).resolve().parents[1]
_REQUESTS = "requests: written by `./run generate` from the records in tb_modelcompare/jobs"
_ROUTES = (
    "routes: written by `./run generate` from the declarations in tb_modelcompare/server/routes"
)
_TYPES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def generated() -> dict[Path, str]:
    """Every generated file, and what it should contain."""
    openapi = document()
    named = openapi["components"]["schemas"]
    page = ROOT / "docs" / "http_api.md"
    return {
        ROOT / "docs" / "openapi.json": json.dumps(openapi, indent=2, ensure_ascii=False) + "\n",
        ROOT / "frontend" / "src" / "api" / "generated.ts": _typescript(named),
        page: _with_tables(page.read_text(), named),
    }


def _typescript(named: dict[str, Any]) -> str:
    lines = ["// Written by `./run generate` from the server's records. Do not edit.", ""]
    answers = [route.answers for route in ROUTES if isinstance(route.answers, type)]
    bases = {name_of(one): name_of(one.__base__) for one in answers if one.__base__}
    for name, schema in named.items():
        lines += _comment(schema, "")
        if "properties" not in schema:
            lines += [f"export type {name} = {_type(schema)};", ""]
            continue
        base = bases.get(name, "")
        inherited = named[base]["properties"] if base in named else {}
        lines.append(f"export interface {name} {f'extends {base} ' if inherited else ''}{{")
        for field, kind in schema["properties"].items():
            if field in inherited:
                continue
            lines += _comment(kind, "  ")
            mark = "" if field in schema.get("required", ()) else "?"
            lines.append(f"  {field}{mark}: {_type(kind)};")
        lines += ["}", ""]
    lines += [f"export type JobRequest = {' | '.join(job_requests())};", ""]
    lines += [f"export type CellsInfo = {' | '.join(tables_of_cells())};", ""]
    lines += [
        "/** What `read` asks for: the parameters of a route, and the record that it answers. */"
    ]
    lines += ["export interface Answers {"]
    for route in ROUTES:
        if route.method == "GET" and isinstance(route.answers, type):
            given = [*route.needs, *(f"{name}?" for name in route.takes)]
            fields = "; ".join(f"{name}: string | number" for name in given)
            query = f"{{ {fields} }}" if given else "Record<string, never>"
            lines.append(f"  {route.path}: {{ query: {query}; answer: {name_of(route.answers)} }};")
    lines += ["}"]
    return "\n".join(lines) + "\n"


def _comment(schema: dict[str, Any], indent: str) -> list[str]:
    text = schema.get("description", "").splitlines()
    if len(text) < 2:
        return [f"{indent}/** {line} */" for line in text]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in text), f"{indent} */"]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "null":
        return "null"
    if kind == "array" and "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    if kind == "array":
        item = _type(schema["items"])
        return f"({item})[]" if " " in item else f"{item}[]"
    if kind == "object":
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _TYPES[kind] if kind else "unknown"


def _with_tables(page: str, named: dict[str, Any]) -> str:
    requests = "\n".join(_table(named[name], named) for name in job_requests())
    return _between(_between(page, _REQUESTS, requests), _ROUTES, _table_of_routes())


def _between(page: str, title: str, text: str) -> str:
    """The page with this text in its part of this title."""
    begin, end = f"<!-- {title} -->", f"<!-- end of {title.partition(':')[0]} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"docs/http_api.md has lost the line {begin!r} or {end!r}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def _table_of_routes() -> str:
    lines = ["| request | what it does | answer |", "| --- | --- | --- |"]
    for route in ROUTES:
        given = [*route.needs, *(f"[{name}]" for name in route.takes)]
        asked = f"{route.method} {route.path}{'?' if given else ''}{'&'.join(given)}"
        lines.append(f"| `{asked}` | {summary(route)} | {_answer(route)} |")
    return "\n".join(lines) + "\n"


def _answer(route: Route) -> str:
    if isinstance(route.answers, type):
        return f"`{name_of(route.answers)}`"
    return route.answers or "JSON"


def _table(schema: dict[str, Any], named: dict[str, Any]) -> str:
    fields = dict(schema["properties"])
    (kind,) = fields.pop("kind")["enum"]
    lines = [f"`{kind}`: {' '.join(schema['description'].split())}", ""]
    lines += ["| field | JSON | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "required"
        meaning = next((one["description"] for one in _parts(field) if "description" in one), "")
        lines.append(f"| `{name}` | {_words(field, named)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *(part for one in schema.get("anyOf", ()) for part in _parts(one))]


def _words(schema: dict[str, Any], named: dict[str, Any]) -> str:
    """The type of a field, in the words of JSON."""
    if "anyOf" in schema:
        return " or ".join(_words(one, named) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "$ref" in schema:
        fields = named[str(schema["$ref"]).removeprefix(REFERENCE)]["properties"]
        return f"`{{{', '.join(fields)}}}`"
    if schema["type"] == "array":
        return f"list of {_words(schema['items'], named)}"
    return f"{schema['type']}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return ""
    return f" of at least {low}" if high is None else f" from {low} to {high}"


if __name__ == "__main__":
    for file, content in generated().items():
        file.write_text(content)
