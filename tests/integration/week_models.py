"""The files of one SQLMesh project with every model kind and every feature of scheduling.

week_project.py says which model shows what. One combination is left out on purpose: an incremental
model whose intervals are finer than those of a time-range parent. There SQLMesh loses rows and our
guard holds the child back (test_sqlmesh_holes.py).
"""

from __future__ import annotations

FILES = {
    "seeds/countries.csv": "code,name\nDE,Germany\nNO,Norway\nPE,Peru\n",
    "seeds/colours.csv": "code,colour\nDE,black\nNO,red\n",
    "external_models.yaml": """
        - name: src.events
          columns: {id: int, moment: timestamp, code: text, amount: int}
    """,
    "audits/audits.sql": """
        AUDIT (name at_most, blocking false);
        SELECT * FROM @this_model WHERE @column > @value;

        AUDIT (name code_is_known, blocking true);
        SELECT * FROM @this_model WHERE NOT @code IN (SELECT code FROM ref.countries);

        AUDIT (name not_negative);
        SELECT * FROM @this_model WHERE amount < 0;
    """,
    "audits/totals.sql": """
        AUDIT (name totals_agree, standalone true, cron '@daily');
        SELECT l.name FROM mart.left AS l JOIN ref.countries AS c ON c.name = l.name
        WHERE l.n > 1000000;
    """,
    "audits/nothing_late.sql": """
        AUDIT (name nothing_late, standalone true, cron '@daily');
        SELECT * FROM stage.by_day WHERE id >= 1000;
    """,
    "signals/__init__.py": "",
    "signals/landed.py": """
        from datetime import timezone

        from sqlmesh import signal


        @signal()
        def landed(batch, context):
            (until,) = context.engine_adapter.fetchone("SELECT until FROM src.landed")
            return [i for i in batch if i[1] <= until.replace(tzinfo=timezone.utc)]
    """,
    "macros/__init__.py": "",
    "macros/clock.py": """
        from sqlmesh import macro


        @macro()
        def clock(evaluator, name):
            # By the server's clock: when this transaction began and ended. It naps in between.
            nap = evaluator.var("nap")
            if evaluator.runtime_stage != "evaluating" or not nap:
                return None
            return (
                "INSERT INTO src.clock SELECT "
                f"{name.sql()}, transaction_timestamp(), clock_timestamp() FROM pg_sleep({nap})"
            )
    """,
    "materializations/counted.py": '''
        from sqlmesh import CustomMaterialization


        class Counted(CustomMaterialization):
            """Keeps what it has, and appends what the query says now."""

            NAME = "counted"

            def insert(
                self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kwargs
            ):
                if is_first_insert:
                    self._replace_query_for_model(
                        model, table_name, query_or_df, render_kwargs, **kwargs
                    )
                else:
                    self.adapter.insert_append(
                        table_name, query_or_df, target_columns_to_types=model.columns_to_types
                    )
    ''',
    "models/python_full.py": """
        from sqlmesh import model


        @model(
            "mart.@{name}",
            kind="FULL",
            columns={"code": "text", "n": "int"},
            depends_on=["stage.by_day"],
            blueprints=[{"name": "py_all", "at_least": 0}, {"name": "py_some", "at_least": 10}],
        )
        def execute(context, start, end, execution_time, **kwargs):
            table = context.resolve_table("stage.by_day")
            at_least = context.blueprint_var("at_least")
            return context.fetchdf(
                f"SELECT code, COUNT(*) AS n FROM {table} WHERE id >= {at_least} GROUP BY code"
            )
    """,
    "models/python_days.py": """
        from sqlmesh import model
        from sqlmesh.core.model.kind import ModelKindName


        @model(
            "mart.py_days",
            kind=dict(
                name=ModelKindName.INCREMENTAL_BY_TIME_RANGE, time_column="ds", batch_size=1
            ),
            columns={"ds": "date", "code": "text", "n": "int"},
            depends_on=["stage.by_day"],
        )
        def execute(context, start, end, execution_time, **kwargs):
            table = context.resolve_table("stage.by_day")
            for code in ("DE", "NO"):
                frame = context.fetchdf(
                    f"SELECT ds, code, COUNT(*) AS n FROM {table} WHERE code = '{code}' "
                    f"AND ds BETWEEN '{start:%Y-%m-%d}' AND '{end:%Y-%m-%d}' GROUP BY ds, code"
                )
                if len(frame):
                    yield frame
    """,
    "models/by_country.sql": """
        MODEL (
          name mart.@{name},
          kind FULL,
          blueprints ((name := in_de, country := 'DE'), (name := in_no, country := 'NO'))
        );

        SELECT ds, COUNT(*) AS n FROM stage.by_day WHERE code = @country GROUP BY ds
    """,
}

