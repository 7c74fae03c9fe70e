select * from {{ ref('balances', v=1) }}
