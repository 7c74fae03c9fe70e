{{ config(meta={"dagster": {"ref": {"name": "balances", "version": 1}}}) }}
select a.* from {{ ref('balances', v=1) }} as a
join {{ ref('balances', v=2) }} as b using (account_id)
join {{ ref('latest') }} as c using (account_id)
where a.balance <> b.balance
