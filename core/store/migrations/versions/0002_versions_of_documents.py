"""Remember the version that a source gives a document, so that an unchanged one need not be fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; what is stored has no version, and is fetched once more."""
    op.add_column("documents", sa.Column("version", sa.Text(), nullable=True))
