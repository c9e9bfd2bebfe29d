"""Reads on standbys: how far the primary was when a session wrote."""
from pathlib import Path

from alembic import op

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0010_replicas.sql").read_text())    # without parameters a % stays a %
