"""The YAML file of a component of Dagster's (defs.yaml) as a transform.yaml: what stands below
`attributes` of the one component that is a transform."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from dagster_transform.errors import TransformError

COMPONENT_FILES = ("defs.yaml", "defs.yml", "component.yaml")
"""What Dagster calls the files of components."""
COMPONENT_TYPE = "dagster_transform.TransformComponent"
OWN_ATTRIBUTES = ("name", "executor", "translation", "defs_state")
"""What the component has beside the keys of transform.yaml."""

_TRANSLATION = "translation"
_PROJECTS = "projects"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(
    rf"env\.(?P<name>{_NAME})"
    rf"|env\(\s*(?P<quote>['\"])(?P<called>{_NAME})(?P=quote)\s*"
    r"(?:,\s*(?P<mark>['\"])(?P<default>[^'\"]*)(?P=mark)\s*)?\)"
)
_PROJECT_ROOT = re.compile(r"(?:context\.)?project_root")


class NoTransformError(TransformError):
    """A file of components has no transform, or more than one."""


class TemplateError(ValueError):
    """A template can't be filled in; the text says why, and no value."""


@dataclass(frozen=True, slots=True)
class Read:
    """What is read of a file that may be a component's.

    Attributes:
        node: The attributes, or the document where it is no component; None: the file is empty.
        type: Of the component; None: it is none.
        translates: Whether the component says itself how nodes are called and look in Dagster: it
            has a `translation`, or is of somebody's own type.
    """

    node: yaml.Node | None
    type: str | None = None
    translates: bool = False


def attributes_of(documents: Sequence[yaml.Node], known: Collection[str]) -> Read:
    """The attributes of the component in a file that is a transform.

    Args:
        documents: The documents of the file.
        known: The keys of transform.yaml. The component's own attributes are left out, and where
            its type is somebody's own, so are those that this may have added.

    Raises:
        NoTransformError: There are components, and not one of them alone is a transform.
    """
    found = [each for node in documents if (each := _component(node)) is not None]
    if not found:
        return Read(documents[0] if documents else None)
    transforms = [(type, node) for type, node in found if _is_transform(type, node)]
    if len(transforms) != 1:
        raise NoTransformError(
            f"{len(transforms)} transforms in one file, where one is expected"
            if transforms
            else f"no transform: nothing in it is a {COMPONENT_TYPE}, or has `{_PROJECTS}`",
            remedy="Give each transform a folder with a defs.yaml of its own."
            if transforms
            else "Say which file has the projects: --config FILE.",
        )
    type, node = transforms[0]
    left_out = set(OWN_ATTRIBUTES)
    translates = type != COMPONENT_TYPE or any(k.value == _TRANSLATION for k, _ in node.value)
    if type != COMPONENT_TYPE:
        left_out |= {key.value for key, _ in node.value} - set(known)
    pairs = [(key, value) for key, value in node.value if key.value not in left_out]
    read = yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
    return Read(read, type, translates)


def _component(node: yaml.Node) -> tuple[str, yaml.MappingNode] | None:
    """The type and the attributes of a document that is a component."""
    if not isinstance(node, yaml.MappingNode):
        return None
    keys = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    type, attributes = keys.get("type"), keys.get("attributes")
    if not isinstance(type, yaml.ScalarNode) or _PROJECTS in keys:
        return None
    if not isinstance(attributes, yaml.MappingNode):
        attributes = yaml.MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
    return type.value, attributes


def _is_transform(type: str, attributes: yaml.MappingNode) -> bool:
    return type == COMPONENT_TYPE or any(key.value == _PROJECTS for key, _ in attributes.value)


def filled_in(template: str, file: Path) -> str:
    """What a template stands for: `{{ env.NAME }}`, `{{ env('NAME', 'default') }}` and
    `{{ context.project_root }}`. Others need what only Dagster has, and the command line reads the
    file without it.

    Args:
        template: The text with its braces.
        file: The file that it is in.

    Raises:
        TemplateError: It is another one, or stands for nothing.
    """
    inside = template.removeprefix("{{").removesuffix("}}").strip()
    if _PROJECT_ROOT.fullmatch(inside):
        return str(project_root(file))
    found = _VARIABLE.fullmatch(inside)
    if found is None:
        raise TemplateError(
            f"the template {template} can't be filled in here; env.NAME, env('NAME', 'default') and"
            " context.project_root can, and any in `translation`"
        )
    name = found["name"] or found["called"]
    value = os.environ.get(name, found["default"])
    if value is None:
        raise TemplateError(
            f"the environment variable {name} is not set; env('{name}', '') does without it"
        )
    return value


def project_root(file: Path) -> Path:
    """The folder of the dg project that a file is in. Raises TemplateError: it is in none."""
    import tomllib  # only those pay for it who need it

    for folder in file.parents:
        if (folder / "dg.toml").is_file():
            return folder
        with suppress(OSError, ValueError):
            content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
            if "dg" in content.get("tool", {}):
                return folder
    raise TemplateError("there is no project of dg above this file (pyproject.toml with [tool.dg])")
