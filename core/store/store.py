"""The store's doors: one named method for each thing the product remembers.

Does: short transactions on SQLite (write-ahead log, every commit on disk) or Postgres; every write may be repeated.
Does not: decide what to write, or call anybody.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.errors import StoreError
from core.incidents import fold
from core.model import Feedback, Incident, IncidentEvent, Status, from_json, to_json
from core.store import tables as t
from core.store.manifest import Manifest
from core.store.opening import open_database, reason
from core.store.rows import InboxRow, Message, MessageState


def open_store(url: str) -> Store:
    """Open the store at a SQLAlchemy URL and bring its tables up to date.

    Raises:
        StoreError: the database cannot be opened or migrated.
    """
    return Store(open_database(url))


class Store(Manifest):
    """Everything remembered. Safe to share between threads; each method is one transaction."""

    #: Another number after each `record_feedback` by this object, so that what was made of feedback is made again.
    thumbs = 0

    # -- inbox ---------------------------------------------------------------------------------------------------

    def receive(self, *, source: str, event_id: str, kind: str, raw: bytes) -> tuple[int, bool]:
        """Keep one request before it is acknowledged.

        Returns:
            The row's id, and whether it is new (False: this event id was accepted before).
        """
        with self._begin() as connection:
            insert = self._insert(t.inbox).values(
                source=source, event_id=event_id, kind=kind, raw=raw, received_at=time.time(), state="new"
            )
            row = connection.execute(insert.on_conflict_do_nothing().returning(t.inbox.c.id)).scalar()
            if row is not None:
                return int(row), True
            known = sa.select(t.inbox.c.id).where(t.inbox.c.source == source, t.inbox.c.event_id == event_id)
            return int(connection.execute(known).scalar_one()), False

    def inbox_row(self, row_id: int) -> InboxRow:
        """One accepted request by its id."""
        with self._begin() as connection:
            row = connection.execute(sa.select(t.inbox).where(t.inbox.c.id == row_id)).mappings().one()
        return InboxRow(**row)

    def unfinished_inbox(self) -> list[int]:
        """Ids of requests accepted and not yet dealt with, oldest first."""
        with self._begin() as connection:
            return list(
                connection.execute(
                    sa.select(t.inbox.c.id).where(t.inbox.c.state == "new").order_by(t.inbox.c.id)
                ).scalars()
            )

    def finish_inbox(self, row_id: int, *, error: str | None = None) -> None:
        """Mark a request dealt with, or given up with its reason."""
        with self._begin() as connection:
            connection.execute(
                t.inbox.update().where(t.inbox.c.id == row_id).values(state="failed" if error else "done", error=error)
            )

    def inbox_counts(self) -> dict[str, int]:
        """How many requests stand in each state."""
        with self._begin() as connection:
            return {
                str(state): int(count)
                for state, count in connection.execute(
                    sa.select(t.inbox.c.state, sa.func.count()).group_by(t.inbox.c.state)
                )
            }

    # -- incidents -----------------------------------------------------------------------------------------------

    def record_events(self, events: Iterable[IncidentEvent]) -> list[Incident]:
        """Keep what happened and fold it in; the incidents as they now stand, one each."""
        events = list(events)
        touched = list(dict.fromkeys(event.incident_id for event in events))
        with self._begin() as connection:
            self._lock(connection, touched)
            for event in events:
                row = self._insert(t.incident_events).values(
                    event_id=event.event_id,
                    incident_id=event.incident_id,
                    occurred_at=event.occurred_at.timestamp(),
                    body=to_json(event),
                )
                connection.execute(row.on_conflict_do_nothing())
            return [self._fold(connection, incident_id) for incident_id in touched]

    def _lock(self, connection: sa.Connection, incident_ids: Iterable[str]) -> None:
        """One writer an incident at a time, else two would each fold without the other's event. SQLite has one writer anyway."""
        if self.engine.dialect.name == "postgresql":
            for incident_id in sorted(incident_ids):
                key = sa.func.hashtextextended(incident_id, 0)
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def _fold(self, connection: sa.Connection, incident_id: str) -> Incident:
        bodies = connection.execute(
            sa.select(t.incident_events.c.body).where(t.incident_events.c.incident_id == incident_id)
        ).scalars()
        incident = fold(from_json(IncidentEvent, body) for body in bodies)
        assert incident is not None, f"no events of {incident_id!r} right after recording one"
        values = {
            "created_at": incident.created_at.timestamp(),
            "status": incident.status.value,
            "service": incident.service,
            "title": incident.title,
            "body": to_json(incident),
        }
        insert = self._insert(t.incidents).values(id=incident_id, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))
        return incident

    def incident(self, incident_id: str) -> Incident | None:
        """One incident as it now stands."""
        with self._begin() as connection:
            body = connection.execute(sa.select(t.incidents.c.body).where(t.incidents.c.id == incident_id)).scalar()
        return from_json(Incident, body) if body else None

    def incident_events(self, incident_id: str) -> list[IncidentEvent]:
        """Its events by time of occurrence: the timeline of a postmortem."""
        with self._begin() as connection:
            query = (
                sa.select(t.incident_events.c.body)
                .where(t.incident_events.c.incident_id == incident_id)
                .order_by(t.incident_events.c.occurred_at, t.incident_events.c.event_id)
            )
            return [from_json(IncidentEvent, body) for body in connection.execute(query).scalars()]

    def incidents(self, *, before: datetime | None = None, limit: int = 50) -> list[Incident]:
        """The latest incidents opened before a time, newest first."""
        query = sa.select(t.incidents.c.body).order_by(t.incidents.c.created_at.desc()).limit(limit)
        if before is not None:
            query = query.where(t.incidents.c.created_at < before.timestamp())
        with self._begin() as connection:
            return [from_json(Incident, body) for body in connection.execute(query).scalars()]

    def set_channel(self, incident_id: str, channel: str) -> None:
        """Remember where an incident's card lives."""
        with self._begin() as connection:
            connection.execute(t.incidents.update().where(t.incidents.c.id == incident_id).values(channel=channel))

    def move_card(self, key: str, channel: str, *, before: str) -> bool:
        """Let an incident's card live in another channel, with those of its messages that Slack never showed in the one before.

        Args:
            key: the card's.
            before: the channel it leaves. One that lives elsewhere by now is not moved.

        Returns:
            Whether it was moved: not if Slack shows it, or may show it, since it is on its way.
        """
        unsettled = (MessageState.SENDING.value, MessageState.AMBIGUOUS.value)
        unshown = (t.outbox.c.channel == before, t.outbox.c.ts.is_(None), t.outbox.c.state.not_in(unsettled))
        moved = t.outbox.update().values(channel=channel, state=MessageState.PENDING.value, error=None)
        with self._begin() as connection:
            card = moved.where(t.outbox.c.key == key, *unshown).returning(t.outbox.c.incident_id)
            incident_id = connection.execute(card).scalar()
            if incident_id is None:
                return False
            connection.execute(moved.where(t.outbox.c.incident_id == incident_id, *unshown))
            connection.execute(t.incidents.update().where(t.incidents.c.id == incident_id).values(channel=channel))
            return True

    def channel_of(self, incident_id: str) -> str | None:
        """The Slack channel id its card lives in."""
        with self._begin() as connection:
            return connection.execute(sa.select(t.incidents.c.channel).where(t.incidents.c.id == incident_id)).scalar()

    def incidents_unshown(self) -> list[str]:
        """Ids of incidents whose card has no place in Slack yet, oldest first."""
        # One typed in Slack gets its channel from where it was typed, never from here.
        homeless = sa.and_(t.incidents.c.channel.is_(None), t.incidents.c.id.not_like("slack:%"))
        query = sa.select(t.incidents.c.id).where(homeless).order_by(t.incidents.c.created_at)
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def incidents_without(self, step: str) -> list[str]:
        """Ids of incidents that are not resolved and whose investigation has not come to a step, oldest first."""
        done = sa.select(t.findings.c.incident_id).where(t.findings.c.step == step)
        waiting = sa.and_(t.incidents.c.status != Status.RESOLVED.value, t.incidents.c.id.not_in(done))
        query = sa.select(t.incidents.c.id).where(waiting).order_by(t.incidents.c.created_at)
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def homes_since(self, began: datetime) -> dict[str, str]:
        """Id to the Slack channel of its card, for incidents created since a time that have one, oldest first."""
        lately = sa.and_(t.incidents.c.created_at >= began.timestamp(), t.incidents.c.channel.is_not(None))
        query = sa.select(t.incidents.c.id, t.incidents.c.channel).where(lately).order_by(t.incidents.c.created_at)
        with self._begin() as connection:
            return {str(incident_id): str(channel) for incident_id, channel in connection.execute(query)}

    def incident_in(self, channel: str) -> Incident | None:
        """The newest incident whose card lives in a channel."""
        query = (
            sa.select(t.incidents.c.body)
            .where(t.incidents.c.channel == channel)
            .order_by(t.incidents.c.created_at.desc())
            .limit(1)
        )
        with self._begin() as connection:
            body = connection.execute(query).scalar()
        return from_json(Incident, body) if body else None

    # -- findings ------------------------------------------------------------------------------------------------

    def save_finding(self, incident_id: str, step: str, body: Any) -> None:
        """Keep what a step found, as JSON; a repeated step replaces it."""
        with self._begin() as connection:
            values = {"body": body, "at": time.time()}
            insert = self._insert(t.findings).values(incident_id=incident_id, step=step, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["incident_id", "step"], set_=values))

    def findings(self, incident_id: str) -> dict[str, Any]:
        """What each finished step found."""
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(t.findings.c.step, t.findings.c.body).where(t.findings.c.incident_id == incident_id)
            )
            return {str(step): body for step, body in rows}

    # -- outbox --------------------------------------------------------------------------------------------------

    def want_message(
        self,
        key: str,
        *,
        channel: str,
        body: dict[str, Any],
        incident_id: str | None = None,
        parent: str | None = None,
        thread_ts: str | None = None,
    ) -> Message:
        """Say what a message should show. A body that differs from the last raises its version; the same one changes nothing."""
        with self._begin() as connection:
            insert = self._insert(t.outbox).values(
                key=key,
                token=secrets.token_hex(16),
                incident_id=incident_id,
                channel=channel,
                parent=parent,
                thread_ts=thread_ts,
                body=body,
                version=1,
                state=MessageState.PENDING.value,
                created_at=time.time(),
            )
            if connection.execute(insert.on_conflict_do_nothing().returning(t.outbox.c.key)).scalar() is None:
                row = connection.execute(
                    sa.select(t.outbox.c.body).where(t.outbox.c.key == key).with_for_update()
                ).scalar_one()
                if row != body:
                    connection.execute(
                        t.outbox.update().where(t.outbox.c.key == key).values(body=body, version=t.outbox.c.version + 1)
                    )
            return _message(connection, t.outbox.c.key == key)

    def message(self, key: str) -> Message | None:
        """One message by its key."""
        with self._begin() as connection:
            row = connection.execute(sa.select(t.outbox).where(t.outbox.c.key == key)).mappings().first()
        return Message(**{**row, "state": MessageState(row["state"])}) if row else None

    def message_at(self, channel: str, ts: str) -> Message | None:
        """The message Slack shows at a place, if it is ours."""
        with self._begin() as connection:
            row = (
                connection.execute(sa.select(t.outbox).where(t.outbox.c.channel == channel, t.outbox.c.ts == ts))
                .mappings()
                .first()
            )
        return Message(**{**row, "state": MessageState(row["state"])}) if row else None

    def mark_message(
        self,
        key: str,
        state: MessageState,
        *,
        ts: str | None = None,
        version: int | None = None,
        error: str | None = None,
    ) -> None:
        """Write down how far a message has got.

        Args:
            ts: Slack's id of the message, once known.
            version: the version Slack now shows; set with SENT.
            error: what Slack said, with FAILED or AMBIGUOUS.
        """
        values: dict[str, Any] = {"state": state.value, "error": error}
        if ts is not None:
            values["ts"] = ts
        if version is not None:
            now = time.time()
            values |= {
                "sent_version": version,
                "sent_at": now,
                "first_sent_at": sa.func.coalesce(t.outbox.c.first_sent_at, now),
            }
        with self._begin() as connection:
            connection.execute(t.outbox.update().where(t.outbox.c.key == key).values(**values))

    def unsent_messages(self) -> list[str]:
        """Keys of messages that Slack does not show as wanted, oldest first; those given up are left out."""
        query = (
            sa.select(t.outbox.c.key)
            .where(t.outbox.c.sent_version < t.outbox.c.version, t.outbox.c.state != MessageState.FAILED.value)
            .order_by(t.outbox.c.created_at)
        )
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def loose_messages(self, wanted_since: datetime) -> dict[str, list[str]]:
        """Channel to the keys of messages of no incident that Slack shows, first wanted since a time, oldest first."""
        lately = (t.outbox.c.incident_id.is_(None), t.outbox.c.created_at >= wanted_since.timestamp())
        query = sa.select(t.outbox.c.channel, t.outbox.c.key).where(*lately, t.outbox.c.ts.is_not(None))
        found: dict[str, list[str]] = {}
        with self._begin() as connection:
            for channel, key in connection.execute(query.order_by(t.outbox.c.created_at)):
                found.setdefault(str(channel), []).append(str(key))
        return found

    def outbox_counts(self) -> dict[str, int]:
        """How many messages stand in each state."""
        with self._begin() as connection:
            return {
                str(state): int(count)
                for state, count in connection.execute(
                    sa.select(t.outbox.c.state, sa.func.count()).group_by(t.outbox.c.state)
                )
            }

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """Hold a name against every other process on this database while the block runs; wait if another holds it.

        A killed process lets go. SQLite belongs to one process, where a lock of its own does the same.
        """
        if self.engine.dialect.name != "postgresql":
            yield
            return
        name_key = sa.func.hashtextextended(name, 0)
        with self._connected() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(name_key)))
            connection.commit()
        try:
            yield
        finally:
            try:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(name_key)))
                connection.commit()
            except sa.exc.SQLAlchemyError:
                connection.invalidate()  # closed rather than given back: the lock goes with it
            connection.close()

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        """A connection that outlives the block, unless the block fails."""
        try:
            connection = self.engine.connect()
            try:
                yield connection
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
        except sa.exc.SQLAlchemyError as error:
            raise StoreError("the store refused", why=reason(error), way_out="check the database") from error

    def messages(self, incident_id: str) -> list[Message]:
        """Every message of one incident, oldest first."""
        query = sa.select(t.outbox).where(t.outbox.c.incident_id == incident_id).order_by(t.outbox.c.created_at)
        with self._begin() as connection:
            return [
                Message(**{**row, "state": MessageState(row["state"])}) for row in connection.execute(query).mappings()
            ]

    # -- feedback ------------------------------------------------------------------------------------------------

    def record_feedback(self, item: Feedback, *, training_row: dict[str, Any]) -> bool:
        """Keep one person's word on one item; a later word of theirs replaces the first, whichever arrives first.

        Args:
            training_row: what they judged, already redacted.

        Returns:
            Whether this is their first word on it.
        """
        values = {
            "vote": item.vote.value,
            "at": item.at.timestamp(),
            "release": item.release,
            "body": {**to_json(item), "judged": training_row},
        }
        where = sa.and_(
            t.feedback.c.incident_id == item.incident_id,
            t.feedback.c.item == item.item,
            t.feedback.c.person == item.person,
        )
        with self._begin() as connection:
            insert = self._insert(t.feedback).values(
                incident_id=item.incident_id, item=item.item, person=item.person, **values
            )
            fresh = (
                connection.execute(insert.on_conflict_do_nothing().returning(t.feedback.c.item)).scalar() is not None
            )
            if not fresh:
                connection.execute(t.feedback.update().where(where, t.feedback.c.at <= values["at"]).values(**values))
        self.thumbs += 1
        return fresh

    def feedback(self, incident_id: str | None = None) -> list[dict[str, Any]]:
        """Feedback rows as JSON, oldest first: the Feedback's fields and `judged`."""
        query = sa.select(t.feedback.c.body).order_by(t.feedback.c.at)
        if incident_id is not None:
            query = query.where(t.feedback.c.incident_id == incident_id)
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    # -- cursors -------------------------------------------------------------------------------------------------

    def cursor(self, name: str) -> str | None:
        """Where a repeating task stands."""
        with self._begin() as connection:
            return connection.execute(sa.select(t.cursors.c.value).where(t.cursors.c.name == name)).scalar()

    def set_cursor(self, name: str, value: str) -> None:
        """Remember where a repeating task stands."""
        with self._begin() as connection:
            insert = self._insert(t.cursors).values(name=name, value=value)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def _message(connection: sa.Connection, where: Any) -> Message:
    row = connection.execute(sa.select(t.outbox).where(where)).mappings().one()
    return Message(**{**row, "state": MessageState(row["state"])})
