{% snapshot people_history %}
{{ config(unique_key="id", strategy="timestamp", updated_at="updated_at", target_schema="snapshots") }}
select * from {{ ref('clean_people') }}
{% endsnapshot %}
