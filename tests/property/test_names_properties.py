"""Whatever nodes, groups, tags, owners, sources and checks are called, the location loads."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_transform import TransformResource, load_config
from dagster_transform.dagster.definitions.assets import build_transform_assets
from dagster_transform.graph import Check, Graph, Node, Relation, Source

ODD = [
    "a",
    "a b",
    "a_b",
    "a$b",
    "a/b",
    'a"b',
    "A",
    "ü",
    "🐘",
    "type",
    "class",
    ".",
    "-",
    "_",
    "[",
    "\\",
]
NAMES = st.sampled_from(ODD) | st.text(
    st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=8
)
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A chain of nodes of both frameworks, with sources and checks, of any names."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=7, unique=True))
    first = draw(st.integers(0, len(keys) - 1))
    sources, nodes, checks = [], [], []
    above: list[str] = []
    for number, key in enumerate(keys):
        relation = Relation("duckdb:/w", None, "s", f"t{number}")
        reads = tuple(draw(st.sets(st.sampled_from(above)))) if above else ()
        if number < first:
            sources.append(Source(f"p:{number}", "p", f"source.p.{number}", "s", relation, key=key))
        else:
            of_dbt = draw(st.booleans())
            quoted = ".".join('"' + part.replace('"', '""') + '"' for part in key)
            nodes.append(
                Node(
                    f"p:{number}", "p", "dbt" if of_dbt else "sqlmesh",
                    f"model.p.{number}" if of_dbt else quoted, draw(NAMES), "table", relation,
                    key=key if of_dbt else (), deps=tuple(sorted(reads)),
                    group=draw(st.none() | NAMES), tags=tuple(draw(st.lists(NAMES, max_size=3))),
                    owners=tuple(draw(st.lists(NAMES, max_size=2))),
                    properties={"adapter": "duckdb"},
                )
            )  # fmt: skip
        checks += [
            Check(
                f"p:{number}:{name}", "p", name, f"p:{number}", kind="test",
                also=tuple(sorted(reads)), blocking=draw(st.booleans()),
            )
            for name in sorted(draw(st.sets(NAMES, max_size=2)))
        ]  # fmt: skip
        above.append(f"p:{number}")
    return Graph.of(nodes, sources, checks)


@given(graphs())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_loads_and_keys_are_as_they_are_spelled(graph: Graph) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        (Path(folder) / "p").mkdir()
        text = "projects: {p: {framework: sqlmesh, path: p}}"
        (Path(folder) / "transform.yaml").write_text(text, encoding="utf-8")
        assets = build_transform_assets(graph, load_config(folder))
        definitions = dg.Definitions(assets=[assets], resources={"transform": TransformResource()})
        repository = definitions.get_repository_def()
        repository.load_all_definitions()
    found = repository.asset_graph
    spelled = {
        node.id: node.key or tuple(part.replace('""', '"') for part in _parts(node.reference))
        for node in graph.nodes.values()
    } | {source.id: source.key for source in graph.sources.values()}
    assert {tuple(key.path) for key in found.materializable_asset_keys} == {
        spelled[node] for node in graph.nodes
    }
    for node in graph.nodes.values():
        parents = found.get(dg.AssetKey(list(spelled[node.id]))).parent_keys
        assert {tuple(key.path) for key in parents} == {spelled[dep] for dep in node.deps}
    assert {(tuple(key.asset_key.path), key.name) for key in found.asset_check_keys} == {
        (spelled[check.target], check.name) for check in graph.checks.values()
    }
    groups = {
        (node.group, found.get(dg.AssetKey(list(spelled[node.id]))).group_name)
        for node in graph.nodes.values()
        if node.group
    }
    assert len({name for _, name in groups}) == len({called for called, _ in groups})
    # Every part of it can be a job.
    for node in graph.nodes:
        key = dg.AssetKey(list(spelled[node]))
        definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={key})


def _parts(reference: str) -> list[str]:
    return re.findall(r'"((?:[^"]|"")*)"', reference)
