"""Alembic's entry: runs the migrations as the schema's owner, on the connection that upgrade() holds."""
from alembic import context
from sqlalchemy import text

conn = context.config.attributes["connection"]
conn.execute(text("set role desk_owner"))
conn.execute(text("set search_path = desk, public"))
conn.execute(text("set lock_timeout = '10s'"))
context.configure(connection=conn, version_table_schema="desk", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
conn.commit()
conn.execute(text("reset role"))
conn.execute(text("reset lock_timeout"))
conn.commit()
