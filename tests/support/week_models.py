"""The models of one SQLMesh project with every kind and every feature of scheduling.

week_features.py says which model shows what; week_files.py has the project's other files. One
combination is left out on purpose: an incremental model whose intervals are finer than those of a
time-range parent. There SQLMesh loses rows and our guard holds the child back
(test_holes.py).
"""

from __future__ import annotations

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
    "mart.of_strict": """
        kind FULL
        ---
        SELECT COUNT(*) AS n, @execution_ts AS built_at FROM stage.strict
    """,
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
    "plan.below_wider": """
        kind FULL
        ---
        SELECT SUM(n) AS n, @execution_ts AS built_at FROM plan.wider
    """,
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
        SELECT ds, COUNT(*) AS n FROM stage.by_day WHERE ds BETWEEN @start_ds AND @end_ds
        GROUP BY ds
    """,
}
"""The models of the second folder, which is a repository of its own."""

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
