select 1 as id, 5.0 as amount
