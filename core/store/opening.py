"""Getting at the database: opened so that an acknowledged commit lasts, brought up to date, and clear about what is wrong.

Does: open and migrate, or look without touching; turn every refusal into a StoreError with a way out.
Does not: read or write what the store holds (`store.py`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.errors import StoreError

#: Seconds that a connection waits for another's lock on a SQLite file.
_WAIT_S = 30.0


def open_database(url: str) -> sa.Engine:
    """Open the database at a SQLAlchemy URL and bring its tables up to date.

    Raises:
        StoreError: the database cannot be opened or migrated.
    """
    from core.store.migrate import migrate

    with _explained(url):
        engine = open_engine(url)
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def revision_of(url: str) -> tuple[str | None, str]:
    """The revision a database's tables are at, None without tables, and the one this code wants. Changes nothing.

    Raises:
        StoreError: the database cannot be opened.
    """
    from core.store.migrate import revisions

    with _explained(url):
        engine = open_engine(url)
        try:
            return revisions(engine)
        finally:
            engine.dispose()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Gives whatever is wrong with a database our name and a way out, without the password in its address."""
    from alembic.util import CommandError

    try:
        shown = sa.make_url(url).render_as_string(hide_password=True)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            "cannot open the store",
            why="RUNDOWN_DATABASE_URL is no SQLAlchemy URL",
            way_out="write postgresql+psycopg://user:password@host/db, special characters percent-encoded",
        ) from None
    try:
        yield
    except (sa.exc.SQLAlchemyError, CommandError, OSError, ImportError) as error:
        newer = "a newer Rundown wrote it: upgrade this one, or use another RUNDOWN_DATABASE_URL"
        other = "check RUNDOWN_DATABASE_URL or that RUNDOWN_HOME can be written"
        way_out = newer if isinstance(error, CommandError) else other
        raise StoreError(f"cannot open the store {shown}", why=reason(error), way_out=way_out) from error


def open_engine(url: str) -> sa.Engine:
    """A SQLAlchemy engine set up so that an acknowledged commit survives a kill and a power loss."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        # Whoever holds a name exclusively keeps one connection and needs a second: there must be more than holders.
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=40)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": _WAIT_S, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        # Take the write lock when a transaction begins to write: a deferred one may fail half-way instead of waiting.
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        _write_ahead(cursor)
        cursor.close()

    return engine


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch a file to writing ahead, which it then keeps. The busy timeout does not cover this one lock, so we wait ourselves."""
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

    locked = retry_if_exception(lambda error: isinstance(error, sqlite3.OperationalError) and "locked" in str(error))
    waiting = Retrying(retry=locked, wait=wait_fixed(0.02), stop=stop_after_delay(_WAIT_S), reraise=True)
    waiting(cursor.execute, "PRAGMA journal_mode=WAL")


def reason(error: BaseException) -> str:
    """What the database itself said, on one line."""
    return " ".join(str(error.__cause__ or error).split())
