"""Which projects Dagster can show together: one that it can't leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from dagster_transform.dagster.definitions.errors import TranslationError
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fitting(Generic[_T]):
    """What fits together.

    Attributes:
        graph: The combined graph of the projects that do.
        made: What was made of it.
        errors: Why another project does not, by its name.
    """

    graph: Graph
    made: _T
    errors: Mapping[str, TransformError]


def fit(graphs: Mapping[str, Graph], make: Callable[[Graph], _T]) -> Fitting[_T]:
    """All projects, but for those with which something can't be made.

    Of two that exclude each other (they build one table, or have one asset key) the first one
    stays.

    Args:
        graphs: The graph of each project, the first ones first.
        make: What is made of a combined graph, and of an empty one; it raises what it can't make.
    """
    whole = _attempt(graphs, make)
    if not isinstance(whole, TransformError):
        return Fitting(*whole, {})
    fitting: dict[str, Graph] = {}
    errors: dict[str, TransformError] = {}
    best = (Graph.of(), make(Graph.of()))
    for project, graph in graphs.items():
        attempt = _attempt({**fitting, project: graph}, make)
        if isinstance(attempt, TransformError):
            errors[project] = attempt
        else:
            fitting[project], best = graph, attempt
    return Fitting(*best, errors)


def _attempt(
    graphs: Mapping[str, Graph], make: Callable[[Graph], _T]
) -> tuple[Graph, _T] | TransformError:
    try:
        graph = Graph.combine(graphs.values())
        return graph, make(graph)
    except TransformError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever Dagster raises of what it is given
        return TranslationError(f"Dagster does not take it: {type(error).__name__}: {error}")
