select 1
from (select sum(orders) as n from {{ ref('customers') }}) as a,
     (select sum(orders) as n from {{ ref('order_days') }}) as b,
     (select count(*) as n from {{ ref('stg_orders') }}) as c
where a.n <> b.n or b.n <> c.n
