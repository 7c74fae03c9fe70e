{{ config(meta={"dagster": {"asset_key": ["shop", "all_orders"], "group": "sales",
   "owners": ["ana@example.com", "team:sales"], "auto_materialize_policy": {"type": "eager"}}}) }}
select o.*, c.name
from {{ ref('stg_orders') }} as o
join {{ ref('stg_customers') }} as c using (customer_id)
