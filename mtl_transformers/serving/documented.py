"""The page at ``/docs``: the OpenAPI description as plain HTML, which needs no other server and no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-top: 1px solid #ccc; padding-top: 1rem; }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto; font-size: 13px; }
td { padding-right: 1rem; vertical-align: top; }
"""


def documentation(openapi: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as a page."""
    info = openapi["info"]
    operations = [
        _operation(method, path, operation)
        for path, of_path in openapi["paths"].items()
        for method, operation in of_path.items()
    ]
    schemas = [
        f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{_json(schema)}</pre>'
        for name, schema in openapi.get("components", {}).get("schemas", {}).items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f'<p>{escape(info["description"])} For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(operations)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(operation.get('description', ''))}</p>"]
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    parts += [f"<p>Request:</p><pre>{_json(media['schema'])}</pre>" for media in bodies]
    rows = [
        f"<tr><td>{escape(status)}</td><td>{escape(response['description'])}</td><td>{_named(response)}</td></tr>"
        for status, response in operation["responses"].items()
    ]
    return f"{''.join(parts)}<table>{''.join(rows)}</table>"


def _named(response: Mapping[str, Any]) -> str:
    """Return links to the schemas of a response."""
    references = (media.get("schema", {}).get("$ref") for media in response.get("content", {}).values())
    names = [escape(reference.rpartition("/")[2]) for reference in references if reference]
    return ", ".join(f'<a href="#{name}">{name}</a>' for name in names)


def _json(schema: Any) -> str:
    return escape(json.dumps(schema, indent=2, ensure_ascii=False))
