{{ config(materialized="table") }}
select v.page_id, cast(v.at as date) as day, count(*) as visits
from {{ ref('visits') }} as v join {{ source('tracker', 'pages') }} as p on p.id = v.page_id
group by 1, 2
