"""A hook of mkdocs: `<!-- fields: module:Class -->` on a page becomes a table of that model's
fields, from its own descriptions."""

from __future__ import annotations

import re
import typing
from enum import Enum
from importlib import import_module
from typing import Any

_MARKER = re.compile(r"^<!-- fields: ([\w.]+):(\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs makes a page of."""
    return _MARKER.sub(lambda found: table(found[1], found[2]), markdown)


def table(module: str, name: str) -> str:
    """The fields of a pydantic model as Markdown.

    Raises:
        ValueError: A field says nothing of itself.
    """
    model = getattr(import_module(module), name)
    lines = ["| field | takes | default | |", "|---|---|---|---|"]
    for field, info in model.model_fields.items():
        if not info.description:
            raise ValueError(f"{name}.{field} has no description")
        default = "required" if info.is_required() else _default(info.get_default())
        cells = (f"`{field}`", _type(info.annotation), default, info.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is None or value in ({}, []):
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _type(annotation: Any) -> str:
    inside = [each for each in typing.get_args(annotation) if each is not type(None)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if typing.get_origin(annotation) is dict:
        return "a mapping"
    if typing.get_origin(annotation) is list:
        return "a list"
    if inside:
        return _type(inside[0])
    return str(getattr(annotation, "__name__", annotation))
