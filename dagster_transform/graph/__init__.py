"""The graph: what there is to build and to check, framework-neutral, and the file that holds it."""

from __future__ import annotations

from dagster_transform.graph.drift import Drift
from dagster_transform.graph.errors import (
    CycleError,
    DanglingDependencyError,
    DuplicateIdError,
    DuplicateRelationError,
    GraphError,
    GraphFileError,
    SelectionError,
    SourceFileError,
    UnknownIdError,
)
from dagster_transform.graph.graph import Graph
from dagster_transform.graph.graph_file import (
    FORMAT_VERSION,
    GraphFile,
    nodes_left,
    read_graph_file,
    write_graph_file,
    write_graph_text,
)
from dagster_transform.graph.ids import (
    CheckId,
    InputId,
    NodeId,
    PromotionId,
    SourceId,
    UnitId,
    check_id,
    node_id,
    promotion_id,
    source_id,
)
from dagster_transform.graph.names import (
    default_key,
    name_of_key,
    name_of_reference,
    named_by_keys,
    names_by_reference,
    names_of,
)
from dagster_transform.graph.nodes import (
    RAW_CODE,
    Check,
    Column,
    Location,
    Node,
    Position,
    Presence,
    Relation,
    Source,
    When,
)
from dagster_transform.graph.selection import NodeFinder, select, terms_of
from dagster_transform.graph.source_files import SourceFile, difference, fingerprint
from dagster_transform.graph.source_keys import SourceNameError, same_key, with_keys
from dagster_transform.graph.staleness import why_stale

__all__ = [
    "FORMAT_VERSION",
    "RAW_CODE",
    "Check",
    "CheckId",
    "Column",
    "CycleError",
    "DanglingDependencyError",
    "Drift",
    "DuplicateIdError",
    "DuplicateRelationError",
    "Graph",
    "GraphError",
    "GraphFile",
    "GraphFileError",
    "InputId",
    "Location",
    "Node",
    "NodeFinder",
    "NodeId",
    "Position",
    "Presence",
    "PromotionId",
    "Relation",
    "SelectionError",
    "Source",
    "SourceFile",
    "SourceFileError",
    "SourceId",
    "SourceNameError",
    "UnitId",
    "UnknownIdError",
    "When",
    "check_id",
    "default_key",
    "difference",
    "fingerprint",
    "name_of_key",
    "name_of_reference",
    "named_by_keys",
    "names_by_reference",
    "names_of",
    "node_id",
    "nodes_left",
    "promotion_id",
    "read_graph_file",
    "same_key",
    "select",
    "source_id",
    "terms_of",
    "why_stale",
    "with_keys",
    "write_graph_file",
    "write_graph_text",
]
