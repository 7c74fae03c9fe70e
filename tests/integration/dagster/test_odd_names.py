"""Names that frameworks build and Dagster's inner names can't be: the location loads, keys are as
the framework spells them, and a run builds what the native command builds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

NOW = "2024-03-05T10:30:00+00:00"
SQLMESH = {
    "plain": 'MODEL (name mart.plain, kind FULL, tags (type, "two words", two_words));',
    "blank": 'MODEL (name mart."a b", kind FULL, audits (not_null(columns := (n))));',
    "joined": "MODEL (name mart.a_b, kind FULL);",
    "word": "MODEL (name mart.type, kind FULL, owner 'Zoë & co');",
    "schema": 'MODEL (name "my schéma"."Umsätze $/x.y-z 🐘", kind FULL);',
    "reader": 'MODEL (name mart__a.b, kind FULL, audits ("odd audit"));',
}
QUERIES = {
    "reader": 'SELECT n FROM mart."a b" UNION ALL SELECT n FROM "my schéma"."Umsätze $/x.y-z 🐘" '
    "UNION ALL SELECT n FROM mart.type"
}
AUDIT = 'AUDIT (name "odd audit"); SELECT * FROM @this_model WHERE n > 1'
DBT = {
    "models/type.sql": "{{ config(materialized='table', tags=['not me!']) }} select 1 as n",
    "models/umsätze.sql": """
        {{ config(materialized='table', schema='a/b c', group='fi nance') }}
        select n + 1 as n from {{ ref('type') }}
    """,
    "models/keyed.sql": """
        {{ config(
            materialized='table', alias='Ke.yed $',
            meta={'dagster': {'asset_key': ['a b', 'ü/"x"', '$']}}
        ) }}
        select n from {{ ref('umsätze') }} union all select n from {{ source('raw data', 'x/y') }}
    """,
    "models/last.sql": """
        {{ config(materialized='table') }}
        select n from {{ ref('keyed') }} union all select n from {{ source('raw data', 'x_y') }}
    """,
    "models/schema.yml": """
        groups: [{name: fi nance, owner: {email: 'Fi <fi@example.com>', name: fi}}]
        sources:
          - name: raw data
            schema: raw
            tables: [{name: x/y}, {name: x_y}]
        models:
          - name: type
            columns:
              - name: n
                data_tests:
                  - not_null: {name: 'is-it-(really)-there?'}
                  - unique: {name: 'is_it_really_there_'}
    """,
}


BELOW = """
odd = [["a b", 'ü/"x"', "$"], ["w", "mart", "a b"]]

@dg.asset(
    ins={f"in_{n}": dg.AssetIn(key, dagster_type=dg.Nothing) for n, key in enumerate(odd)}
)
def below():
    pass

assets.append(below)
"""


class Shop(Transform):
    def __init__(self, folder: Path, framework: str) -> None:
        self.databases = {
            name: Database.in_file(folder / name / "w.duckdb") for name in ("ours", "native")
        }
        for name, database in self.databases.items():
            (folder / name).mkdir(parents=True)
            database.execute(
                "CREATE SCHEMA raw", 'CREATE TABLE raw."x/y" AS SELECT 10 AS n',
                "CREATE TABLE raw.x_y AS SELECT 20 AS n",
            )  # fmt: skip
        models = {
            f"models/{name}.sql": f"{header}\n{QUERIES.get(name, 'SELECT 1 AS n')}"
            for name, header in SQLMESH.items()
        }
        files = {**models, "audits/odd.sql": AUDIT}
        of_sqlmesh = framework == "sqlmesh"
        self.ours, self.native = (
            Project(folder / f"p_{name}", database, files=files)
            if of_sqlmesh
            else DbtProject(folder / f"p_{name}", database, DBT)
            for name, database in self.databases.items()
        )
        # Dagster's own decorator makes names of the keys in `deps`, and refuses these.
        code = BELOW
        further = {"d": {"framework": "dbt", "path": "p_ours", "profiles_dir": "p_ours"}}
        super().__init__(
            folder,
            [self.ours] if of_sqlmesh else [],
            code=code,
            further={} if of_sqlmesh else further,
            plan="auto",
        )


@pytest.fixture(params=["sqlmesh", "dbt"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    transform = Shop(tmp_path, request.param)
    transform.prepare()
    yield transform
    transform.close()


KEYS = {
    "sqlmesh": {
        ("w", "mart", "plain"), ("w", "mart", "a b"), ("w", "mart", "a_b"), ("w", "mart", "type"),
        ("w", "my schéma", "umsätze $/x.y-z 🐘"), ("w", "mart__a", "b"),
    },
    "dbt": {("type",), ("a/b c", "umsätze"), ("a b", 'ü/"x"', "$"), ("last",)},
}  # fmt: skip


def test_a_run_builds_what_the_native_command_builds(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    framework = request.node.callspec.params["shop"]
    graph = shop.repository().asset_graph
    keys = {tuple(key.path) for key in graph.materializable_asset_keys}
    assert KEYS[framework] == keys - {("below",)}
    run = shop.run(execution_time=NOW)
    assert run.success, run.text[-3000:]
    built = {
        tuple(event.asset_key.path) for event in run.of(dg.DagsterEventType.ASSET_MATERIALIZATION)
    }
    assert built == keys
    if framework == "sqlmesh":
        assert run.checks == {"a b:not_null": True, "b:odd_audit": True}
        shop.native.plan_natively(utc("2024-03-05 10:30"))
    else:
        assert run.checks.keys() == {"type:is_it_really_there_", "type:is_it_really_there__2"}
        shop.native.dbt("build")
    ours, native = (shop.databases[name] for name in ("ours", "native"))
    names = sorted(name for name in ours.tables() if not name.startswith(("sqlmesh", "raw")))
    assert names == sorted(
        name for name in native.tables() if not name.startswith(("sqlmesh", "raw"))
    )
    quoted = ['"' + name.replace(".", '"."', 1) + '"' for name in names]
    assert ours.contents(quoted) == native.contents(quoted)
    # One alone, as the UI selects it: by its key.
    with shop._workspace() as context:
        odd = max(KEYS[framework], key=lambda key: sum(not part.isidentifier() for part in key))
        shop.key = lambda name: dg.AssetKey(odd)  # type: ignore[method-assign]
        alone = shop._create(context, ["it"], None, None, {"execution_time": NOW})
    assert shop.execute(alone).success
