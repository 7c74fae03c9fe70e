"""Which models of a project are assets: what `select` and `exclude` of transform.yaml say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from typing import Any

from dagster_transform.config import SettingError, SqlmeshProject
from dagster_transform.errors import words_of
from dagster_transform.sqlmesh import _compat

_CLOSE_MATCHES = 3


def chosen_models(context: Any, config: SqlmeshProject) -> frozenset[str] | None:
    """Fully qualified names of the models that `select` chooses and `exclude` does not take out.

    Args:
        context: A loaded sqlmesh Context.
        config: The project's configuration.

    Returns:
        None where neither is set.

    Raises:
        SettingError: SQLMesh can't read an expression, or one of `select` chooses nothing.
    """
    if not config.select and not config.exclude:
        return None
    select = _compat.model_selector(context)
    found = set(context.models)
    if config.select:
        found = set()
        for place, expression in enumerate(config.select):
            part = _expand(select, expression, ("select", place))
            if not part:
                raise _nothing(context, expression, place)
            found |= part
    for place, expression in enumerate(config.exclude):
        found -= _expand(select, expression, ("exclude", place))
    if not found:
        raise SettingError(("exclude",), "nothing of the project is left")
    return frozenset(found)


def _expand(
    select: Callable[[Sequence[str]], Collection[str]], expression: str, where: tuple[str, int]
) -> set[str]:
    try:
        return set(select([expression]))
    except Exception as error:  # noqa: BLE001 - whatever its parser raises
        raise SettingError(
            where,
            f"SQLMesh can't read {expression!r}: {words_of(error)}",
            remedy="Write it as for `sqlmesh plan --select-model`: a name, marts.*, tag:daily, "
            "+name+, combined by &, | and ^.",
        ) from None


def _nothing(context: Any, expression: str, place: int) -> SettingError:
    names = {str(model.name) for model in context.models.values()}
    names |= {f"tag:{tag}" for model in context.models.values() for tag in model.tags}
    close = get_close_matches(expression.strip("+"), sorted(names), n=_CLOSE_MATCHES)
    return SettingError(
        ("select", place),
        f"{expression!r} selects no model",
        remedy=f"Did you mean {' or '.join(map(repr, close))}?" if close else None,
    )
