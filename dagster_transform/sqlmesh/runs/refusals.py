"""Plans that SQLMesh refuses to make: which models make it, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlmesh.utils import errors

from dagster_transform.errors import words_of
from dagster_transform.sqlmesh import _compat_refusals
from dagster_transform.sqlmesh.configs import shell_command_of
from dagster_transform.sqlmesh.errors import ChangeForbiddenError, LinterError, PlanRefusedError
from dagster_transform.sqlmesh.settings import SqlmeshSettings

_SHOWN = 10
"""Violations of the linter that a message lists."""


@contextmanager
def clear_refusals(name: str, context: Any, settings: SqlmeshSettings) -> Iterator[None]:
    """Tell what SQLMesh refuses while a plan is made, with the models at fault.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context, with the files loaded.
        settings: What the run asks for.

    Raises:
        LinterError: Models break rules of the linter.
        PlanRefusedError: SQLMesh makes no such plan.
    """
    try:
        yield
    except errors.LinterError:
        raise _of_linter(name, context, settings.called) from None
    except (errors.PlanError, ValueError) as error:  # of dates that exclude each other
        command = shell_command_of(context, f"plan {settings.environment}")
        raise PlanRefusedError(
            f"Project {name} can't be planned: {words_of(error)}",
            remedy=f"The same plan by hand: {command}",
        ) from None


def build_plan(name: str, context: Any, builder: Any, called: Callable[[str], str]) -> Any:
    """The plan of a builder.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context.
        builder: A SQLMesh PlanBuilder.
        called: What people call the node of a fully qualified name.

    Raises:
        ChangeForbiddenError: It changes tables as their models forbid it.
        Exception: What else SQLMesh refuses.
    """
    with _compat_refusals.forbidden_changes(builder) as forbidden:
        try:
            return builder.build()
        except errors.PlanError:
            if not forbidden:
                raise
    model, kind = forbidden[-1]
    shown = context.models[model].name if model in context.models else model
    what = "drops or narrows columns" if kind == "destructive" else "adds columns"
    raise ChangeForbiddenError(
        f"Project {name} can't be planned: the forward-only change of {called(model)} {what}, "
        f"which its on_{kind}_change forbids.",
        remedy=f"Allow it once: run job {name}_plan with allow_{kind}_models: ['{shown}'], which "
        f"explains, and with apply: true applies. Or set on_{kind}_change allow in its kind.",
        nodes=[called(model)],
    )


def _of_linter(name: str, context: Any, called: Callable[[str], str]) -> LinterError:
    found = [v for v in context.lint_models(raise_on_error=False) if v.violation_type == "error"]
    lines = [f"- {called(v.model.fqn)}: {v.rule.name}: {v.violation_msg}" for v in found]
    more = f"\n- and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    listing = "\n".join(lines[:_SHOWN])
    return LinterError(
        f"Project {name} can't be planned: its models break rules of its linter:\n{listing}{more}",
        remedy="Correct them, name the rule in a model's ignored_rules, or in linter.warn_rules of "
        f"the project's config.yaml. They are listed by: {shell_command_of(context, 'lint')}",
        nodes=dict.fromkeys(called(v.model.fqn) for v in found),
    )
