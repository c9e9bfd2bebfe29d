-- A run of a page begins with one transaction: the tick and the account behind the session (queries/db.py).
grant execute on function tick_now(timestamptz) to desk_app;
