select id as account_id, amount from {{ ref('entries') }}
