"""The manifest: what the index of documents should hold, for each of its generations.

Does: remember which generation answers, which is being built and which one answered before; what each holds of every
document; when each source was last synced into it.
Does not: know where a generation's vectors lie (`retrieval.generations`), or fill one (`ingest.sync`, `bot.index_admin`).
"""

from __future__ import annotations

import time
from typing import Any, Self

import sqlalchemy as sa

from core.errors import StoreError
from core.model import from_unix
from core.store import tables as t
from core.store.database import Database
from core.store.rows import Generation, GenerationState, Indexed, Synced

#: The cursor that holds the highest number a generation ever had.
_NUMBERS = "generation"


class Manifest(Database):
    """What is indexed: of the generation that answers, or of the one that `of_generation` names."""

    _generation: int | None = None

    def of_generation(self, number: int) -> Self:
        """The same store, whose manifest is that generation's, whichever answers."""
        view = type(self)(self.engine)
        view._generation = number
        return view

    # -- generations ---------------------------------------------------------------------------------------------

    def generations(self) -> list[Generation]:
        """All that are remembered, oldest first."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(t.generations).order_by(t.generations.c.number)).mappings()
            return [_generation(row) for row in rows]

    def live_generation(self, model: str | None) -> Generation:
        """The one that answers; the first is made when there is none.

        Args:
            model: the configured embedding model, None for the default: what the first one is made with.
        """
        live = sa.select(t.generations).where(t.generations.c.state == GenerationState.LIVE.value)
        with self._begin() as connection:
            row = connection.execute(live).mappings().first()
            # Serving processes ask every few seconds: only where something is missing is anything written.
            if row is None or row["model"] is None:
                now = time.time()
                first = {"number": 1, "state": GenerationState.LIVE.value, "created_at": now, "live_at": now}
                if row is None:
                    insert = self._insert(t.generations).values(model=model or "", **first)
                    connection.execute(insert.on_conflict_do_nothing())
                unknown = t.generations.c.model.is_(None)
                connection.execute(t.generations.update().where(unknown).values(model=model or ""))
                row = connection.execute(live).mappings().one()
            return _generation(row)

    def begin_generation(self, *, model: str | None, space: str, cut: str) -> Generation:
        """Remember that the next one is being built.

        Args:
            space: what makes its vectors comparable, `retrieval.chunk.space_of`.
            cut: version of the cutting into pieces.
        """
        with self._begin() as connection:
            number = self._next_number(connection)
            values = {"model": model or "", "space": space, "cut": cut, "created_at": time.time()}
            connection.execute(
                t.generations.insert().values(number=number, state=GenerationState.BUILDING.value, **values)
            )
            row = sa.select(t.generations).where(t.generations.c.number == number)
            return _generation(connection.execute(row).mappings().one())

    def _next_number(self, connection: sa.Connection) -> int:
        """One that no generation ever had: a process that still fills a forgotten one must not fill another with it."""
        given = connection.execute(sa.select(t.cursors.c.value).where(t.cursors.c.name == _NUMBERS)).scalar()
        highest = connection.execute(sa.select(sa.func.max(t.generations.c.number))).scalar()
        number = max(int(given or 0), highest or 0) + 1
        insert = self._insert(t.cursors).values(name=_NUMBERS, value=str(number))
        connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": str(number)}))
        return number

    def make_live(self, number: int) -> None:
        """From now on the generation that was being built answers, and the one that did is old: one transaction.

        Raises:
            StoreError: it is not being built any more. Nothing changed.
        """
        state = t.generations.c.state
        with self._begin() as connection:
            old = connection.execute(
                t.generations.update()
                .where(state == GenerationState.LIVE.value)
                .values(state=GenerationState.OLD.value)
            )
            new = connection.execute(
                t.generations.update()
                .where(t.generations.c.number == number, state == GenerationState.BUILDING.value)
                .values(state=GenerationState.LIVE.value, live_at=time.time())
            )
            if (old.rowcount, new.rowcount) != (1, 1):
                raise StoreError(
                    f"generation {number} of the index cannot answer",
                    why="another rebuild finished or replaced it meanwhile",
                    way_out="look at `rundown index status`, and rebuild again if need be",
                )

    def forget_generation(self, number: int) -> None:
        """Forget a generation that does not answer, and all that was in it.

        Raises:
            StoreError: it is the one that answers.
        """
        with self._begin() as connection:
            gone = connection.execute(
                t.generations.delete().where(
                    t.generations.c.number == number, t.generations.c.state != GenerationState.LIVE.value
                )
            )
            if gone.rowcount:
                for table in (t.indexed, t.syncs):
                    connection.execute(table.delete().where(table.c.generation == number))

    # -- documents -----------------------------------------------------------------------------------------------

    def manifest(self, source: str) -> dict[str, Indexed]:
        """Document id to what is indexed of it, for everything indexed from a source."""
        columns = (t.indexed.c.doc_id, t.indexed.c.digest, t.indexed.c.chunks, t.indexed.c.version)
        with self._begin() as connection:
            rows = connection.execute(sa.select(*columns).where(self._here(t.indexed), t.indexed.c.source == source))
            return {
                str(doc_id): Indexed(digest=digest, chunks=chunks, version=version)
                for doc_id, digest, chunks, version in rows
            }

    def sources(self) -> dict[str, int]:
        """How many documents are indexed from each source."""
        columns = (t.indexed.c.source, sa.func.count())
        with self._begin() as connection:
            rows = connection.execute(sa.select(*columns).where(self._here(t.indexed)).group_by(t.indexed.c.source))
            return {str(source): int(count) for source, count in rows}

    def set_indexed(self, source: str, doc_id: str, *, digest: str, chunks: int, version: str | None = None) -> None:
        """Remember that a document is in the index as `digest`, of that version of its source's."""
        values = {"digest": digest, "chunks": chunks, "version": version, "indexed_at": time.time()}
        self._put(t.indexed, {"source": source, "doc_id": doc_id}, values)

    def forget_indexed(self, source: str, doc_id: str) -> None:
        """Remember that a document is gone from the index."""
        with self._begin() as connection:
            connection.execute(
                t.indexed.delete().where(
                    self._here(t.indexed), t.indexed.c.source == source, t.indexed.c.doc_id == doc_id
                )
            )

    # -- syncs ---------------------------------------------------------------------------------------------------

    def note_sync(self, source: str, *, spec: str, began_at: float, error: str | None = None) -> None:
        """Remember that a source was synced, or why it was not.

        Args:
            spec: what `ingest.sources.open_source` opens it by.
            began_at: unix seconds when reading it began: what changed in it later may not be indexed.
        """
        values: dict[str, Any] = {"spec": spec, "error": error}
        if error is None:
            values["synced_at"] = began_at
        self._put(t.syncs, {"source": source}, values)

    def syncs(self) -> dict[str, Synced]:
        """Source to its last sync, for those synced since this is remembered."""
        columns = (t.syncs.c.source, t.syncs.c.spec, t.syncs.c.synced_at, t.syncs.c.error)
        with self._begin() as connection:
            rows = connection.execute(sa.select(*columns).where(self._here(t.syncs)).order_by(t.syncs.c.source))
            return {
                source: Synced(spec=spec, synced_at=None if at is None else from_unix(at), error=error)
                for source, spec, at, error in rows
            }

    def forget_sync(self, source: str) -> None:
        """Remember that a source is not wanted any more."""
        with self._begin() as connection:
            connection.execute(t.syncs.delete().where(self._here(t.syncs), t.syncs.c.source == source))

    def _here(self, table: sa.Table) -> Any:
        return table.c.generation == self._number()

    def _number(self) -> Any:
        """The generation in question, as SQL: asked for in the same transaction that uses it. 0 where there are none."""
        if self._generation is not None:
            return sa.literal(self._generation)
        live = sa.select(t.generations.c.number).where(t.generations.c.state == GenerationState.LIVE.value)
        return sa.func.coalesce(live.scalar_subquery(), 0)

    def _put(self, table: sa.Table, key: dict[str, str], values: dict[str, Any]) -> None:
        insert = self._insert(table).values(generation=self._number(), **key, **values)
        with self._begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["generation", *key], set_=values))


def _generation(row: Any) -> Generation:
    return Generation(
        number=row["number"],
        state=GenerationState(row["state"]),
        model=row["model"] or None,
        space=row["space"],
        cut=row["cut"],
        created_at=from_unix(row["created_at"]),
        live_at=None if row["live_at"] is None else from_unix(row["live_at"]),
    )
