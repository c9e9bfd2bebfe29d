"""Search at millions of complaints."""
from pathlib import Path

from alembic import op

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0011_find.sql").read_text())    # without parameters a % stays a %
