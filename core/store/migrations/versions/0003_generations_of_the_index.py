"""Keep a manifest for each generation of the index, so that the next one is built while the live one answers.

What was indexed before becomes the first generation, live, of a model that the next start fills in.
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, and move the manifest into one that knows generations."""
    generations = op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=512), nullable=True),
        sa.Column("space", sa.Text(), nullable=True),
        sa.Column("cut", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("live_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "syncs",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=512), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("synced_at", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("generation", "source"),
    )
    documents = op.create_table(
        "indexed",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=512), nullable=False),
        sa.Column("doc_id", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("indexed_at", sa.Float(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("generation", "source", "doc_id"),
    )
    columns = ("source", "doc_id", "digest", "chunks", "indexed_at", "version")
    old = sa.table("documents", *(sa.column(name) for name in columns))
    connection = op.get_bind()
    connection.execute(
        documents.insert().from_select(["generation", *columns], sa.select(sa.literal(1), *(old.c[n] for n in columns)))
    )
    if connection.execute(sa.select(sa.func.count()).select_from(old)).scalar():
        now = time.time()
        connection.execute(generations.insert().values(number=1, state="live", created_at=now, live_at=now))
    op.drop_table("documents")
