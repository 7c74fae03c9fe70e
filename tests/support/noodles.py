"""A project in the shape of SQLMesh's own example, sushi: what it shows of SQLMesh without a cloud.

Several dialects, Jinja, macros, SQL and Python models, models that are built from Python, custom
materialisations, a model that reads itself, statements before a query, audits of all sorts,
signals, metrics, unit tests, linter rules, blueprints, external models in two places. All data are
made by a rule, so that two runs make equal tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.noodles_python import PYTHON_MODELS
from tests.support.sqlmesh_projects import Database, Project

CONFIG: Mapping[str, Any] = {
    "before_all": ["CREATE SCHEMA IF NOT EXISTS raw"],
    "after_all": ["@note_end('done')"],
    "variables": {"top": 3},
    "linter": {"enabled": True, "warn_rules": ["noselectstar", "needsgrain"]},
    "users": [{"username": "mei", "roles": ["required_approver"]}],
}

FILES: Mapping[str, str] = {
    **PYTHON_MODELS,
    # -- SQL models -------------------------------------------------------------------------------
    "models/off.sql": "MODEL (name noodles.off, kind FULL, enabled false);\nSELECT 1 AS id",
    "models/waiter_names.sql": """
        MODEL (
          name noodles.waiter_names,
          kind SEED (path '../seeds/waiter_names.csv', batch_size 2),
          columns (id INT, name TEXT),
          grain id,
          audits (enough_names)
        );
    """,
    "seeds/waiter_names.csv": "id,name\n0,Aiko\n1,Ben\n2,Chiyo\n",
    "models/waiter_revenue.sql": """
        /* What each waiter took in, day by day. */
        MODEL (
          name noodles.waiter_revenue,
          kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 10),
          owner mei,
          audits (
            number_of_rows(threshold := 0),
            unique_combination_of_columns(columns := (waiter_id, day))
          ),
          grain (waiter_id, day),
          signals (kitchen_closed(after_hour := 1))
        );

        SELECT
          o.waiter_id::INT AS waiter_id, /* Who served */
          SUM(l.quantity * d.price)::DOUBLE AS revenue, /* In the local currency */
          o.day::DATE AS day
        FROM noodles.orders AS o
        LEFT JOIN noodles.order_lines AS l ON o.id = l.order_id AND o.day = l.day
        LEFT JOIN noodles.dishes AS d ON l.dish_id = d.id AND l.day = d.day
        WHERE o.day BETWEEN @start_date AND @end_date
        GROUP BY o.waiter_id, o.day
    """,
    # No kind: a view.
    "models/top_waiters.sql": """
        MODEL (
          name noodles.top_waiters,
          owner mei,
          audits (unique_values(columns := (waiter_id))),
          grain waiter_id
        );

        SELECT waiter_id::INT AS waiter_id, revenue::DOUBLE AS revenue
        FROM noodles.waiter_revenue
        WHERE day = (SELECT MAX(day) FROM noodles.waiter_revenue)
        ORDER BY revenue DESC
        LIMIT @top
    """,
    "models/loyalty.sql": """
        MODEL (
          name noodles.loyalty,
          kind SCD_TYPE_2 (unique_key guest_id),
          cron '@daily',
          grain guest_id
        );

        SELECT
          guest_id::INT AS guest_id, status::TEXT AS status, updated_at::TIMESTAMP AS updated_at
        FROM noodles.raw_loyalty
    """,
    "models/guests.sql": """
        MODEL (
          name noodles.guests,
          kind FULL,
          owner 'mei@example.com',
          tags (pii, fact, 'dagster:owner:front_of_house'),
          grain guest_id,
          description 'Everyone who ever ordered',
          column_descriptions (guest_id = 'One number for each guest'),
          audits (never_negative)
        );

        CREATE OR REPLACE VIEW raw.homes AS (SELECT 1 AS guest_id, '0001' AS zip);

        WITH current AS (
          SELECT guest_id, status, @next_number(1) AS two FROM noodles.loyalty
          WHERE valid_to IS NULL
        )
        SELECT DISTINCT o.guest_id::INT AS guest_id, c.status, h.zip
        FROM noodles.orders AS o
        LEFT JOIN current AS c ON o.guest_id = c.guest_id
        LEFT JOIN raw.homes AS h ON o.guest_id = h.guest_id;

        AUDIT (name never_negative);
        SELECT * FROM @this_model WHERE guest_id < 0;
    """,
    "models/gold_guests.sql": """
        MODEL (
          name noodles.gold_guests,
          kind CUSTOM (materialization 'whole'),
          tags (pii),
          grain guest_id
        );
        SELECT guest_id, zip FROM noodles.guests WHERE status = 'gold'
    """,
    "models/latest_order.sql": """
        MODEL (
          name noodles.latest_order,
          kind CUSTOM (
            materialization 'whole_with_a_word', materialization_properties (word = 'itadakimasu')
          )
        );
        SELECT id, guest_id, day FROM noodles.orders ORDER BY day DESC, id DESC LIMIT 1
    """,
    "models/guest_revenue.sql": """
        MODEL (
          name noodles.guest_revenue,
          kind INCREMENTAL_BY_TIME_RANGE (time_column (day, 'yyyy-MM-dd'), batch_size 10),
          dialect hive,
          tags expensive,
          grain (guest_id, day)
        );

        JINJA_QUERY_BEGIN;
        WITH totals AS (
          SELECT l.order_id AS order_id, l.day AS day, SUM(l.quantity * d.price) AS total
          FROM noodles.order_lines AS l
          LEFT JOIN noodles.dishes AS d ON l.dish_id = d.id AND l.day = d.day
          WHERE l.day BETWEEN CAST('{{ start_ds }}' AS DATE) AND CAST('{{ end_ds }}' AS DATE)
          GROUP BY l.order_id, l.day
        )
        SELECT
          CAST(o.guest_id AS INT) AS guest_id,
          CAST(SUM(t.total) AS DOUBLE) AS revenue,
          CAST(o.day AS DATE) AS day
        FROM noodles.orders AS o
        LEFT JOIN totals AS t ON o.id = t.order_id AND o.day = t.day
        WHERE o.day BETWEEN CAST('{{ start_ds }}' AS DATE) AND CAST('{{ end_ds }}' AS DATE)
        GROUP BY o.guest_id, o.day;
        JINJA_END;
    """,
    # Each day adds to the day before: the model reads itself.
    "models/guest_lifetime.sql": """
        MODEL (
          name noodles.guest_lifetime,
          kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1),
          columns (guest_id INT, revenue DOUBLE, day DATE),
          grain (guest_id, day)
        );

        WITH today AS (
          SELECT guest_id, revenue FROM noodles.guest_revenue WHERE day = @end_date
        ), before AS (
          SELECT guest_id, revenue FROM noodles.guest_lifetime
          WHERE day = @end_date - INTERVAL 1 DAY
        )
        SELECT
          COALESCE(t.guest_id, b.guest_id) AS guest_id,
          COALESCE(t.revenue, 0) + COALESCE(b.revenue, 0) AS revenue,
          @end_date AS day
        FROM today AS t
        FULL OUTER JOIN before AS b ON t.guest_id = b.guest_id
    """,
    "models/waiters_who_eat.sql": """
        MODEL (
          name noodles.waiters_who_eat,
          kind INCREMENTAL_BY_TIME_RANGE (time_column day),
          audits (not_null(columns := (waiter_id)), forall(criteria := (LENGTH(waiter_name) > 0)))
        );

        JINJA_QUERY_BEGIN;
        {% set x = 1 %}
        SELECT w.waiter_id AS waiter_id, n.name AS waiter_name, {{ named(same(x), 'flag') }},
          w.day AS day
        FROM noodles.waiters AS w
        JOIN noodles.guests AS g ON w.waiter_id = g.guest_id
        JOIN noodles.waiter_names AS n ON w.waiter_id = n.id
        WHERE w.day BETWEEN @start_date AND @end_date;
        JINJA_END;
    """,
    "models/by_shift.sql": """
        MODEL (
          name noodles.@{shift}_shift,
          kind FULL,
          blueprints ((shift := early, low := 0), (shift := late, low := 2))
        );
        SELECT id, waiter_id FROM noodles.orders WHERE id > @low
    """,
    # -- what models use --------------------------------------------------------------------------
    "macros/__init__.py": "",
    "macros/own.py": """
        from sqlmesh import macro

        @macro()
        def next_number(evaluator, number: int):
            return number + 1

        @macro()
        def note_end(evaluator, word: str):
            return f"SELECT '{word}' AS said"
    """,
    "macros/own.sql": """
        {% macro same(value) %}{{ value }}{% endmacro %}
        {% macro named(value, name) %}{{ value }} AS {{ name }}{% endmacro %}
    """,
    "linter/__init__.py": "",
    "linter/own.py": """
        from sqlmesh.core.linter.rule import Rule

        class NeedsGrain(Rule):
            \"\"\"Every model says what one row of it is.\"\"\"

            def check_model(self, model):
                return None if model.grains or model.kind.is_custom else self.violation()
    """,
    "signals/__init__.py": """
        from sqlmesh import signal

        @signal()
        def kitchen_closed(batch, after_hour: int = 0):
            return True
    """,
    "materializations/__init__.py": "",
    "materializations/whole.py": """
        from sqlmesh import CustomMaterialization

        class Whole(CustomMaterialization):
            NAME = "whole"

            def insert(self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kw):
                self._replace_query_for_model(model, table_name, query_or_df, render_kwargs)
    """,
    "materializations/whole_with_a_word.py": """
        from pydantic import model_validator
        from sqlmesh import CustomKind, CustomMaterialization

        class WordyKind(CustomKind):
            @model_validator(mode="after")
            def _has_a_word(self):
                if "word" not in self.materialization_properties:
                    raise ValueError("a word is wanted")
                return self

        class WholeWithAWord(CustomMaterialization[WordyKind]):
            NAME = "whole_with_a_word"

            def insert(self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kw):
                self._replace_query_for_model(model, table_name, query_or_df, render_kwargs)
    """,
    "audits/own.sql": """
        AUDIT (name price_above);
        SELECT * FROM @this_model WHERE price <= @price;

        AUDIT (name enough_names, blocking false);
        SELECT 1 FROM @this_model HAVING COUNT(*) < 3;
    """,
    "audits/lines_have_orders.sql": """
        AUDIT (name lines_have_orders, standalone true, cron '@daily');
        SELECT l.* FROM noodles.order_lines AS l
        LEFT JOIN noodles.orders AS o ON o.id = l.order_id AND o.day = l.day
        WHERE o.id IS NULL;
    """,
    "external_models.yaml": """
        - name: raw.homes
          description: Where guests live.
          columns: {guest_id: int, zip: text}
    """,
    "external_models/more.yaml": """
        - name: raw.suppliers
          columns: {id: int}
    """,
    "metrics/metrics.sql": """
        METRIC (name total_orders, expression COUNT(noodles.orders.id));
    """,
    "tests/test_top_waiters.yaml": """
        test_top_waiters:
          model: noodles.top_waiters
          inputs:
            noodles.waiter_revenue:
              rows:
                - {waiter_id: 1, revenue: 10.5, day: "2024-03-01"}
          outputs:
            query:
              rows:
                - {waiter_id: 1, revenue: 10.5}
    """,
}


def make_noodles(folder: Path, database: Database) -> Project:
    """The project, written into `folder`. Plan it as any other: it needs no data."""
    return Project(folder, database, files=FILES, config=CONFIG)
