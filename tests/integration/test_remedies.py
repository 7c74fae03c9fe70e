"""Every remedy that a message names exists: commands, their options, files, settings, run options,
environment variables.

The remedies are read from the package's source, so that none is left out. A placeholder stands for
what is known only when the message is made.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import dagster_transform
from dagster_transform.cli.main import main
from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig
from dagster_transform.config.job_groups import JobGroups
from dagster_transform.errors import TransformError

PACKAGE = Path(dagster_transform.__file__).parent
_PLACEHOLDER = "VALUE"


@dataclass(frozen=True)
class Remedy:
    """A remedy, and where it is written."""

    place: str
    text: str


def _text(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be, with VALUE for what is not known before."""
    match node:
        case ast.Constant(value=str() as value):
            yield value
        case ast.JoinedStr(values=values):
            yield "".join(next(_text(v), _PLACEHOLDER) for v in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield next(_text(left), _PLACEHOLDER) + next(_text(right), _PLACEHOLDER)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_text(body), *_text(orelse))
        case ast.BoolOp(values=values):
            for value in values:
                yield from _text(value)


@cache
def remedies() -> tuple[Remedy, ...]:
    """All that is given as `remedy`, or is a variable of that name, in the whole package."""
    found: list[Remedy] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given: ast.expr | None = None
            match node:
                case ast.keyword(arg="remedy", value=value):
                    given = value
                case ast.Assign(targets=[ast.Name(id="remedy")], value=value):
                    given = value
            if given is not None:
                found += [Remedy(f"{where}:{given.lineno}", text) for text in _text(given)]
    return tuple(dict.fromkeys(found))


# -- what is named in them ------------------------------------------------------------------------

# As a command is written: in backticks, or behind a colon.
_COMMAND = re.compile(
    r"(?:`|: )(dagster-transform|sqlmesh|dbt) ((?:-{1,2}[a-z-]+ \S+ )?[a-z_-]+(?: [a-z_]+)?)"
)
_VARIABLE = re.compile(r"\b(?:DAGSTER_TRANSFORM_[A-Z_]+|DAGSTER_[A-Z_]+|MAX_CONCURRENT_MODELS)\b")
_EXTRA = re.compile(r"dagster-transform\[([a-z]+)\]")


def sqlmesh_commands() -> set[str]:
    from dagster_transform.sqlmesh._compat import import_sqlmesh

    import_sqlmesh()
    from sqlmesh.cli.main import cli

    return names_of(cli)


def dbt_commands() -> set[str]:
    from dbt.cli.main import cli

    return names_of(cli)


def names_of(group: Any, before: str = "") -> set[str]:
    found: set[str] = set()
    for name, command in group.commands.items():
        found.add(f"{before}{name}")
        if isinstance(command, click.Group):
            found |= names_of(command, f"{before}{name} ")
    return found


@cache
def commands() -> dict[str, set[str]]:
    return {
        "dagster-transform": names_of(main),
        "sqlmesh": sqlmesh_commands(),
        "dbt": dbt_commands(),
    }


def run_options() -> set[str]:
    """What people write under resources, transform, config; and into the config of the jobs."""
    from dagster_transform.dagster.execution.run_options import (
        DbtOptions,
        RestateOption,
        TransformResource,
    )
    from dagster_transform.dagster.jobs.janitor import JanitorConfig
    from dagster_transform.dagster.jobs.plan import PlanConfig

    found = set(TransformResource.model_fields)
    found |= {f"dbt.{name}" for name in DbtOptions.model_fields}
    found |= {f"restate.{name}" for name in RestateOption.model_fields}
    return found | set(PlanConfig.model_fields) | set(JanitorConfig.model_fields)


def settings() -> set[str]:
    models = (TransformConfig, SqlmeshProject, DbtProject, JobGroups)
    return {name for model in models for name in model.model_fields}


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))


def problems(text: str) -> list[str]:
    """What a remedy names and does not exist."""
    found: list[str] = []
    for program, rest in _COMMAND.findall(text):
        words = [w for w in re.sub(r"-{1,2}[a-z-]+ \S+ ", "", rest).split() if w != _PLACEHOLDER]
        known = commands()[program]
        group = any(name.startswith(f"{words[0]} ") for name in known)
        if " ".join(words) not in known and (group or words[0] not in known):
            found.append(f"{program} {' '.join(words)}")
    found += [name for name in _VARIABLE.findall(text) if f'"{name}"' not in sources()]
    found += [name for name in _RUN_OPTION.findall(text) if name not in run_options()]
    extras = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    found += [name for name in _EXTRA.findall(text) if f"\n{name} = [" not in extras]
    if "transform.yaml" in text and not _names_a_setting(text):
        found.append("transform.yaml, and nothing that can be written there")
    return found


_RUN_OPTION = re.compile(r"\brun option ([a-z_.]+[a-z_])")


def _names_a_setting(text: str) -> bool:
    return any(re.search(rf"\b{name}\b", text) for name in settings())


@pytest.mark.parametrize("remedy", remedies(), ids=lambda remedy: remedy.place)
def test_what_a_remedy_names_exists(remedy: Remedy) -> None:
    assert problems(remedy.text) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Run `dagster-transform prepaer --project VALUE`.", "dagster-transform prepaer"),
        ("Restore it: sqlmesh -p VALUE stat import -i FILE", "sqlmesh stat import"),
        ("`dbt debugg` tests it.", "dbt debugg"),
        ("`dagster-transform job-groups generat` makes them.", "job-groups generat"),
        ("Raise the run option dbt.memoryy.", "dbt.memoryy"),
        ("Set DAGSTER_TRANSFORM_ARTEFACTS.", "DAGSTER_TRANSFORM_ARTEFACTS"),
        ("pip install 'dagster-transform[oracle]'", "oracle"),
        ("raise the limit in transform.yaml", "nothing that can be written there"),
    ],
)
def test_a_remedy_that_does_not_exist_is_found(text: str, named: str) -> None:
    assert any(named in problem for problem in problems(text)), problems(text)


def classes(of: type[TransformError] = TransformError) -> Iterator[type[TransformError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from classes(kind)


def test_all_of_our_errors_have_words() -> None:
    """The first line of a class's docstring is its message, where it has no other."""
    import importlib

    for path in PACKAGE.rglob("*.py"):
        if "child" not in path.parts and path.name != "__main__.py":
            importlib.import_module(
                ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
                    ".__init__"
                )
            )
    found = set(classes())
    assert len(found) > 40
    for kind in found:
        assert (kind.__doc__ or "").strip().splitlines()[0].endswith("."), kind


def test_the_commands_that_are_named_say_what_they_do() -> None:
    for command in commands()["dagster-transform"]:
        done = CliRunner().invoke(main, [*command.split(), "--help"])
        assert done.exit_code == 0, command
