"""Bring a database's tables up to date, in steps that Alembic records.

Does: run `migrations/versions` in order, each once, one process at a time, all of them or none.
Does not: hold the tables' definition (`tables.py`); a test proves both agree.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Upgrade the database to a revision."""
    config = _config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(726563)"))
        else:
            # Python's sqlite3 begins no transaction for CREATE TABLE: without this a kill would leave half the tables.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def revisions(engine: sa.Engine) -> tuple[str | None, str]:
    """The revision the database is at, None without tables, and the newest there is."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None, "there is always a first migration"
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
