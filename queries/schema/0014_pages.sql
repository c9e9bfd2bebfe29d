-- A run of a page begins with one transaction: the tick and the account behind the session (queries/db.py).
grant execute on function tick_now(timestamptz) to desk_app;

-- The first page of a long list of a period: what is urgent stands first, and of most periods fills it.
create index rollup_fact_received_urgent on rollup_fact (received_day) where urgent > 0;
create index rollup_fact_due_urgent on rollup_fact (due_day) where urgent > 0;
create index rollup_fact_closed_urgent on rollup_fact (closed_day) where urgent > 0;
