select 1 as a from {{ ref('scores') }} union all select 1 from {{ ref('named_people') }}
union all select 1 from {{ ref('people_named') }}
