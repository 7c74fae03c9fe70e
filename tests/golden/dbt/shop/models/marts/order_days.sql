{{ config(schema="stats", meta={"dagster_transform": {"cron": "15 6 * * 1-5", "time_zone": "Europe/Zurich"},
   "dagster": {"auto_materialize_policy": {"type": "lazy"}}, "origin": "till"}) }}
select ordered_at, count(*) as orders
from {{ ref('orders') }}
group by 1