MODELS = {
    "ref.countries": """
        kind SEED (path '../seeds/countries.csv'),
        columns (code TEXT, name TEXT),
        audits (unique_values(columns := (code)), number_of_rows(threshold := 2, blocking := false))
    """,
    "ref.colours": "kind SEED (path '../seeds/colours.csv'), columns (code TEXT, colour TEXT)",
    "stage.by_day": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 2, batch_size 2),
        depends_on (ref.countries),
        audits (
          not_null(columns := (id)),
          not_null(columns := (code), blocking := false),
          code_is_known(code := code)
        )
        ---
        SELECT id, code, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.by_hour": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column moment),
        cron '@hourly',
        audits (at_most(column := amount, value := 40))
        ---
        SELECT id, amount, moment, code FROM src.events WHERE moment BETWEEN @start_ts AND @end_ts
    """,
    "stage.two_at_once": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1, batch_concurrency 2)
        ---
        SELECT id, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds;
        @CLOCK('two')
    """,
    "stage.all_at_once": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1)
        ---
        SELECT id, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds;
        @CLOCK('all')
    """,
    "mart.running": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        columns (ds DATE, total BIGINT)
        ---
        SELECT @end_ds::DATE AS ds, (
          COALESCE((SELECT MAX(total) FROM mart.running WHERE ds < @start_ds::DATE), 0)
          + (SELECT COUNT(*) FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds)
        )::BIGINT AS total;
        @CLOCK('past')
    """,
    "stage.partial": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        cron '@hourly',
        interval_unit 'day',
        allow_partials true
        ---
        SELECT moment::DATE AS ds, COUNT(*) AS n, @execution_ts AS built_at FROM src.events
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY moment::DATE
    """,
    "stage.kept": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only true)
        ---
        SELECT id, 1 AS rule, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.signalled": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        signals (landed())
        ---
        SELECT id, code, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "mart.after_signal": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 3)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.signalled WHERE ds BETWEEN @start_ds AND @end_ds
        GROUP BY ds
    """,
    "stage.restated": """
        kind INCREMENTAL_BY_TIME_RANGE (
          time_column ds, auto_restatement_cron '@weekly', auto_restatement_intervals 7
        )
        ---
        SELECT id, code, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "mart.of_restated": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.restated WHERE ds BETWEEN @start_ds AND @end_ds
        GROUP BY ds
    """,
    "mart.restated_whole": """
        kind INCREMENTAL_BY_UNIQUE_KEY (unique_key code, auto_restatement_cron '0 12 * * *')
        ---
        SELECT code, COUNT(*) AS n, @start_ds AS since FROM src.events
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY code
    """,
    "stage.begins": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        start '2024-03-04'
        ---
        SELECT id, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.ends": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 1),
        end '2024-03-06'
        ---
        SELECT id, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.pacific": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        cron '@daily',
        cron_tz 'America/Los_Angeles'
        ---
        SELECT id, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "stage.strict": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        audits (not_negative(), at_most(column := amount, value := 45))
        ---
        SELECT id, amount, moment::DATE AS ds FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "mart.of_strict": "kind FULL\n---\nSELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.strict",
    "stage.fragile": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1, lookback 1)
        ---
        SELECT id, CASE WHEN amount < 0 THEN 'not a number' ELSE '1' END::INT AS n,
          moment::DATE AS ds
        FROM src.events WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "mart.of_fragile": "kind FULL\n---\nSELECT COUNT(*) AS n FROM stage.fragile",
    "stage.named": """
        kind VIEW,
        audits (not_null(columns := (name)), at_most(column := id, value := 1000))
        ---
        SELECT d.id, d.ds, c.name FROM stage.by_day AS d JOIN ref.countries AS c ON d.code = c.code
    """,
    "mart.seen": """
        kind VIEW (materialized true)
        ---
        SELECT code, COUNT(*) AS n FROM stage.by_day GROUP BY code
    """,
    "mart.left": """
        kind FULL,
        audits (number_of_rows(threshold := 1))
        ---
        SELECT name, COUNT(*) AS n FROM stage.named GROUP BY name
    """,
    "mart.right": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1),
        audits (at_most(column := total, value := 60))
        ---
        SELECT moment::DATE AS ds, code, SUM(amount) AS total FROM stage.by_hour
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY moment::DATE, code
    """,
    "mart.weekly": """
        kind FULL,
        cron '@weekly'
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "mart.stamp": """
        kind FULL,
        cron '@hourly'
        ---
        SELECT MAX(moment) AS last_moment, COUNT(*) AS n, @execution_ts AS built_at
        FROM stage.by_hour
    """,
    "mart.tokyo": """
        kind FULL,
        cron '0 22 * * *',
        cron_tz 'Asia/Tokyo'
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_hour
    """,
    "mart.latest": """
        kind INCREMENTAL_BY_UNIQUE_KEY (unique_key code, batch_size 1, lookback 1)
        ---
        SELECT code, MAX(moment) AS moment FROM stage.by_hour
        WHERE moment BETWEEN @start_ts AND @end_ts GROUP BY code
    """,
    "mart.history": """
        kind SCD_TYPE_2_BY_TIME (unique_key code, updated_at_name moment)
        ---
        SELECT code, MAX(amount) AS amount, MAX(moment) AS moment FROM stage.by_hour GROUP BY code
    """,
    "mart.changes": """
        kind SCD_TYPE_2_BY_COLUMN (unique_key code, columns [n])
        ---
        SELECT code, COUNT(*) AS n FROM stage.by_hour GROUP BY code
    """,
    "mart.parts": """
        kind INCREMENTAL_BY_PARTITION,
        partitioned_by (code)
        ---
        SELECT code, moment::DATE AS ds, SUM(amount) AS total FROM stage.by_hour
        WHERE code IN (SELECT code FROM stage.by_hour WHERE moment >= @start_ts)
        GROUP BY code, moment::DATE
    """,
    "mart.log": """
        kind INCREMENTAL_UNMANAGED
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "mart.custom": """
        kind CUSTOM (materialization 'counted')
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "stage.filtered": "kind EMBEDDED\n---\nSELECT id, code FROM stage.by_day WHERE id > 3",
    "mart.filtered": "kind VIEW\n---\nSELECT code, COUNT(*) AS n FROM stage.filtered GROUP BY code",
    "mart.coloured": """
        kind FULL
        ---
        SELECT c.colour, COUNT(*) AS n FROM stage.by_day AS d JOIN ref.colours AS c USING (code)
        GROUP BY c.colour
    """,
    "plan.breaking": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, ds FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "plan.below": "kind FULL\n---\nSELECT COUNT(*) AS n FROM plan.breaking",
    "plan.wider": """
        kind FULL
        ---
        SELECT code, COUNT(*) AS n FROM stage.by_day GROUP BY code
    """,
    "plan.below_wider": "kind FULL\n---\nSELECT SUM(n) AS n, @execution_ts AS built_at FROM plan.wider",
    "plan.described": """
        kind FULL
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "plan.removed": "kind FULL\n---\nSELECT COUNT(*) AS n FROM stage.by_day",
    "far.log": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        gateway far
        ---
        SELECT id, moment::DATE AS ds FROM outside.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
    "far.days": """
        kind FULL,
        gateway far,
        audits (number_of_rows(threshold := 1))
        ---
        SELECT ds, COUNT(*) AS n FROM far.log GROUP BY ds
    """,
}

SECOND_MODELS = {
    "second.report": """
        kind FULL,
        audits (number_of_rows(threshold := 1))
        ---
        SELECT name, n, @execution_ts AS built_at FROM mart.left
    """,
    "second.days": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT ds, COUNT(*) AS n FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
}
"""The models of the second folder, which is a repository of its own."""

CHANGED_FILES = {"seeds/colours.csv": "code,colour\nDE,black\nNO,red\nPE,green\n"}
CHANGED_MODELS = {
    "plan.breaking": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT id, ds FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds AND id <> 5
    """,
    "plan.wider": """
        kind FULL
        ---
        SELECT code, COUNT(*) AS n, MIN(id) AS first_id FROM stage.by_day GROUP BY code
    """,
    "plan.described": """
        kind FULL,
        description 'How many rows there are.',
        owner 'somebody',
        audits (not_null(columns := (n)))
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.by_day
    """,
    "plan.added": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds)
        ---
        SELECT code, ds FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "stage.kept": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only true)
        ---
        SELECT id, 2 AS rule, moment::DATE AS ds, amount FROM src.events
        WHERE moment::DATE BETWEEN @start_ds AND @end_ds
    """,
}
REMOVED_MODELS = ["plan.removed"]
