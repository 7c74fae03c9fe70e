select * from {{ ref('orders') }} where ordered_at > current_date
