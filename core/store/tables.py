"""The store's tables, as SQLAlchemy Core knows them. Migrations create them; a test proves the two agree.

Times are unix seconds as floats: the two databases agree on nothing else about time.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


class Words(sa.TypeDecorator[str]):
    """Text from outside. What a database cannot hold (NUL in Postgres, half a surrogate pair in either) is replaced, not refused."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """The nearest text that both databases take."""
        return None if value is None else value.replace("\x00", "\ufffd").encode(errors="replace").decode()


class Prose(Words):
    """The same without a limit on its length."""

    impl = sa.Text
    cache_ok = True


#: Everything an edge accepted, raw, before anything else happened to it.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.String(32), nullable=False),
    #: The sender's own id. Kept for ever: PagerDuty's signature has no timestamp, so a captured request replays for ever.
    sa.Column("event_id", Words(255), nullable=False),
    sa.Column("kind", Words(64), nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="new"),
    sa.Column("error", Prose),
    sa.UniqueConstraint("source", "event_id", name="inbox_once"),
    sa.Index("inbox_state", "state"),
)

#: What happened to each incident, normalised.
incident_events = sa.Table(
    "incident_events",
    metadata,
    sa.Column("event_id", Words(255), primary_key=True),
    sa.Column("incident_id", Words(255), nullable=False, index=True),
    sa.Column("occurred_at", sa.Float, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

#: The fold of those events; derived, kept for look-ups.
incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", Words(255), primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("service", Words(255)),
    sa.Column("title", Prose, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    #: The Slack channel id its card lives in.
    sa.Column("channel", sa.String(32)),
)

#: What each step of an investigation found: evidence, ranking, drafts. One row a step, replaced when the step runs again.
findings = sa.Table(
    "findings",
    metadata,
    sa.Column("incident_id", Words(255), primary_key=True),
    sa.Column("step", sa.String(64), primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

#: Messages Slack should show, and what is known of whether it does.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("key", Words(255), primary_key=True),
    #: Opaque id carried in the message's metadata, by which a lost answer is found again.
    sa.Column("token", sa.String(64), nullable=False, unique=True),
    sa.Column("incident_id", Words(255), index=True),
    sa.Column("channel", sa.String(32), nullable=False),
    #: The key of the message in whose thread it goes.
    sa.Column("parent", Words(255)),
    #: A thread that is not ours, by its ts; used when somebody asks in a thread we did not start.
    sa.Column("thread_ts", sa.String(32)),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sent_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("state", sa.String(16), nullable=False, server_default="pending"),
    sa.Column("ts", sa.String(32)),
    sa.Column("error", Prose),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("first_sent_at", sa.Float),
    sa.Column("sent_at", sa.Float),
    sa.Index("outbox_ts", "channel", "ts"),
)

#: Thumbs, one a person and item; the latest stands.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("incident_id", Words(255), primary_key=True),
    sa.Column("item", Words(255), primary_key=True),
    sa.Column("person", Words(255), primary_key=True),
    sa.Column("vote", sa.String(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("release", Words(255), nullable=False),
    #: What they judged, redacted: the training row.
    sa.Column("body", sa.JSON, nullable=False),
)

#: Where a repeating task stands, for example the poller's last time.
cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", Words(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: Generations of the index of documents: each a whole index, of which one answers.
generations = sa.Table(
    "generations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False),
    #: The setting its embedding model was named by: empty for the default, null where nobody wrote it down.
    sa.Column("model", Words(512)),
    #: What its vectors and its pieces are made with; null for one that was never rebuilt.
    sa.Column("space", Prose),
    sa.Column("cut", sa.String(64)),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("live_at", sa.Float),
)

#: What has been indexed, by generation and source: the manifest the vector index is rebuilt and checked from.
indexed = sa.Table(
    "indexed",
    metadata,
    #: 0 in a store whose index has no generations.
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("source", Words(512), primary_key=True),
    sa.Column("doc_id", Words(512), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("indexed_at", sa.Float, nullable=False),
    #: The source's own mark of what was stored (`core.model.Document.version`); null where it gives none.
    sa.Column("version", Prose),
)

#: How the last sync of each source went.
syncs = sa.Table(
    "syncs",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("source", Words(512), primary_key=True),
    #: What the source is opened by.
    sa.Column("spec", Prose, nullable=False),
    #: When the last one that succeeded began.
    sa.Column("synced_at", sa.Float),
    #: Why the last one failed, if it did.
    sa.Column("error", Prose),
)
