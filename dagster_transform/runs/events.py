"""What became of nodes and checks in a run, for whoever stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dagster_transform.claims import RunId
from dagster_transform.graph import InputId, NodeId
from dagster_transform.planning import Outcome
from dagster_transform.walk import CheckResult, Report


@dataclass(frozen=True, slots=True)
class NodeBuilt:
    """A node is settled: its relation was built, and readers see it.

    Attributes:
        node: Its id.
        report: What is known of the build.
        held_back: Why nothing downstream may go on from it, although it was built; or "".
    """

    node: NodeId
    report: Report
    held_back: str = ""


@dataclass(frozen=True, slots=True)
class NodeObserved:
    """A node was not built, or is not seen by readers yet.

    Attributes:
        node: Its id.
        outcome: What it is instead.
        reason: In words.
        report: What is known of an attempt to build it; None if there was none.
        holder: The run that holds what it did not get; None where there is none.
    """

    node: NodeId
    outcome: Outcome
    reason: str
    report: Report | None = None
    holder: RunId | None = None


@dataclass(frozen=True, slots=True)
class NodesUpToDate:
    """These nodes were selected and have nothing to be built: one event for all of them."""

    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class NodesSynced:
    """Nodes were built without anybody having recorded it here, as their projects' state says.

    Attributes:
        built_at: When each was built, aware.
    """

    built_at: Mapping[NodeId, datetime]


@dataclass(frozen=True, slots=True)
class NodePassed:
    """A node was up to date: what reads it may go on. Comes after those above it, and before what
    reads it."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class ChecksBegin:
    """A run that builds nothing begins with its checks.

    Attributes:
        judged: What they judge and nobody else can build any more until they have.
    """

    judged: frozenset[InputId]


@dataclass(frozen=True, slots=True)
class CheckEvaluated:
    """A check ran.

    Attributes:
        result: What it found.
        seen: Whether readers see what it judged; a plan may not have promoted it.
    """

    result: CheckResult
    seen: bool = True


RunEvent = (
    NodeBuilt
    | NodeObserved
    | NodesUpToDate
    | NodesSynced
    | NodePassed
    | ChecksBegin
    | CheckEvaluated
)
