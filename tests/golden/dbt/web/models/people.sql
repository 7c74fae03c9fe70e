select * from {{ ref('visits') }} where not {{ function('is_bot') }}('x')
