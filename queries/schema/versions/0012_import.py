"""Importing at speed."""
from pathlib import Path

from alembic import op

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0012_import.sql").read_text())    # without parameters a % stays a %
