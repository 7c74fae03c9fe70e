"""The files of the project of week_models.py that are no SQL models: seeds, audits, Python."""

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

CHANGED_FILES = {"seeds/colours.csv": "code,colour\nDE,black\nNO,red\nPE,green\n"}
