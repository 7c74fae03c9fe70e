"""What users see of the package, as plain values that are compared with golden files.

`Golden` compares and updates; the rest describes signatures, config schemas, commands, definitions
and runs. Nothing described has a time, an id, a path or a digest in it.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
from dagster import DagsterEventType as Kind

from tests.support.stories import OUTCOME, REASON, Story

FOLDER = Path(__file__).parents[1] / "golden" / "public"
UPDATE = "UPDATE_GOLDEN"
REGENERATE = f"{UPDATE}=1 .venv/bin/python -m pytest tests/integration/test_public_surface.py"
OURS = "dagster_transform/"


# -- golden files ----------------------------------------------------------------------------------


class Golden:
    """Compares values with tests/golden/public/<name>.json; collects all differences."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> None:
        # As JSON has it, so that a tuple is equal to a list.
        self._found[name] = json.loads(json.dumps(value))

    def compare(self) -> None:
        """Fails with what is missing, new and changed. With UPDATE_GOLDEN=1 it writes instead."""
        lines: list[str] = []
        for name, value in self._found.items():
            file = FOLDER / f"{name}.json"
            if os.environ.get(UPDATE):
                FOLDER.mkdir(parents=True, exist_ok=True)
                text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
                file.write_text(text + "\n", encoding="utf-8")
            elif not file.exists():
                lines.append(f"{file.name}: there is no such golden file")
            else:
                expected = json.loads(file.read_text(encoding="utf-8"))
                found = list(differences(expected, value))
                lines += [f"{file.name}:", *(f"  {line}" for line in found)] * bool(found)
        if lines:
            lines += ["What users see has changed. If that is wanted:", f"  {REGENERATE}"]
            pytest.fail("\n".join(lines), pytrace=False)


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """What is missing, new or changed, a line each."""
    here = path or "(all)"
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            below = f"{path} > {key}" if path else key
            if key not in found:
                yield f"missing: {below} = {_short(expected[key])}"
            elif key not in expected:
                yield f"new:     {below} = {_short(found[key])}"
            else:
                yield from differences(expected[key], found[key], below)
    elif isinstance(expected, list) and isinstance(found, list):
        gone, more = _without(expected, found), _without(found, expected)
        yield from (f"missing: {here}: {_short(one)}" for one in gone)
        yield from (f"new:     {here}: {_short(one)}" for one in more)
        if expected != found and not gone and not more:
            yield f"changed: {here}: the order: {_short(expected)} -> {_short(found)}"
    elif expected != found or type(expected) is not type(found):
        yield f"changed: {here}: {_short(expected)} -> {_short(found)}"


def _without(these: list[Any], others: list[Any]) -> list[Any]:
    left = list(others)
    gone = []
    for one in these:
        if one in left:
            left.remove(one)
        else:
            gone.append(one)
    return gone


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}..."


# -- Python ----------------------------------------------------------------------------------------


def signature(thing: Callable[..., Any]) -> list[str]:
    """Parameters with annotations as they are written, and defaults. Evaluated annotations, of
    pydantic's classes, are left out: they name private helpers."""
    return [_parameter(one) for one in inspect.signature(thing).parameters.values()]


def _parameter(parameter: inspect.Parameter) -> str:
    ordinary = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    kind = "" if ordinary else f" ({parameter.kind.description})"
    text = str(parameter.replace(annotation=inspect.Parameter.empty))
    if isinstance(parameter.annotation, str):
        name, _, default = text.partition("=")
        text = f"{name}: {parameter.annotation}" + f" = {default}" * bool(default)
    return text + kind


def methods(kind: type) -> dict[str, list[str]]:
    """Public methods with their parameters."""
    members = inspect.getmembers(kind, callable)
    return {name: signature(member) for name, member in members if not name.startswith("_")}


