"""What an administrator may change."""
from pathlib import Path

from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0006_administration.sql").read_text())    # without parameters a % stays a %
