"""Order."""
from pathlib import Path

from alembic import op

revision, down_revision = "0017", "0016"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0017_order.sql").read_text())    # without parameters a % stays a %
