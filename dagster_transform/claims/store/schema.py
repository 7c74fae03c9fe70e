"""The tables, for SQLite and PostgreSQL alike, and how they come to be.

Times are seconds since 1970 by the database's clock. There are no foreign keys: every statement
that touches a claim's leases has its row of `batch` locked, and checking a key for each of a
thousand leases costs more than it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)

from dagster_transform.claims.errors import StoreVersionError

PREFIX = "dagster_transform_"
VERSION = 3

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself there
_Seconds = Float(53)

version = Table(
    f"{PREFIX}claims_version",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

resource = Table(
    f"{PREFIX}resource",
    metadata,
    Column("resource_key", Text, primary_key=True),
    Column("capacity", Integer, CheckConstraint("capacity > 0"), nullable=False),
    # Rows are never deleted: a fence never starts again.
    Column("last_fence", BigInteger, nullable=False),
)

batch = Table(
    f"{PREFIX}batch",
    metadata,
    Column("claim_id", Text, primary_key=True),
    Column("owner_kind", Text, nullable=False),
    Column("run_id", Text, nullable=False, index=True),
    Column("root_run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("acquired_at", _Seconds, nullable=False),
    Column("expires_at", _Seconds, index=True),  # null: until it is released
)

lease = Table(
    f"{PREFIX}lease",
    metadata,
    Column("resource_key", Text, primary_key=True),
    Column("claim_id", Text, primary_key=True, index=True),
    Column("weight", Integer, CheckConstraint("weight > 0"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("since", _Seconds, nullable=False),
    # The backends in which its holder builds. The column's name is from when they were called
    # sessions: no database needs a migration for a word.
    Column("session", Text, key="builds_in"),
    # Backends of expired leases that this one replaced. In both columns they have spaces between.
    Column("to_end", Text, nullable=False),
    UniqueConstraint("resource_key", "fence"),
)

waiter = Table(
    f"{PREFIX}waiter",
    metadata,
    Column("resource_key", Text, primary_key=True),
    Column("claim_id", Text, primary_key=True, index=True),
    Column("weight", Integer, nullable=False),
    Column("ticket", BigInteger, nullable=False),
    Column("owner_kind", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("root_run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("since", _Seconds, nullable=False),
    Column("seen_until", _Seconds, nullable=False),
)

event = Table(
    f"{PREFIX}event",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", _Seconds, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("resource_key", Text),
    Column("claim_id", Text, nullable=False),
    Column("fence", BigInteger),
    Column("weight", Integer),
    Column("capacity", Integer),
    Column("until", _Seconds),
    # Ids are tickets: none is given twice, also after pruning.
    sqlite_autoincrement=True,
)

pending = Table(
    f"{PREFIX}pending",
    metadata,
    Column("job_group", Text, primary_key=True),
    Column("tick", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", _Seconds, nullable=False),
    Column("launched_run_id", Text),
    Column("recovery", Text),  # JSON: what has to recover first; null: nothing
    Index(f"{PREFIX}pending_since", "since"),
)

told = Table(
    f"{PREFIX}told",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("since", _Seconds, nullable=False),
    Column("told_at", _Seconds),  # null: it is noted, and nobody has been told of it
    Column("taken_by", Text),  # the run that is about to tell
    Column("taken_at", _Seconds),
)

Upgrade = Callable[[Connection], None]


def _add_recovery(connection: Connection) -> None:
    connection.execute(text(f"ALTER TABLE {pending.name} ADD COLUMN recovery TEXT"))


UPGRADES: Mapping[int, Sequence[Upgrade]] = {1: [told.create], 2: [_add_recovery]}
"""What takes the tables of a version to the next one."""


def current_version(connection: Connection) -> int | None:
    """The version of the tables in a database; None if there are none."""
    if not inspect(connection).has_table(version.name):
        return None
    return connection.scalar(select(version.c.version))


def create_or_upgrade(connection: Connection, url: str) -> None:
    """Make the tables, or bring them to this version, in one transaction.

    The caller holds a lock that lets one process at a time do this.

    Raises:
        StoreVersionError: A newer version made them.
    """
    found = current_version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(insert(version).values(one=1, version=VERSION))
        return
    if found > VERSION:
        raise StoreVersionError(url, found, VERSION)
    for step in range(found, VERSION):
        for upgrade in UPGRADES[step]:
            upgrade(connection)
    if found < VERSION:
        connection.execute(update(version).values(version=VERSION))
