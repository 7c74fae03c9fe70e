{{ config(severity="warn") }}
select 1 from {{ source('tracker', 'visits') }} join {{ source('tracker', 'pages') }} using (id) where false
