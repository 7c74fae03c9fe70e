{{ config(materialized="incremental", incremental_strategy="microbatch", event_time="updated_at",
   batch_size="day", begin="2024-03-01", lookback=2, unique_key="id") }}
select p.* from {{ ref('named_people') }} as p cross join {{ ref('one') }}
