"""Tree, calendars, policies, complaints, clocks, rules, roles and row security."""
from pathlib import Path

from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    for file in sorted(Path(__file__).parents[1].glob("0001_*.sql")):
        op.get_bind().connection.cursor().execute(file.read_text())      # without parameters a % stays a %
