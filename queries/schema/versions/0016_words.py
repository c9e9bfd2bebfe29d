"""Words."""
from pathlib import Path

from alembic import op

revision, down_revision = "0016", "0015"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0016_words.sql").read_text())    # without parameters a % stays a %
