"""Writing."""
from pathlib import Path

from alembic import op

revision, down_revision = "0015", "0014"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0015_writing.sql").read_text())    # without parameters a % stays a %
