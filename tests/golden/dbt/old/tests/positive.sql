select p.* from {{ ref('prices') }} as p join {{ ref('price_history') }} as h using (id) where p.price < 0
