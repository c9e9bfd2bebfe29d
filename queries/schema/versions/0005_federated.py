"""Accounts of an identity provider."""
from pathlib import Path

from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    op.get_bind().connection.cursor().execute((Path(__file__).parents[1] / "0005_federated.sql").read_text())    # without parameters a % stays a %
