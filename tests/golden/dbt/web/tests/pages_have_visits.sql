select d.* from {{ ref('page_days') }} as d
left join {{ ref('visits') }} as v using (page_id)
left join {{ source('tracker', 'pages') }} as p on p.id = d.page_id
where v.id is null
