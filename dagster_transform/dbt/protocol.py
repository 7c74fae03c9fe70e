"""What a run and its dbt process say to each other: one JSON object on each line.

The run sends orders, the process sends news. Both are frozen values. A line that is not one of
them is an error that says what is wrong with it; nothing is guessed and nothing is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from dagster_transform.dbt.errors import DbtError
from dagster_transform.dbt.unique_ids import UniqueId

VERSION = 6
"""Of the messages below. Both sides say theirs first: a package that was upgraded in mid-run would
else start a process that speaks otherwise."""


class ProtocolError(DbtError):
    """A run and its dbt process do not understand each other."""


# -- orders: from the run to the process ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The first order: load the project, and wait.

    Attributes:
        arguments: Of `dbt build`.
        folder: The project's folder; dbt works in it.
        backend_name: What the process calls its backends on a database server
            (`backends.new_name`).
        grace: Seconds that the process takes to end by itself once it was interrupted.
        measures: What it finds out of each relation when that is built: `row_counts`, `columns`,
            `column_lineage`.
        sample_rows: How many of the rows that a test finds wrong it reads.
    """

    arguments: tuple[str, ...]
    folder: str
    backend_name: str
    grace: float
    measures: tuple[str, ...] = ()
    sample_rows: int = 0
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Open:
    """Connect, carry out the on-run-start hooks, and hand out nodes from then on.

    Attributes:
        nodes: dbt's unique ids of all that the run may start.
    """

    nodes: tuple[UniqueId, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Do a node. Answered by exactly one `Result` of the same token.

    Attributes:
        refresh: Whether others may have made or dropped its relation since the process looked.
    """

    token: int
    node: UniqueId
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """End what was started with this token. It is still answered by its `Result`."""

    token: int


@dataclass(frozen=True, slots=True)
class MayBuild:
    """The answer to a `Connected`, by its number: whether the node is still the run's to build."""

    number: int
    allowed: bool


@dataclass(frozen=True, slots=True)
class CloseFiles:
    """Close the database. Answered by `FilesClosed`."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing will be started any more: carry out the on-run-end hooks and end."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Cancel everything and end, without the on-run-end hooks."""


Order = Begin | Open | Start | Cancel | MayBuild | CloseFiles | End | Interrupt


# -- news: from the process to the run --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """The project is loaded; the database has not been touched.

    Attributes:
        connection: Where the target leads to; neither user nor password.
        threads: How many nodes it does at the same moment.
        invocation: dbt's invocation id.
        server: How to end the process's backends on the server should it be killed; empty where
            that can't be done. It holds a password: never shown.
        metadata: What the artifacts say of dbt itself (`dbt_version`, schema addresses...).
        places: What the manifest says of where the nodes and sources are (`relations.relation_of`),
            by unique id.
    """

    connection: Mapping[str, Any]
    threads: int
    invocation: str
    server: Mapping[str, Any] = field(repr=False)
    metadata: Mapping[str, Any]
    places: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Ready:
    """Connected, and the on-run-start hooks were carried out.

    Attributes:
        missing: Those of the opened nodes that the project does not have.
        excluded: Those whose type dbt is told to leave out (`--exclude-resource-types`).
    """

    missing: tuple[UniqueId, ...]
    excluded: tuple[UniqueId, ...] = ()


@dataclass(frozen=True, slots=True)
class Connected:
    """A node that was started with this token, and that builds, has got a connection. Before it
    executes anything on that it waits for `MayBuild` of the same number.

    Whoever takes over the run's claims ends the connections that there are by then; a process that
    was stopped before it connected would build beside them.
    """

    token: int
    number: int


@dataclass(frozen=True, slots=True)
class Made:
    """The database has committed what was started with this token; its end is still to come."""

    token: int


@dataclass(frozen=True, slots=True)
class BatchDone:
    """A batch of a microbatch model has ended, well or not.

    Attributes:
        done: How many have by now.
        total: How many there are.
        batch: Which one, in dbt's words: `2024-03-01`.
    """

    token: int
    done: int
    total: int
    batch: str


@dataclass(frozen=True, slots=True)
class Result:
    """How what was started with this token has ended.

    Attributes:
        status: dbt's word: `success`, `error`, `pass`, `warn`, `fail`, `partial success`...
        message: In dbt's words; "" if it has nothing to say.
        seconds: Wall time.
        cancelled: Whether the run had cancelled it. What dbt then says of it is an error.
        made: Whether the database has committed its relation, whatever came after that.
        transient: Whether trying again may help.
        rows: Rows written, where the adapter says so.
        failures: Rows that a test found, or None.
        relation: Quoted name of the relation it wrote, or None.
        query_id: The engine's id of its main query, or None.
        query: A test's SQL, or None.
        sample: Some of the rows that it found wrong (`databases.samples`).
        batches: Of a microbatch model: how many succeeded and how many were to be done.
        artifact: Its entry in run_results.json or sources.json.
        measured_follows: Whether `Measured` of the same token follows.
        unwritable: Whether it failed because dbt could not write a file.
    """

    # More than twelve attributes: a message that says all of one result, flat as a line of JSON.
    token: int
    status: str
    message: str = ""
    seconds: float = 0.0
    cancelled: bool = False
    made: bool = False
    transient: bool = False
    rows: int | None = None
    failures: int | None = None
    relation: str | None = None
    query_id: str | None = None
    query: str | None = None
    sample: tuple[Mapping[str, Any], ...] = ()
    batches: tuple[int, int] | None = None
    artifact: Mapping[str, Any] = field(default_factory=dict)
    measured_follows: bool = False
    unwritable: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out of the relation that was built with this token.

    Attributes:
        rows: How many rows it has; None: not asked for, or not known.
        columns: Its columns' types by name, in its order; likewise empty.
        lineage: What its columns are computed from, by name: lists of two, the unique id of a node
            or source and a column there. Likewise empty; columns that are computed from no column,
            and those of which that is not certain, are omitted.
        reads: What the manifest says of where those are (`relations.relation_of`), by unique id.
        problem: Why something is not known that was asked for; or "".
    """

    token: int
    rows: int | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FilesClosed:
    """The database is closed; the next start opens it again."""


@dataclass(frozen=True, slots=True)
class Log:
    """Something worth reading: `level` is `info`, `warn` or `error`."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last news: the invocation is over.

    Attributes:
        asked: Whether the run had ordered it to end.
        reason: Why it is over, if the run had not, or something went wrong in it; else "".
        hooks: on-run-start and on-run-end hooks that failed, with dbt's message.
        fault: What is wrong with the project, where it could not be loaded: the kind of
            `faults.Fault`; else "".
        place: The file at fault; or "".
    """

    asked: bool
    reason: str = ""
    hooks: tuple[str, ...] = ()
    fault: str = ""
    place: str = ""


News = Loaded | Ready | Connected | Made | BatchDone | Result | Measured | FilesClosed | Log | Ended

_ORDERS: Mapping[str, type] = {
    "begin": Begin,
    "open": Open,
    "start": Start,
    "cancel": Cancel,
    "may_build": MayBuild,
    "close_files": CloseFiles,
    "end": End,
    "interrupt": Interrupt,
}
_NEWS: Mapping[str, type] = {
    "loaded": Loaded,
    "ready": Ready,
    "connected": Connected,
    "made": Made,
    "batch_done": BatchDone,
    "result": Result,
    "measured": Measured,
    "files_closed": FilesClosed,
    "log": Log,
    "ended": Ended,
}
_NAMES = {kind: name for kinds in (_ORDERS, _NEWS) for name, kind in kinds.items()}


# -- lines ------------------------------------------------------------------------------------


def encode(message: Order | News) -> bytes:
    """A message as a line. What JSON does not know (a decimal, a date) becomes text."""
    content = {f.name: getattr(message, f.name) for f in fields(message)}
    line = json.dumps({"is": _NAMES[type(message)], **content}, default=str)
    return line.encode("ascii") + b"\n"


def decode_order(line: bytes) -> Order:
    """The order in a line. Raises ProtocolError."""
    order: Order = _decode(line, _ORDERS, "order")
    return order


def decode_news(line: bytes) -> News:
    """The news in a line. Raises ProtocolError."""
    news: News = _decode(line, _NEWS, "news")
    return news


def _decode(line: bytes, kinds: Mapping[str, type], what: str) -> Any:
    try:
        content = json.loads(line)
    except ValueError:
        raise ProtocolError(f"Not a message: {_shortened(line)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("is"), str):
        raise ProtocolError(f"Not a message: {_shortened(line)}")
    name = content.pop("is")
    if name not in kinds:
        raise ProtocolError(f"Unknown {what} {name!r}; known: {', '.join(kinds)}.")
    kind = kinds[name]
    # Before anything else: where the versions differ, the rest may look like anything.
    if any(f.name == "version" for f in fields(kind)) and content.get("version") != VERSION:
        raise ProtocolError(
            f"The other side speaks version {content.get('version')!r}, this one {VERSION}.",
            remedy="The package was changed while a run went on: run again.",
        )
    given = {}
    for f in fields(kind):
        if f.name in content:
            given[f.name] = _read(name, f.name, str(f.type), content.pop(f.name))
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ProtocolError(f"{name}: {f.name} is missing.")
    if content:
        raise ProtocolError(f"{name}: unknown {', '.join(sorted(content))}.")
    return kind(**given)


def _read(message: str, name: str, declared: str, value: Any) -> Any:
    if not _FITS[declared](value):
        raise ProtocolError(f"{message}: {name} must be {declared}, not {_shortened(value)}.")
    return tuple(value) if isinstance(value, list) else value


def _is(*types: type) -> Callable[[Any], bool]:
    # JSON's true is no number, although Python's bool is an int.
    return lambda value: isinstance(value, types) and (bool in types or type(value) is not bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_NONE = type(None)
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "bool": _is(bool),
    "int": _is(int),
    "float": _is(int, float),
    "str": _is(str),
    "UniqueId": _is(str),
    "int | None": _is(int, _NONE),
    "str | None": _is(str, _NONE),
    "Mapping[str, Any]": _is(dict),
    "tuple[str, ...]": _is_texts,
    "tuple[Mapping[str, Any], ...]": lambda v: (
        isinstance(v, list) and all(isinstance(item, dict) for item in v)
    ),
    "tuple[UniqueId, ...]": _is_texts,
    "tuple[int, int] | None": lambda v: (
        v is None or (isinstance(v, list) and [type(i) for i in v] == [int, int])
    ),
}
"""Whether a JSON value fits what a field is declared as."""


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
