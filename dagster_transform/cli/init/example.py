"""A small example, as the files that it has: of SQLMesh, of dbt, or of both on one DuckDB file."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLE_DATABASE = ("/warehouse.duckdb*",)
"""Of the example's database, what .gitignore has to say."""
_ORDERS = """\
order_id,customer,amount,ordered_on
1,Ada,12.50,2026-01-05
2,Bo,7.25,2026-01-05
3,Ada,30.00,2026-01-06
4,Cy,18.10,2026-01-07
"""
_SQLMESH_CONFIG = """\
gateways:
  local:
    connection:
      type: duckdb
      database: ../warehouse.duckdb   # relative: start `sqlmesh` in this folder
default_gateway: local
model_defaults:
  dialect: duckdb
  start: 2026-01-01
  cron: "@daily"
disable_anonymized_analytics: true
"""
_SEED = """\
MODEL (
  name raw.orders,
  kind SEED (path '../seeds/orders.csv'),
  columns (order_id INT, customer TEXT, amount DOUBLE, ordered_on DATE),
  grain order_id
);
"""
_CUSTOMERS = """\
MODEL (
  name marts.customers,
  kind FULL,
  description 'What each customer has bought.',
  audits (
    not_null(columns := (customer)),
    unique_values(columns := (customer))
  )
);

SELECT
  customer::TEXT AS customer,
  COUNT(*)::INT AS orders,
  SUM(amount)::DOUBLE AS amount
FROM {orders}
GROUP BY customer
"""
_EXTERNAL = """\
- name: staging.stg_orders
  description: What dbt makes of the orders.
  columns:
    order_id: INT
    customer: TEXT
    amount: DOUBLE
    ordered_on: DATE
"""
_DBT_PROJECT = """\
name: example
version: "1.0"
profile: example
flags: {send_anonymous_usage_stats: false}
models:
  example:
    +materialized: table
seeds:
  example:
    +column_types: {amount: double}
"""
_PROFILES = """\
example:
  target: local
  outputs:
    local:
      type: duckdb
      path: ../warehouse.duckdb   # from this folder: dagster-transform runs dbt in it
      schema: staging
      threads: 4
"""
_STG_ORDERS = """\
select
    order_id,
    trim(customer) as customer,
    amount,
    ordered_on
from {{ ref('orders') }}
"""
_STG_PROPERTIES = """\
models:
  - name: stg_orders
    description: The orders, with clean names of customers.
    columns:
      - name: order_id
        data_tests: [not_null, unique]
      - name: amount
        data_tests: [not_null]
"""


def example_files(frameworks: frozenset[str]) -> Mapping[str, str]:
    """The files of the example, by path below the folder of transform.yaml.

    Args:
        frameworks: `sqlmesh`, `dbt`, or both: then a model of SQLMesh reads one of dbt.
    """
    files: dict[str, str] = {}
    if "dbt" in frameworks:
        files |= {
            "dbt_project/dbt_project.yml": _DBT_PROJECT,
            "dbt_project/profiles.yml": _PROFILES,
            "dbt_project/seeds/orders.csv": _ORDERS,
            "dbt_project/models/stg_orders.sql": _STG_ORDERS,
            "dbt_project/models/stg_orders.yml": _STG_PROPERTIES,
        }
    if "sqlmesh" in frameworks:
        files["sqlmesh_project/config.yaml"] = _SQLMESH_CONFIG
        orders = "raw.orders"
        if "dbt" in frameworks:
            orders = "staging.stg_orders"
            files["sqlmesh_project/external_models.yaml"] = _EXTERNAL
        else:
            files["sqlmesh_project/seeds/orders.csv"] = _ORDERS
            files["sqlmesh_project/models/orders.sql"] = _SEED
        files["sqlmesh_project/models/customers.sql"] = _CUSTOMERS.format(orders=orders)
    return files
