select account_id, sum(amount) as balance from {{ ref('bank', 'accounts') }} group by 1
