"""Urged."""
from pathlib import Path

from alembic import op

revision, down_revision = "0018", "0017"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0018_urged.sql").read_text())    # without parameters a % stays a %
