agent like '%bot%'
