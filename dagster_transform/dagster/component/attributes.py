"""The attributes of the component as a model, and their schema for editors and `dg check yaml`.

The keys of transform.yaml have one set of models (`config/`). What is here makes of their schema
that of a file in which any number, word or flag may also be a variable or a template.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from dagster_transform.config import TransformConfig

_TEMPLATE = {"type": "string", "pattern": r"\$\{|\{\{"}
_NOT_A_TEXT = {"integer", "number", "boolean"}
_ABOUT = ("description", "examples", "default", "title")
_BY_NAME = {"properties", "patternProperties", "$defs"}
"""Mappings of schemas, whose keys are names of people's."""


class _Attributes(BaseModel):
    """Values are looked at when the file is loaded, with its variables and templates filled in."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema of the component's own attributes, and that of transform.yaml."""
        own = super().model_json_schema(*args, **kwargs)
        keys = _loosened(TransformConfig.model_json_schema(by_alias=True))
        own["properties"] |= keys["properties"]
        own["$defs"] = {**own.get("$defs", {}), **keys.get("$defs", {})}
        return own


@cache
def attributes_model(own: type[BaseModel]) -> type[BaseModel]:
    """The attributes of a component.

    Args:
        own: The model that Dagster makes of the component's own fields.
    """
    keys: dict[str, Any] = {
        name: (Any, None) for name in TransformConfig.model_fields if name not in own.model_fields
    }
    return create_model("TransformAttributes", __base__=(_Attributes, own), **keys)


def _loosened(schema: Any) -> Any:
    """A schema that also takes variables and templates where no text is expected."""
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "discriminator" in schema:
        return _chosen(schema)
    if schema.get("type") in _NOT_A_TEXT or "enum" in schema:
        about = {key: schema[key] for key in _ABOUT if key in schema}
        strict = {key: value for key, value in schema.items() if key not in about}
        return {**about, "anyOf": [strict, _TEMPLATE]}
    found = {}
    for key, value in schema.items():
        if key in _BY_NAME:
            found[key] = {name: _loosened(each) for name, each in value.items()}
        else:
            found[key] = value if key in _ABOUT else _loosened(value)
    return found


def _chosen(schema: dict[str, Any]) -> dict[str, Any]:
    """One of several, by a key: as conditions, so that an error names the key that is wrong and not
    all that would have been possible."""
    tag = schema["discriminator"]["propertyName"]
    kinds = schema["discriminator"]["mapping"]
    return {
        "type": "object",
        "required": [tag],
        "properties": {tag: {"enum": list(kinds)}},
        "allOf": [
            {"if": {"properties": {tag: {"const": kind}}}, "then": {"$ref": reference}}
            for kind, reference in kinds.items()
        ],
    }
