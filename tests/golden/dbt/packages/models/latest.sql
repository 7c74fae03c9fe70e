select * from {{ ref('balances') }}
