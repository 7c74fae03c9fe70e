def model(dbt, session):
    dbt.config(materialized="table", tags=["weekly"])
    return dbt.ref("people_history")
