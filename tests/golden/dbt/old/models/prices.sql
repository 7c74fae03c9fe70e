{{ config(schema="shop", tags=["daily"]) }}
select p.id, p.price * r.rate as price
from {{ source('till', 'prices') }} as p join {{ ref('small') }} as r using (id)
