from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_transform.graph import (
    Check,
    Column,
    CycleError,
    Drift,
    Graph,
    GraphFile,
    Location,
    Node,
    Presence,
    Relation,
    Source,
    SourceFile,
    read_graph_file,
    select,
    write_graph_file,
)

PROJECTS = ("a", "b", "c")
# All of Unicode that UTF-8 can hold, and what JSON and SQL quote.
TEXT = st.text(max_size=8)
MAYBE_TEXT = st.none() | TEXT
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
COLUMNS = st.lists(st.builds(Column, TEXT, TEXT, MAYBE_TEXT), max_size=4).map(tuple)
DRIFTS = st.builds(Drift, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
LOCATIONS = st.none() | st.builds(Location, TEXT, st.integers(1, 10**6))
PROPERTIES = st.dictionaries(TEXT, TEXT, max_size=2)


@st.composite
def linked_nodes(draw: st.DrawFn) -> list[Node]:
    """Nodes of three projects that depend on each other, also across projects, without a cycle."""
    count = draw(st.integers(0, 12))
    # Ids say nothing about the order, so that it can't be right by accident.
    labels = draw(st.permutations(range(count)))
    nodes: list[Node] = []
    for label in labels:
        deps = draw(st.lists(st.sampled_from(nodes), unique_by=id, max_size=4)) if nodes else []
        project = draw(st.sampled_from(PROJECTS))
        nodes.append(
            Node(
                id=f"{project}:n{label:02}",
                project=project,
                framework=draw(st.sampled_from(("sqlmesh", "dbt"))),
                reference=f"n{label:02}",
                name=f"n{label:02}",
                kind="FULL",
                relation=Relation("duckdb:/x", None, "main", f"t{label}"),
                deps=tuple(dep.id for dep in deps),
            )
        )
    return nodes


def computed_columns(deps: tuple[str, ...]) -> st.SearchStrategy[tuple[Column, ...]]:
    """Columns of a node that may be computed from columns of its dependencies."""
    if not deps:
        return COLUMNS
    sources = st.lists(st.tuples(st.integers(0, len(deps) - 1), TEXT), max_size=3).map(tuple)
    columns = st.builds(Column, TEXT, TEXT, MAYBE_TEXT, sources)
    return st.lists(columns, max_size=4).map(tuple)


@st.composite
def full_graphs(draw: st.DrawFn) -> Graph:
    """A graph in which everything that can be set is."""
    nodes = [
        replace(
            node,
            kind=draw(TEXT),
            key=draw(TEXTS),
            physical=draw(st.none() | st.builds(Relation, TEXT, MAYBE_TEXT, MAYBE_TEXT, TEXT)),
            cron=draw(MAYBE_TEXT),
            time_zone=draw(MAYBE_TEXT),
            interval_unit=draw(MAYBE_TEXT),
            group=draw(MAYBE_TEXT),
            tags=draw(TEXTS),
            owners=draw(TEXTS),
            description=draw(MAYBE_TEXT),
            columns=draw(computed_columns(node.deps)),
            code_version=draw(MAYBE_TEXT),
            location=draw(LOCATIONS),
            presence=draw(st.sampled_from(Presence)),
            properties=draw(PROPERTIES),
        )
        for node in draw(linked_nodes())
    ]
    sources = [
        Source(
            id=f"a:s{place}",
            project="a",
            reference=draw(TEXT),
            name=draw(TEXT),
            relation=Relation("duckdb:/x", draw(MAYBE_TEXT), None, f"s{place}"),
            description=draw(MAYBE_TEXT),
            columns=draw(COLUMNS),
            key=draw(TEXTS),
        )
        for place in range(draw(st.integers(0, 3)))
    ]
    targets = [*(node.id for node in nodes), *(source.id for source in sources)]
    checks = [
        Check(
            id=f"c{place}",
            project="a",
            name=draw(TEXT),
            target=draw(st.sampled_from(targets)),
            also=tuple(draw(st.lists(st.sampled_from(targets), max_size=2))),
            kind=draw(TEXT),
            reference=draw(TEXT),
            blocking=draw(st.booleans()),
            in_build=draw(st.booleans()),
            description=draw(MAYBE_TEXT),
            location=draw(LOCATIONS),
            properties=draw(PROPERTIES),
        )
        for place in range(draw(st.integers(0, 3)) if targets else 0)
    ]
    return Graph.of(nodes, sources, checks)


GRAPH_FILES = st.builds(
    GraphFile,
    graph=full_graphs(),
    project=TEXT,
    environment=MAYBE_TEXT,
    plan_id=MAYBE_TEXT,
    drift=DRIFTS,
    written_by=PROPERTIES,
    sources_digest=st.dictionaries(
        TEXT, st.builds(SourceFile, st.integers(0), st.integers(0, 2**63), TEXT), max_size=3
    ),
)


@given(linked_nodes(), st.randoms())
def test_order_has_every_node_once_and_after_its_dependencies(nodes: list[Node], random) -> None:  # type: ignore[no-untyped-def]
    graph = Graph.of(nodes)
    place = {id: place for place, id in enumerate(graph.order)}
    assert sorted(graph.order) == sorted(node.id for node in nodes)
    assert all(place[dep] < place[node.id] for node in nodes for dep in node.deps)
    random.shuffle(nodes)
    assert Graph.of(nodes).order == graph.order


@given(linked_nodes())
def test_the_order_is_the_smallest_one(nodes: list[Node]) -> None:
    graph = Graph.of(nodes)
    done: set[str] = set()
    for id in graph.order:
        ready = [n.id for n in nodes if n.id not in done and done.issuperset(n.deps)]
        assert id == min(ready)
        done.add(id)


@given(linked_nodes())
def test_closures_are_the_steps_repeated_and_mirror_each_other(nodes: list[Node]) -> None:
    graph = Graph.of(nodes)
    above = {id: graph.ancestors([id]) for id in graph.nodes}
    for id in graph.nodes:
        step = graph.upstream(id)
        assert above[id] == frozenset(step).union(*(above[dep] for dep in step))
        assert graph.descendants([id]) == {other for other in above if id in above[other]}


@given(linked_nodes(), st.data())
def test_closing_a_circle_is_a_cycle_error(nodes: list[Node], data: st.DataObject) -> None:
    graph = Graph.of(nodes)
    if not nodes:
        return
    below = data.draw(st.sampled_from(nodes))
    above = data.draw(st.sampled_from(sorted({below.id, *graph.ancestors([below.id])})))
    changed = {
        node.id: replace(node, deps=(*node.deps, below.id)) if node.id == above else node
        for node in nodes
    }
    try:
        Graph.of(changed.values())
    except CycleError as error:
        cycle = error.cycle
        assert cycle[0] == cycle[-1] == min(cycle)
        assert len(set(cycle)) == len(cycle) - 1
        assert all(first in changed[second].deps for first, second in pairwise(cycle))
    else:
        raise AssertionError("no CycleError")


@given(linked_nodes(), st.randoms())
def test_combining_projects_is_the_graph_linked_by_hand(nodes: list[Node], random) -> None:  # type: ignore[no-untyped-def]
    by_id = {node.id: node for node in nodes}
    parts: list[Graph] = []
    for project in PROJECTS:
        own = [node for node in nodes if node.project == project]
        foreign = {dep for node in own for dep in node.deps if by_id[dep].project != project}
        # What a project reads of another one is a source to it, of the same relation.
        sources = [
            Source(f"{project}:from:{dep}", project, dep, dep, by_id[dep].relation)
            for dep in sorted(foreign)
        ]
        cut = [
            replace(
                node,
                deps=tuple(f"{project}:from:{d}" if d in foreign else d for d in node.deps),
            )
            for node in own
        ]
        checks = [Check(f"{s.id}:c_{project}", project, f"c_{project}", s.id) for s in sources]
        parts.append(Graph.of(cut, sources, checks))
    expected_checks = [
        replace(
            check,
            id=f"{part.sources[check.target].reference}:{check.name}",
            target=part.sources[check.target].reference,
        )
        for part in parts
        for check in part.checks.values()
    ]
    expected = Graph.of(nodes, (), expected_checks)
    random.shuffle(parts)
    combined = Graph.combine(parts)
    assert combined == expected
    assert combined.order == expected.order
    assert Graph.combine([combined]) == combined
    assert Graph.combine([Graph.combine(parts[:2]), parts[2]]) == combined


@pytest.mark.slow
@settings(deadline=None)
@given(GRAPH_FILES)
def test_a_graph_file_is_read_as_it_was_written(graph_file: GraphFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.json"
        write_graph_file(path, graph_file)
        content = path.read_bytes()
        read = read_graph_file(path)
        assert read == graph_file
        assert read.graph.order == graph_file.graph.order
        write_graph_file(path, read)
        assert path.read_bytes() == content


@given(linked_nodes(), st.data())
def test_a_plus_selects_the_closure(nodes: list[Node], data: st.DataObject) -> None:
    graph = Graph.of(nodes)
    if not nodes:
        return
    id = data.draw(st.sampled_from(nodes)).id
    assert select(graph, id) == {id}
    assert select(graph, f"+{id}") == {id, *graph.ancestors([id])}
    assert select(graph, f"{id}+") == {id, *graph.descendants([id])}