def without_descriptions(schema: Any) -> Any:
    """A JSON schema without the texts that only people read."""
    if isinstance(schema, list):
        return [without_descriptions(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # Below `properties` and `$defs` the keys are names, and one may be `description`.
    return {
        key: {name: without_descriptions(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else without_descriptions(value)
        for key, value in schema.items()
        if key != "description"
    }


# -- Dagster's config ------------------------------------------------------------------------------


def config_fields(config_type: Any) -> Any:
    """A config type in words; of a shape its fields."""
    kind = config_type.kind.name
    if kind in ("STRICT_SHAPE", "PERMISSIVE_SHAPE", "SELECTOR"):
        found: dict[str, Any] = {n: _field(f) for n, f in config_type.fields.items()}
        return found if kind == "STRICT_SHAPE" else {f"({kind.lower()})": found}
    if kind == "NONEABLE":
        return {"(or none)": config_fields(config_type.inner_type)}
    if kind == "ARRAY":
        return {"(list of)": config_fields(config_type.inner_type)}
    if kind == "ENUM":
        return sorted(config_type.config_values)
    if kind == "SCALAR_UNION":
        return config_fields(config_type.scalar_type)
    return config_type.given_name or kind


def _field(field: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": config_fields(field.config_type),
        "required": field.is_required,
        "description": field.description,
    }
    if field.default_provided:
        found["default"] = field.default_value
    return found


# -- the command line ------------------------------------------------------------------------------


def command_line() -> click.Group:
    """The command that is installed as `dagster-transform`."""
    (script,) = entry_points(group="console_scripts", name="dagster-transform")
    found = script.load()
    assert isinstance(found, click.Group)
    return found


def commands(command: click.Command, name: str) -> dict[str, Any]:
    """A command and all below it, by their words."""
    found: dict[str, Any] = {name: {"options": {}, "arguments": []}}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            flags = "/".join([*parameter.opts, *parameter.secondary_opts])
            found[name]["options"][flags] = _option(parameter)
        else:
            found[name]["arguments"].append(parameter.make_metavar(click.Context(command)))
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            found |= commands(below, f"{name} {word}")
    return found


def _option(option: click.Option) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": option.type.name,
        "help": option.help,
        "default": option.to_info_dict()["default"],
        "is_flag": option.is_flag,
        "multiple": option.multiple,
        "required": option.required,
    }
    if isinstance(option.type, click.Choice):
        found["choices"] = list(option.type.choices)
    return found


# -- definitions -----------------------------------------------------------------------------------


def assets(repository: Any) -> dict[str, Any]:
    """Asset specs and their checks, by key."""
    definitions = set(repository.assets_defs_by_key.values())
    definitions |= set(repository.asset_checks_defs_by_key.values())
    found = {
        spec.key.to_user_string(): _asset(spec)
        for definition in definitions
        for spec in definition.specs
    }
    for spec in (spec for definition in definitions for spec in definition.check_specs):
        # It may stand on what is only read.
        asset = found.setdefault(spec.asset_key.to_user_string(), {})
        asset.setdefault("checks", {})[spec.name] = {
            "blocking": spec.blocking,
            "metadata": _metadata(spec.metadata),
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.additional_deps),
        }
    return found


def _asset(spec: dg.AssetSpec) -> dict[str, Any]:
    condition = spec.automation_condition
    return {
        "group": spec.group_name,
        "kinds": sorted(spec.kinds),
        "tags": {k: v for k, v in sorted(spec.tags.items()) if not k.startswith("dagster/kind/")},
        "owners": sorted(spec.owners),
        "metadata": _metadata(spec.metadata),
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "has a code version": spec.code_version is not None,
        "automation condition": condition.get_label() if condition is not None else None,
    }


def jobs(repository: Any) -> dict[str, Any]:
    """Names of jobs, their ops and their resources."""
    return {
        job.name: {
            "ops": sorted(node.name for node in job.nodes),
            "resources": sorted(job.resource_defs),
            "executor": job.executor_def.name,
        }
        for job in repository.get_all_jobs()
    }


def _metadata(metadata: Mapping[str, Any]) -> list[str]:
    """Keys, each with the sort of value that the UI shows."""
    return sorted(
        f"{key} ({type(value).__name__.removesuffix('MetadataValue')})"
        for key, value in metadata.items()
    )


# -- runs ------------------------------------------------------------------------------------------

# What Dagster says of its own work, and what depends on the machine.
_NOT_OURS = {
    Kind.ENGINE_EVENT, Kind.LOGS_CAPTURED, Kind.HANDLED_OUTPUT, Kind.LOADED_INPUT, Kind.STEP_INPUT,
    Kind.RESOURCE_INIT_STARTED, Kind.RESOURCE_INIT_SUCCESS, Kind.STEP_WORKER_STARTING,
    Kind.STEP_WORKER_STARTED, Kind.PIPELINE_ENQUEUED, Kind.PIPELINE_DEQUEUED,
    Kind.PIPELINE_STARTING,
    Kind.ASSET_MATERIALIZATION_PLANNED, Kind.ASSET_CHECK_EVALUATION_PLANNED,  # as was selected
}  # fmt: skip
_OUTCOMES = f"{OURS}outcomes"


def run_of(story: Story, run: dg.DagsterRun) -> dict[str, Any]:
    """What a run has stored: status, our tags, failures, and the multiset of its events."""
    events: dict[str, list[Any]] = {}
    for record in story.records:
        event = record.event_log_entry.dagster_event
        if event is not None and event.event_type not in _NOT_OURS:
            head, facts = _event(event)
            events.setdefault(head, []).append(facts)
    return {
        "status": story.status.value,
        "tags": sorted(key for key in run.tags if key.startswith(OURS)),
        "failures": sorted(_first_line(f) for f in story.failures),
        "events": dict(_numbered(events)),
    }


def _numbered(events: Mapping[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    for head, found in events.items():
        for number, facts in enumerate(sorted(found, key=json.dumps), start=1):
            yield head + f" #{number}" * (len(found) > 1), facts


def _event(event: Any) -> tuple[str, dict[str, Any]]:
    """The event's type and what it is about; and its facts."""
    data, kind = event.event_specific_data, event.event_type
    head = [kind.value]
    facts: dict[str, Any] = {}
    metadata: Mapping[str, Any] = {}
    if kind is Kind.ASSET_CHECK_EVALUATION:
        head.append(f"{data.asset_key.to_user_string()}:{data.check_name}")
        facts = {"passed": data.passed, "severity": data.severity.value, "blocking": data.blocking}
        metadata = data.metadata
    elif event.asset_key is not None:
        head.append(event.asset_key.to_user_string())
        about = getattr(data, "materialization", None) or getattr(data, "asset_observation", None)
        metadata = about.metadata if about is not None else {}
        if OUTCOME in metadata:
            head.append(str(metadata[OUTCOME].value))
        if REASON in metadata:
            facts["reason"] = normalised(str(metadata[REASON].value).split("\n", 1)[0])
    elif event.step_key is not None:
        head.append(event.step_key)
    if kind is Kind.STEP_OUTPUT:
        head[-1] += f".{data.step_output_handle.output_name}"
        # That of a node has what its materialization has.
        metadata = {} if OUTCOME in data.metadata else data.metadata
    elif kind is Kind.STEP_EXPECTATION_RESULT:
        head.append(str(data.expectation_result.label))
        facts["success"] = data.expectation_result.success
        metadata = data.expectation_result.metadata
    elif kind is Kind.STEP_FAILURE and data.user_failure_data is not None:
        metadata = data.user_failure_data.metadata
        if _OUTCOMES in metadata:
            rows = str(metadata[_OUTCOMES].value).splitlines()
            facts["table"] = rows[:1] + sorted(map(_without_reason, rows[2:]))
    return " ".join(head), {**facts, **({"metadata": _metadata(metadata)} if metadata else {})}


def _without_reason(row: str) -> str:
    """Of a row of what went wrong: what it has come to, and of what. Who comes first is chance."""
    shown = row.split(": ", maxsplit=1)[0]
    names = sorted(re.findall("`[^`]+`", shown))
    if shown.endswith(" more)"):
        return shown.split(" (")[0]  # and which are named of many
    return f"{shown.split(' `')[0]} {', '.join(names)}"


def _first_line(failed: Any) -> str:
    if failed.user_failure_data is None:
        return str(failed.error.cls_name)
    return normalised(str(failed.user_failure_data.description).split("\n", 1)[0])


_NORMALISED = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}"), "<digest>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), "<hash>"),
    (re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+(?:\+[\d:]+|Z)?(?: UTC)?)?"), "<time>"),
    (re.compile(r"(?<![\w.])/[\w./-]+"), "<path>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "N"),
)


def normalised(text: str) -> str:
    """A text without figures, times, ids, digests and paths."""
    for pattern, word in _NORMALISED:
        text = pattern.sub(word, text)
    return text


def keys_of(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """All keys that these objects have."""
    return sorted({key for one in objects for key in one})
