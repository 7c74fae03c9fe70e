"""What a graph is made of: nodes, sources, checks and the relations where frameworks meet.

All of them are frozen values without behaviour of a framework. What their ids are made of is in
`ids`; the `reference` in them is the framework's own unique name: a SQLMesh fully qualified name
(`"flights"."marts"."delays"`) or a dbt unique id (`model.staging.stg_flights`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.graph.ids import CheckId, InputId, NodeId, SourceId

RAW_CODE = "raw_code"
"""The property of a node or check that has its code, as it is written."""


class When(str, Enum):
    """When a check runs, seen from a run that builds."""

    AFTER_EACH = "after_each"
    """When its target is built; a blocking one holds back what is downstream."""
    AFTER_ALL = "after_all"
    """In the same run, when nothing is left to build; it holds nothing back."""
    APART = "apart"
    """In runs that build nothing, which a job of its own or a person launches."""
    NONE = "none"
    """Only where somebody selects it in a run that builds nothing."""


class Presence(str, Enum):
    """How a node of the files stands in the environment that its project targets."""

    EQUAL = "equal"
    """The environment has exactly this version."""
    CHANGED = "changed"
    """The environment has another version."""
    ABSENT = "absent"
    """The environment does not have the node."""
    UNKNOWN = "unknown"
    """The state could not be asked when the graph file was written."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view, normalised by its framework's package.

    Attributes:
        connection: Connection identity: the database itself (`duckdb:/data/flights.duckdb`,
            `postgres:db.example:5432/warehouse`), never a name from a configuration.
        catalog: Catalog (database) name, or None where the engine has none.
        schema: Schema name, or None where the engine has none.
        name: Table or view name.
    """

    connection: ConnectionIdentity
    catalog: str | None
    schema: str | None
    name: str

    def __str__(self) -> str:
        return ".".join(part for part in (self.catalog, self.schema, self.name) if part)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its framework declares or infers it.

    Attributes:
        type: The engine's SQL type, or "".
        sources: What a node's column is computed from, as far as its framework knows: the place of
            a dependency in the node's `deps`, and the name of a column there. Places and not ids,
            because columns that are equal but for their tables are then equal: a graph file holds
            each once.
    """

    name: str
    type: str = ""
    description: str | None = None
    sources: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Location:
    """Where a node or check is written. `path` is relative to the folder of transform.yaml where
    the file lies below it, else absolute; `line` counts from 1."""

    path: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Node:
    """Something that builds a relation: a SQLMesh model, a dbt model, seed or snapshot.

    Attributes:
        id: `<project>:<reference>`.
        project: The project's name in transform.yaml.
        framework: `sqlmesh` or `dbt`.
        reference: The framework's own unique name.
        name: The name as the framework's users write it, for instance `marts.delays`; in a run's
            graph what people call it there (see `names`).
        key: Parts of its asset key, where its framework's users are used to one that can't be
            read from the reference (dbt's); empty elsewhere.
        kind: The framework's word in capitals for SQLMesh (`FULL`, `VIEW`), else its
            materialisation (`table`, `seed`).
        relation: What readers see.
        physical: What a build writes, where the state knows it; else None.
        deps: Ids of the nodes and sources that it reads, in the framework's order, no repeats.
        cron: Five fields or an alias such as `@daily`, or None.
        time_zone: IANA name in which `cron` is meant; None is UTC.
        interval_unit: `day`, `hour`... of an incremental node's intervals, or None.
        group: Name of the group, or None.
        tags: As the framework has them, unchanged.
        owners: E-mail addresses, team names or user names, unchanged.
        code_version: Changes if and only if the node's own code changes.
        fingerprint: SQLMesh's, of the version that the files have: changes with all that makes it
            another version (its code, its cron and audits, what it reads); or None.
        presence: How the node stands in the environment.
        properties: What else is worth showing, as strings (`dialect`, `partitioned_by`...).
    """

    # More than twelve attributes: all that a graph file says of a node, so that definitions load
    # without its framework.
    id: NodeId
    project: str
    framework: str
    reference: str
    name: str
    kind: str
    relation: Relation
    key: tuple[str, ...] = ()
    physical: Relation | None = None
    deps: tuple[InputId, ...] = ()
    cron: str | None = None
    time_zone: str | None = None
    interval_unit: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    description: str | None = None
    columns: tuple[Column, ...] = ()
    code_version: str | None = None
    fingerprint: str | None = None
    location: Location | None = None
    presence: Presence = Presence.UNKNOWN
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)

    def column_lineage(self) -> dict[str, tuple[tuple[InputId, str], ...]]:
        """What each column is computed from: (id of a node or source, column there). Not in it are
        columns of which that is not known, and those that are computed from no column."""
        return {
            column.name: tuple([(self.deps[place], name) for place, name in column.sources])
            for column in self.columns
            if column.sources
        }


@dataclass(frozen=True, slots=True)
class Source:
    """A relation that nodes read and that no node of its project builds; its attributes are those
    of a Node.

    Attributes:
        key_is_default: Whether its key gives way to that of another project's source of the same
            relation.
    """

    id: SourceId
    project: str
    reference: str
    name: str
    relation: Relation
    description: str | None = None
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    key_is_default: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a check comes in a run, if not between its target and what reads that.

    Attributes:
        after: Ids of what it waits for.
        behind: Ids of what it reads through code that has no relation of its own (a dbt model that
            is ephemeral, or is not built yet): it comes where a reader of all these would.
        before: Ids of the first nodes that wait for it; what is below them does too.
    """

    after: tuple[InputId, ...] = ()
    behind: tuple[InputId, ...] = ()
    before: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """Something that judges a node or a source: an audit, a data test, a unit test.

    Attributes:
        id: `<id of the target>:<name>`.
        name: Unique on its target.
        target: Id of the node or source that it is shown on.
        also: Ids of further nodes and sources that it reads.
        kind: `audit`, `standalone_audit`, `external_audit`, `test`, `unit_test` or `freshness`.
        reference: What the framework finds it by.
        blocking: Whether its failure is one, and no warning: in band it holds something back, what
            is downstream of its target or what `position` says.
        in_build: Whether in band building the target runs it (SQLMesh's blocking audits come
            between the data and the interval's record).
        position: Where it comes; None: after all that it reads, before what is below all that.
        when: When it runs beside builds. No graph file has it: transform.yaml says it, or a run.
    """

    # More than twelve attributes: all that a graph file says of a check.
    id: CheckId
    project: str
    name: str
    target: InputId
    also: tuple[InputId, ...] = ()
    kind: str = "audit"
    reference: str = ""
    blocking: bool = True
    in_build: bool = False
    position: Position | None = None
    when: When = When.AFTER_EACH
    description: str | None = None
    location: Location | None = None
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def holds_back(self) -> bool:
        """Whether its failure holds something back."""
        return self.blocking and self.when is When.AFTER_EACH

    @property
    def holds_readers(self) -> bool:
        """Whether its failure holds back whatever reads its target."""
        return self.holds_back and (self.position is None or self.target in self.position.before)

    @property
    def runs_in_build(self) -> bool:
        """Whether building the target runs it."""
        return self.in_build and self.when is When.AFTER_EACH

    @property
    def needs_target(self) -> bool:
        """Whether its target has something to do with it; else it is only shown there."""
        position = self.position
        return position is None or self.target in (
            *position.after,
            *position.behind,
            *position.before,
        )
