select account_id, sum(amount) as balance, count(*) as entries from {{ ref('bank', 'accounts') }} group by 1
