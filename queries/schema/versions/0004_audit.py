"""The audit trail: chained, with the act of every page."""
from pathlib import Path

from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0004_audit.sql").read_text())    # without parameters a % stays a %
