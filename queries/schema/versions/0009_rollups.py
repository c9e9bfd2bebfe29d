"""Roll-ups: what is kept counted, and the list of what has changed since."""
from pathlib import Path

from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0009_rollups.sql").read_text())    # without parameters a % stays a %
