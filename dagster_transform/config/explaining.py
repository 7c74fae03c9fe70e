"""What pydantic finds wrong with a value of a YAML file, in our words."""

from __future__ import annotations

from difflib import get_close_matches

from pydantic_core import ErrorDetails

from dagster_transform.config.document import Where
from dagster_transform.config.fields import Model

_WORDS = {
    "missing": "missing key",
    "path_type": "must be a path",
    "string_type": "must be a string; put it in quotes",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a mapping"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
}


def explain(details: ErrorDetails, kind: str, where: Where, model: type[Model]) -> str:
    """What is wrong, in words that hold no value.

    Args:
        details: As pydantic has them.
        kind: Pydantic's word for it.
        where: The value.
        model: What knows the keys beside the value.
    """
    if kind == "extra_forbidden":
        known = model.keys()
        close = get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown key; {hint}known keys: {', '.join(known)}"
    return _WORDS.get(kind) or details["msg"].replace("Input should be", "must be")
