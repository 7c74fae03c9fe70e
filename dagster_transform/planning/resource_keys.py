"""What claims exclude on, as keys that every package makes and reads here."""

from __future__ import annotations

from enum import Enum

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node, Relation


class ResourceKind(str, Enum):
    """What a resource key names."""

    TABLE = "table"
    """A physical table: `table:<connection identity>/<catalog>.<schema>.<table>`."""
    FILE = "file"
    """A DuckDB file, by its resolved path."""
    ENVIRONMENT = "environment"
    """A SQLMesh environment, by where its state is: `environment:<state>/<name>`."""
    TAG = "tag"
    """A concurrency tag, by its name in transform.yaml."""
    CONNECTIONS = "connections"
    """The connections to a database, by its connection identity."""


class ResourceKeyError(TransformError):
    """A text is no resource key.

    Attributes:
        text: What was read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        known = ", ".join(f"{kind.value}:..." for kind in ResourceKind)
        super().__init__(f"{text!r} is no resource key.", remedy=f"Write one of {known}.")


class ResourceKey(str):
    """The key of a resource, as it is stored and shown: `<kind>:<name>`.

    Made by the constructors below, or read by `parse`; the claims store takes back what it has
    stored without looking at it.
    """

    __slots__ = ()

    @classmethod
    def table(cls, relation: Relation) -> ResourceKey:
        """The key of a physical table: a claim key."""
        return cls(f"{ResourceKind.TABLE.value}:{relation.connection}/{relation}")

    @classmethod
    def file(cls, path: str) -> ResourceKey:
        """The key of a DuckDB file.

        Args:
            path: Resolved.
        """
        return cls(f"{ResourceKind.FILE.value}:{path}")

    @classmethod
    def environment(cls, state: str, name: str) -> ResourceKey:
        """The key of a SQLMesh environment.

        Args:
            state: The connection identity of the state's database, a slash, and its schema.
            name: The environment's name.
        """
        return cls(f"{ResourceKind.ENVIRONMENT.value}:{state}/{name}")

    @classmethod
    def tag(cls, name: str) -> ResourceKey:
        """The key of a concurrency tag."""
        return cls(f"{ResourceKind.TAG.value}:{name}")

    @classmethod
    def connections(cls, identity: ConnectionIdentity) -> ResourceKey:
        """The key of the connections to a database."""
        return cls(f"{ResourceKind.CONNECTIONS.value}:{identity}")

    @classmethod
    def parse(cls, text: str) -> ResourceKey:
        """The key that a text is.

        Raises:
            ResourceKeyError: It has no kind, or no name.
        """
        kind, _, name = text.partition(":")
        if not name or kind not in {known.value for known in ResourceKind}:
            raise ResourceKeyError(text)
        return cls(text)

    @property
    def kind(self) -> ResourceKind:
        """What it names."""
        return ResourceKind(self.partition(":")[0])

    @property
    def name(self) -> str:
        """What it names, without the kind."""
        return self.partition(":")[2]


def table_of(node: Node) -> ResourceKey | None:
    """The table that building a node writes now; None: that is not known, for its files differ from
    the environment."""
    table = node.physical if node.framework == "sqlmesh" else node.relation
    return None if table is None else ResourceKey.table(table)
