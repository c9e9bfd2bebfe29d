"""More roll-ups."""
from pathlib import Path

from alembic import op

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0013_more_rollups.sql").read_text())    # without parameters a % stays a %
