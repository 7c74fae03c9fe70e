"""What values of transform.yaml may look like, as types of pydantic's."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from dagster_transform.config.crons import A_CRON, A_TIME_ZONE, is_cron, is_time_zone

if TYPE_CHECKING:  # what takes long to import, and only a schema needs
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_SQLITE_FILE = re.compile(r"(?P<scheme>sqlite(?:\+\w+)?:///)(?!/|:memory:|file:)(?P<path>.+)")


class Model(BaseModel):
    """A mapping of transform.yaml: a frozen value, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema, in which each key has the text that the docstring has for it, and an example
        of how it is written."""
        from dagster_transform.config.describing import describe  # only who asks for a schema pays

        schema = handler(core_schema)
        describe(cls, handler.resolve_ref_schema(schema))
        return schema

    @classmethod
    def keys(cls) -> list[str]:
        """The keys that it may have: its own, then those of its base."""
        own = [name for name in cls.model_fields if name in cls.__annotations__]
        return [*own, *(name for name in cls.model_fields if name not in own)]


class Shorthand:
    """Says in the schema what people may write instead of a mapping.

    `json_schema_input_type` would be shorter, but pydantic 2.11 loses models that it names.

    Args:
        schemas: JSON schemas of the short ways.
    """

    def __init__(self, *schemas: JsonSchemaValue) -> None:
        self._schemas = schemas

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """What there would be without it, or one of the short ways."""
        return {"anyOf": [handler(core_schema), *self._schemas]}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


def _not_empty(value: Any) -> Any:
    if value == "":
        raise PydanticCustomError("empty", "must not be empty")
    return value


def _none_if_empty(value: Any) -> Any:
    """Lets `${GATEWAY:-}` mean that there is none."""
    return None if value == "" else value


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a valid integer")
    return value


def _cron(value: str | None) -> str | None:
    if value is None or is_cron(value):
        return value
    raise PydanticCustomError("cron", f"must be {A_CRON}")


def http_url(value: str | None) -> str | None:
    """The URL itself, if it is one. Raises PydanticCustomError."""
    if value is not None and not _is_http(value):
        raise PydanticCustomError("http_url", "must be a URL that begins with http:// or https://")
    return value


def _is_http(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        return False


def _time_zone(value: str | None) -> str | None:
    if value is None or is_time_zone(value):
        return value
    raise PydanticCustomError("time_zone", f"must be {A_TIME_ZONE}")


def path_from(root: Path, path: str | Path) -> Path:
    """A path as transform.yaml means it: from the folder of the file; `~` is the user's home."""
    return Path(os.path.abspath(root / os.path.expanduser(path)))


def url_from(root: Path, url: str) -> str:
    """The URL of a database; the path of a SQLite file as `path_from` takes it."""
    found = _SQLITE_FILE.fullmatch(url)
    return f"{found['scheme']}{path_from(root, found['path'])}" if found else url


def _root(info: ValidationInfo) -> Path | None:
    """The folder of the file that is read, if one is."""
    return (info.context or {}).get("root")


def _placed_path(path: Path | None, info: ValidationInfo) -> Path | None:
    root = _root(info)
    return path_from(root, path) if root is not None and path is not None else path


def _placed_url(url: str | None, info: ValidationInfo) -> str | None:
    root = _root(info)
    return url_from(root, url) if root is not None and url is not None else url


def _as_texts(value: Any) -> Any:
    """A text alone is a list of one; lets `${SELECT:-}` mean that there is none."""
    if value in ("", None):
        return []
    return [value] if isinstance(value, str) else value


def _as_key(value: Any) -> Any:
    """`raw/flights`, as Dagster writes asset keys; the parts of a list are taken as they are."""
    return value.split("/") if isinstance(value, str) and value else value


def _as_prefix(value: Any) -> Any:
    return _as_key(_none_if_empty(value)) or ()


def _as_mapping(value: Any) -> Any:
    return {} if value is None else value


def _existing_folder(path: Path, info: ValidationInfo) -> Path:
    """The path resolved against the folder of the file; unchanged where there is no file."""
    root = _root(info)
    if root is None:
        return path
    folder = path_from(root, path)
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        raise PydanticCustomError("folder_missing", "does not exist") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PydanticCustomError("folder_missing", "can't be used: {why}", {"why": why}) from None
    if not stat.S_ISDIR(mode):
        raise PydanticCustomError("folder_expected", "is not a folder")
    return folder


# What stands after `json_schema_input_type` is what people may write, for editors and
# `dg check yaml`: what a validator makes of it is another matter.
_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[_Count, BeforeValidator(_not_bool, json_schema_input_type=_Count)]
Seconds = Annotated[_Seconds, BeforeValidator(_not_bool, json_schema_input_type=_Seconds)]
Folder = Annotated[
    Path, BeforeValidator(_not_empty, json_schema_input_type=str), AfterValidator(_existing_folder)
]
OptionalText = Annotated[
    str | None, BeforeValidator(_none_if_empty, json_schema_input_type=str | None)
]
OptionalPath = Annotated[
    Path | None,
    BeforeValidator(_none_if_empty, json_schema_input_type=str | None),
    AfterValidator(_placed_path),
]
OptionalUrl = Annotated[OptionalText, AfterValidator(_placed_url)]
WebAddress = Annotated[OptionalText, AfterValidator(http_url)]
Cron = Annotated[OptionalText, AfterValidator(_cron)]
TimeZone = Annotated[OptionalText, AfterValidator(_time_zone)]
Text = Annotated[str, BeforeValidator(_not_empty, json_schema_input_type=str)]
Texts = Annotated[
    tuple[Text, ...], BeforeValidator(_as_texts, json_schema_input_type=list[str] | str | None)
]
Folders = Annotated[
    tuple[Folder, ...],
    BeforeValidator(_as_list, json_schema_input_type=list[str] | str),
    Field(min_length=1),
]
OptionalFolder = Annotated[
    Folder | None, BeforeValidator(_none_if_empty, json_schema_input_type=str | None)
]
Key = Annotated[
    tuple[Text, ...],
    BeforeValidator(_as_key, json_schema_input_type=list[str] | str),
    Field(min_length=1),
]
"""Of an asset."""
KeyPrefix = Annotated[
    tuple[Text, ...], BeforeValidator(_as_prefix, json_schema_input_type=list[str] | str | None)
]
KeysByName = Annotated[
    Mapping[str, Key],
    BeforeValidator(_as_mapping, json_schema_input_type=Mapping[str, list[str] | str] | None),
]
Variables = Annotated[
    Mapping[str, Any],
    BeforeValidator(_as_mapping, json_schema_input_type=Mapping[str, Any] | None),
]
Labels = Annotated[
    Mapping[str, str],
    BeforeValidator(_as_mapping, json_schema_input_type=Mapping[str, str] | None),
]
