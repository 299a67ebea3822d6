"""The store's tables, as SQLAlchemy Core knows them. Migrations create them; a test proves the two agree.

Times are unix seconds as floats: the two databases agree on nothing else about time.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

#: Everything an edge accepted, raw, before anything else happened to it.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.String(32), nullable=False),
    #: The sender's own id. Kept for ever: PagerDuty's signature has no timestamp, so a captured request replays for ever.
    sa.Column("event_id", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="new"),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("source", "event_id", name="inbox_once"),
    sa.Index("inbox_state", "state"),
)

#: What happened to each incident, normalised.
incident_events = sa.Table(
    "incident_events",
    metadata,
    sa.Column("event_id", sa.String(255), primary_key=True),
    sa.Column("incident_id", sa.String(255), nullable=False, index=True),
    sa.Column("occurred_at", sa.Float, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

#: The fold of those events; derived, kept for look-ups.
incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("service", sa.String(255)),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    #: The Slack channel id its card lives in.
    sa.Column("channel", sa.String(32)),
)

#: What each step of an investigation found: evidence, ranking, drafts. One row a step, replaced when the step runs again.
findings = sa.Table(
    "findings",
    metadata,
    sa.Column("incident_id", sa.String(255), primary_key=True),
    sa.Column("step", sa.String(64), primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

#: Messages Slack should show, and what is known of whether it does.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("key", sa.String(255), primary_key=True),
    #: Opaque id carried in the message's metadata, by which a lost answer is found again.
    sa.Column("token", sa.String(64), nullable=False, unique=True),
    sa.Column("incident_id", sa.String(255), index=True),
    sa.Column("channel", sa.String(32), nullable=False),
    #: The key of the message in whose thread it goes.
    sa.Column("parent", sa.String(255)),
    #: A thread that is not ours, by its ts; used when somebody asks in a thread we did not start.
    sa.Column("thread_ts", sa.String(32)),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sent_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("state", sa.String(16), nullable=False, server_default="pending"),
    sa.Column("ts", sa.String(32)),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("first_sent_at", sa.Float),
    sa.Column("sent_at", sa.Float),
    sa.Index("outbox_ts", "channel", "ts"),
)

#: Thumbs, one a person and item; the latest stands.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("incident_id", sa.String(255), primary_key=True),
    sa.Column("item", sa.String(255), primary_key=True),
    sa.Column("person", sa.String(255), primary_key=True),
    sa.Column("vote", sa.String(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("release", sa.String(255), nullable=False),
    #: What they judged, redacted: the training row.
    sa.Column("body", sa.JSON, nullable=False),
)

#: Where a repeating task stands, for example the poller's last time.
cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: What has been indexed, by source: the manifest the vector index is rebuilt and checked from.
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("source", sa.String(512), primary_key=True),
    sa.Column("doc_id", sa.String(512), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("indexed_at", sa.Float, nullable=False),
)
