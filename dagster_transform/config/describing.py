"""What the schema says of each key of transform.yaml: the text of the model's docstring, and how
the key is written in the example (`config/examples.py`). There is no second copy of either."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from dagster_transform.config.fields import Model

_ATTRIBUTES = "Attributes:"
_ENTRY = re.compile(r"(?P<name>\w+): (?P<text>.*)")


def describe(model: type[Model], schema: dict[str, Any]) -> None:
    """Put descriptions and examples of a model's keys into its JSON schema.

    Args:
        model: The model.
        schema: Its schema, with `properties`; it is changed.
    """
    from dagster_transform.config.examples import examples_of

    schema["description"] = summary_of(model)
    texts, examples = texts_of(model), examples_of(model)
    for name, key in schema.get("properties", {}).items():
        if name in texts:
            key["description"] = texts[name]
        if name in examples:
            key["examples"] = [examples[name]]


def summary_of(model: type[Model]) -> str:
    """What the docstring of a model says before its attributes."""
    return inspect.cleandoc(model.__doc__ or "").partition(_ATTRIBUTES)[0].strip()


@cache
def texts_of(model: type[Model]) -> Mapping[str, str]:
    """What docstrings say of the keys of a model, its own and its bases', by key."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Model) and each.__doc__:
            found |= _entries(each.__doc__)
    return {name: text for name, text in found.items() if name in model.model_fields}


def _entries(docstring: str) -> dict[str, str]:
    """The entries of the section `Attributes`, each in one line."""
    _, _, section = inspect.cleandoc(docstring).partition(_ATTRIBUTES)
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        entry = _ENTRY.fullmatch(line.removeprefix("    "))
        if entry is not None and not line.startswith("     "):
            name = entry["name"]
            found[name] = entry["text"]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found
