"""The ground that the store's parts stand on: one engine, short transactions, refusals with a way out.

Does: begin and end transactions; speak the engine's dialect. Does not: know any table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import StoreError
from core.store.opening import reason


class Database:
    """Transactions on one engine. Safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                "the store refused",
                why=reason(error),
                way_out="check the disk and the database; the request is safe to repeat",
            ) from error

    def _insert(self, table: sa.Table) -> Any:
        """An INSERT that knows ON CONFLICT, in the dialect of the engine."""
        return (postgresql if self.engine.dialect.name == "postgresql" else sqlite).insert(table)
