"""Passwords, sessions that can be ended, set-up links."""
from pathlib import Path

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0003_sign_in.sql").read_text())    # without parameters a % stays a %
