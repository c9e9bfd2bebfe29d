"""Who sees which complaint, and regulators."""
from pathlib import Path

from alembic import op

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0007_roles.sql").read_text())    # without parameters a % stays a %
