"""The acts of every role, and who is told."""
from pathlib import Path

from alembic import op

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0008_acts.sql").read_text())    # without parameters a % stays a %
