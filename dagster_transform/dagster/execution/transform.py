"""What our op works with: known when definitions load, long before a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.translation.keys import Keys
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph

if TYPE_CHECKING:  # what only a run needs is not imported where definitions load
    from dagster_transform.dbt import SpareProcess
    from dagster_transform.runs.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class Transform:
    """What our op works with.

    Attributes:
        graph: The combined graph.
        config: Where the projects are.
        keys: Keys of the graph.
        translator: How nodes look in Dagster.
        spare: A dbt process that was started early for the run that this process was started for.
        unreadable: What can't be read, by project.
    """

    graph: Graph
    config: TransformConfig
    keys: Keys
    translator: TransformTranslator
    spare: SpareProcess | None = None
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)
