"""Search by words and by person, and the trace of an export."""
from pathlib import Path

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0002_search.sql").read_text())    # without parameters a % stays a %
