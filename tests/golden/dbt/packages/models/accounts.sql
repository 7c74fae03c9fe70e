select account_id, amount from {{ ref('ledger', 'accounts') }}
