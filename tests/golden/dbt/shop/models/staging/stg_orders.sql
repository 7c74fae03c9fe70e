{{ config(tags=["hourly", "not a key!"], alias="Orders_Clean") }}
select id as order_id, customer_id, status, cast(ordered_at as date) as ordered_at
from {{ ref('raw_orders') }}
