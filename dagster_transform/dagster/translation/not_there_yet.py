"""What assets say of themselves as long as their environment does not have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dagster as dg

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster.translation.specs import Translation
from dagster_transform.graph import Graph, Presence

_PLANNED_BY_A_RUN = (
    "**Environment {environment} does not have it yet.** *Materialize* plans and builds it "
    "(`plan: auto`)."
)
_PLANNED_BY_PEOPLE = (
    "**Environment {environment} does not have it yet**, so no run builds it: apply a plan. Launch "
    "the job `{project}_plan`: it explains the plan, and what applies it; or run "
    "`sqlmesh plan {environment}` in the project's folder."
)


def with_what_is_not_there_yet(
    made: Translation, graph: Graph, config: TransformConfig
) -> Translation:
    """A graph in Dagster's terms, in which the description of each node that the environment did
    not have when the graph file was written begins with that, and with what to press: nothing else
    tells it from one that nobody has materialised yet.

    Args:
        made: The graph in Dagster's terms.
        graph: The graph.
        config: Which environments the projects have, and who plans them.
    """
    said: dict[dg.AssetKey, str] = {}
    for node in graph.nodes.values():
        project = config.projects.get(node.project)
        if node.presence is Presence.ABSENT and isinstance(project, SqlmeshProject):
            text = _PLANNED_BY_A_RUN if project.plan == "auto" else _PLANNED_BY_PEOPLE
            said[made.keys.assets[node.id]] = text.format(
                environment=project.environment, project=node.project
            )
    if not said:
        return made
    specs = {name: _beginning_with(spec, said.get) for name, spec in made.specs.items()}
    return replace(made, specs=specs)


def _beginning_with(spec: dg.AssetSpec, said: Callable[[dg.AssetKey], str | None]) -> dg.AssetSpec:
    text = said(spec.key)
    if text is None:
        return spec
    return spec.replace_attributes(description="\n\n".join(filter(None, [text, spec.description])))
