"""The Python models of noodles, a project in the shape of SQLMesh's own example."""

from __future__ import annotations

from collections.abc import Mapping

PYTHON_MODELS: Mapping[str, str] = {
    "days.py": """
        from datetime import timedelta

        def each_day(start, end):
            day = start.date()
            while day <= end.date():
                yield day
                day += timedelta(days=1)
    """,
    "models/orders.py": """
        import typing as t
        from datetime import datetime

        import pandas as pd
        from days import each_day
        from sqlmesh import ExecutionContext, model
        from sqlmesh.core.model.kind import ModelKindName

        @model(
            "noodles.orders",
            description="What guests ordered.",
            kind={
                "name": ModelKindName.INCREMENTAL_BY_TIME_RANGE,
                "time_column": "day",
                "batch_size": 30,
            },
            cron="@daily",
            grains=["id AS order_id"],
            references=["guest_id", "waiter_id"],
            columns={"id": "int", "guest_id": "int", "waiter_id": "int", "day": "date"},
            column_descriptions={"id": "Number of the order on its day"},
        )
        def execute(
            context: ExecutionContext, start: datetime, end: datetime, **kwargs: t.Any
        ) -> pd.DataFrame:
            rows = [
                {"id": n, "guest_id": (n * day.day) % 7, "waiter_id": n % 3, "day": day}
                for day in each_day(start, end)
                for n in range(1, 6)
            ]
            return pd.DataFrame(rows)
    """,
    "models/dishes.py": """
        import typing as t
        from datetime import datetime

        import pandas as pd
        from days import each_day
        from sqlglot.expressions import to_column
        from sqlmesh import ExecutionContext, model
        from sqlmesh.core.model.kind import ModelKindName

        @model(
            "noodles.dishes",
            kind={"name": ModelKindName.INCREMENTAL_BY_TIME_RANGE, "time_column": "day"},
            cron="@daily",
            owner="mei",
            columns={"id": "int", "name": "text", "price": "double", "day": "date"},
            audits=[
                ("accepted_values", {"column": to_column("name"), "is_in": ["ramen", "udon"]}),
                ("not_null", {"columns": [to_column("name"), to_column("price")]}),
                ("price_above", {"price": 0}),
                ("price_above", {"price": 1, "blocking": False}),
            ],
        )
        def execute(
            context: ExecutionContext, start: datetime, end: datetime, **kwargs: t.Any
        ) -> pd.DataFrame:
            rows = [
                {"id": n, "name": name, "price": 8.5 + n, "day": day}
                for day in each_day(start, end)
                for n, name in enumerate(("ramen", "udon"))
            ]
            return pd.DataFrame(rows)
    """,
    "models/order_lines.py": """
        import typing as t
        from datetime import datetime

        import pandas as pd
        from sqlmesh import ExecutionContext, model
        from sqlmesh.core.model.kind import ModelKindName

        @model(
            "noodles.order_lines",
            kind={"name": ModelKindName.INCREMENTAL_BY_TIME_RANGE, "time_column": "day"},
            columns={"order_id": "int", "dish_id": "int", "quantity": "int", "day": "date"},
            depends_on=["noodles.orders", "noodles.dishes"],
            tags=["dagster:group_name:kitchen"],
        )
        def execute(
            context: ExecutionContext, start: datetime, end: datetime, **kwargs: t.Any
        ) -> t.Iterator[pd.DataFrame]:
            orders = context.resolve_table("noodles.orders")
            frame = context.fetchdf(
                f"SELECT id AS order_id, id % 2 AS dish_id, id AS quantity, day FROM {orders} "
                f"WHERE day BETWEEN '{start.date()}' AND '{end.date()}'"
            )
            if not frame.empty:
                yield frame
    """,
    "models/raw_loyalty.py": """
        import typing as t
        from datetime import datetime

        import pandas as pd
        from sqlmesh import ExecutionContext, model
        from sqlmesh.core.model.kind import ModelKindName

        @model(
            "noodles.raw_loyalty",
            kind={"name": ModelKindName.FULL},
            grains=["guest_id"],
            columns={"guest_id": "int", "status": "text", "updated_at": "timestamp"},
        )
        def execute(
            context: ExecutionContext, execution_time: datetime, **kwargs: t.Any
        ) -> pd.DataFrame:
            now = execution_time.replace(tzinfo=None)
            guests = range(7)
            return pd.DataFrame(
                {
                    "guest_id": list(guests),
                    "status": ["gold" if g % 2 else "none" for g in guests],
                    "updated_at": [now for _ in guests],
                }
            )
    """,
    # A query that Python builds, and that is read as if it stood in its readers.
    "models/waiters.py": """
        from sqlglot import exp
        from sqlmesh import model
        from sqlmesh.core.macros import MacroEvaluator
        from sqlmesh.core.model.kind import ModelKindName

        @model("noodles.waiters", is_sql=True, kind={"name": ModelKindName.EMBEDDED}, owner="mei")
        def entrypoint(evaluator: MacroEvaluator) -> exp.Select:
            return exp.select("waiter_id", "day").from_("noodles.orders").distinct()
    """,
    "models/off.py": """
        import pandas as pd
        from sqlmesh import model

        @model("noodles.off_in_python", kind="full", columns={"id": "int"}, enabled=False)
        def execute(context, **kwargs) -> pd.DataFrame:
            return pd.DataFrame({"id": [1]})
    """,
}
