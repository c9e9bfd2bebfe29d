"""Pages."""
from pathlib import Path

from alembic import op

revision, down_revision = "0014", "0013"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0014_pages.sql").read_text())    # without parameters a % stays a %
