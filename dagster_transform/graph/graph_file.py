"""The graph file: a graph and where it comes from, as JSON that loads without any framework."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster_transform.graph.drift import Drift
from dagster_transform.graph.errors import GraphError, GraphFileError, MissingGraphFileError
from dagster_transform.graph.graph import Graph
from dagster_transform.graph.graph_json import (
    decode_drift,
    decode_graph,
    decode_named_node,
    encode_drift,
    encode_graph,
)
from dagster_transform.graph.json_shapes import (
    ShapeError,
    known,
    text,
    text_or_none,
    texts_by_key,
)
from dagster_transform.graph.nodes import Node
from dagster_transform.graph.source_files import SourceFile
from dagster_transform.process.collector import collector_paused

FORMAT_VERSION = 4
"""Rises with every change of the format, additions too: a reader knows exactly one version."""

_KEYS = frozenset(
    {
        "format",
        "project",
        "environment",
        "plan_id",
        "drift",
        "written_by",
        "settings",
        "sources_digest",
        "columns",
        "nodes",
        "sources",
        "checks",
    }
)


@dataclass(frozen=True, slots=True)
class GraphFile:
    """What a graph file holds.

    Attributes:
        project: The project's name in transform.yaml.
        environment: The SQLMesh environment that the nodes' presence is about, or None.
        plan_id: The plan that the environment had then, or None.
        drift: How the files differed from the environment; empty where there is none.
        written_by: Versions of this package and of the frameworks, by package name.
        settings: What transform.yaml had for the project that the graph was made with, and that was
            not as it is by default: a digest of each value by its key.
        sources_digest: The files that the graph was made from, by path (see `fingerprint`).
        format_version: Always FORMAT_VERSION in a file that could be read.
    """

    graph: Graph
    project: str
    environment: str | None = None
    plan_id: str | None = None
    drift: Drift = field(default_factory=Drift)
    written_by: Mapping[str, str] = field(default_factory=dict, hash=False)
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    sources_digest: Mapping[str, SourceFile] = field(default_factory=dict, hash=False)
    format_version: int = FORMAT_VERSION


def write_graph_file(path: Path, graph_file: GraphFile) -> None:
    """Writes the file whole: readers see the old content or the new one, also after a crash.

    Folders above `path` are made. Equal values make equal bytes.

    Raises:
        GraphFileError: It could not be written; what was at `path` is unchanged.
    """
    if graph_file.format_version != FORMAT_VERSION:
        raise ValueError(f"only format {FORMAT_VERSION} can be written")
    content = json.dumps(_encode(graph_file), sort_keys=True, separators=(",", ":"))
    write_graph_text(path, content, graph_file.project)


def write_graph_text(path: Path, content: str, project: str) -> None:
    """Writes what a graph file held, as text without its end of line, whole or not at all.

    Args:
        path: Where; folders above it are made.
        content: What it held.
        project: Whose it is, for the error.

    Raises:
        GraphFileError: It could not be written; what was at `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "x", encoding="ascii", newline="\n") as file:
                file.write(content + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise GraphFileError(
            f"The graph file {path} can't be written: {error.strerror or error}",
            path=path,
            project=project,
            remedy="Make its folder writable, and see that the disk has space.",
        ) from error


def read_graph_file(path: Path, project: str | None = None) -> GraphFile:
    """The content of the graph file at `path`.

    Args:
        path: Where `write_graph_file` wrote it.
        project: The project that it must be of; None takes any.

    Raises:
        MissingGraphFileError: There is none.
        GraphFileError: The file is unreadable, damaged, of another version, of another
            project or not consistent. The remedy names the command that writes it anew.
    """

    def unusable(reason: str) -> GraphFileError:
        return GraphFileError(f"The graph file {path} {reason}", path=path, project=project)

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingGraphFileError(
            f"The graph file {path} does not exist.", path=path, project=project
        ) from None
    except OSError as error:
        raise unusable(f"can't be read: {error.strerror or error}") from error
    with collector_paused():
        return _parse(content, project, unusable)


def nodes_left(path: Path, project: str) -> list[Node]:
    """The nodes that a graph file names which can't be used, another version's say: what they are
    called, and no more. Empty where nothing of it can be read.

    Args:
        path: Where it is.
        project: The project that it must be of.
    """
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    found: list[Node] = []
    if isinstance(raw, dict) and raw.get("project") == project:
        nodes = raw.get("nodes")
        for each in nodes if isinstance(nodes, list) else ():
            with suppress(ShapeError):
                found.append(decode_named_node(each))
    return found


def _parse(
    content: bytes, project: str | None, unusable: Callable[[str], GraphFileError]
) -> GraphFile:
    try:
        raw = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise unusable(f"is damaged: {error}") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise unusable("is not a graph file: it says no format version.")
    if raw["format"] != FORMAT_VERSION or isinstance(raw["format"], bool):
        raise unusable(
            f"has format version {raw['format']!r}; this dagster-transform reads {FORMAT_VERSION}."
        )
    try:
        graph_file = _decode(raw)
    except ShapeError as error:
        raise unusable(f"is damaged: {error}") from error
    except GraphError as error:
        raise unusable(f"holds a graph that is not consistent: {error.cause}") from error
    if project is not None and graph_file.project != project:
        raise unusable(f"is of project {graph_file.project!r}, not of {project!r}.")
    return graph_file


def _encode(graph_file: GraphFile) -> dict[str, Any]:
    encoded = {
        "format": graph_file.format_version,
        "project": graph_file.project,
        "written_by": dict(graph_file.written_by),
        "settings": dict(graph_file.settings),
        "sources_digest": {
            path: [file.size, file.mtime_ns, file.sha256]
            for path, file in graph_file.sources_digest.items()
        },
        **encode_graph(graph_file.graph),
    }
    if graph_file.environment is not None:
        encoded["environment"] = graph_file.environment
    if graph_file.plan_id is not None:
        encoded["plan_id"] = graph_file.plan_id
    if graph_file.drift:
        encoded["drift"] = encode_drift(graph_file.drift)
    return encoded


def _decode(raw: dict[str, Any]) -> GraphFile:
    known(raw, _KEYS)
    return GraphFile(
        graph=decode_graph(raw),
        project=text(raw, "project"),
        environment=text_or_none(raw, "environment"),
        plan_id=text_or_none(raw, "plan_id"),
        drift=decode_drift(raw.get("drift")),
        written_by=texts_by_key(raw, "written_by"),
        settings=texts_by_key(raw, "settings"),
        sources_digest=_decode_digest(raw.get("sources_digest")),
    )


def _decode_digest(raw: Any) -> dict[str, SourceFile]:
    if type(raw) is not dict:
        raise ShapeError("sources_digest: an object is expected")
    return {path: _decode_source_file(file) for path, file in raw.items()}


def _decode_source_file(raw: Any) -> SourceFile:
    match raw:
        case [int() as size, int() as mtime_ns, str() as sha256]:
            return SourceFile(size, mtime_ns, sha256)
    raise ShapeError("sources_digest: [size, mtime_ns, sha256] are expected")
