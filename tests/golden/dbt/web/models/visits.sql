{{ config(materialized="table", freshness={"build_after": {"count": 4, "period": "hour", "updates_on": "all"}}) }}
select id, page_id, at from {{ source('tracker', 'visits') }}
