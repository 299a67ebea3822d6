"""Past incidents for the tests: written by hand, cut and stored as `rundown ingest` stores them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from retrieval_world import EMBEDDER

from core.access import PUBLIC, Audience
from core.model import Document, Incident, Tier
from core.store import open_store
from ingest.sources import ListSource
from ingest.sync import Ingestor
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever
from retrieval.similar import Similar, find_similar
from retrieval.story import ALERT, Said, Story, tell

#: The incident that the tests ask about.
NOW = datetime.fromisoformat("2026-08-20T09:30:00+00:00")
ASKED = Incident(
    id="pd:QNOW",
    title="[FIRING:1] Checkout answers 500 on web-4",
    description="connection pool exhausted\nlabels.alertname: CheckoutErrors",
    service="checkout",
    created_at=NOW,
)


class Past:
    """An index of past incidents that documents can be put into and taken from."""

    def __init__(self, folder: Path) -> None:
        self._store, self._index = open_store(f"sqlite:///{folder / 'past.sqlite'}"), EdgeIndex(folder / "index")
        self._ingestor = Ingestor(self._store, self._index, EMBEDDER)
        self.retriever = Retriever(self._index, EMBEDDER)

    def put(self, source: str, *documents: Document) -> None:
        """Make the source hold these documents and no others."""
        self._ingestor.sync(ListSource(source, *documents))

    def close(self) -> None:
        """Give files back."""
        self._index.close()
        self._store.close()

    def ask(self, incident: Incident = ASKED, *, audience: Audience = PUBLIC, **options: Any) -> Similar:
        """What is similar."""
        return find_similar(self.retriever, incident, audience=audience, **options)


@contextmanager
def past_of(folder: Path, *documents: Document, source: str = "pagerduty:api") -> Iterator[Past]:
    """An index that holds these."""
    folder.mkdir(exist_ok=True)
    past = Past(folder)
    try:
        if documents:
            past.put(source, *documents)
        yield past
    finally:
        past.close()


def record(doc_id: str, at: str | datetime, **changes: Any) -> Document:
    """What our own sources write of an incident of `ASKED`'s alert and service, unless told otherwise."""
    began = datetime.fromisoformat(at) if isinstance(at, str) else at
    facts: dict[str, Any] = {
        "title": "[FIRING:2] Checkout answers 503 on web-1",
        "service": "checkout",
        "alert": ((ALERT, "CheckoutErrors"),),
        "description": "connection pool exhausted",
        "notes": (Said(at=began + timedelta(minutes=5), author="Anna Ito", text=f"rolled back {doc_id}, errors fall"),),
    }
    readers = changes.pop("readers", ("*",))
    story = Story(began=began, ended=began + timedelta(minutes=42), **(facts | changes))
    return Document(
        id=doc_id,
        source="",
        title=story.title,
        text=tell(story),
        tier=Tier.PAST_INCIDENT,
        service=story.service,
        occurred_at=story.ended,
        readers=readers,
    )


def report(doc_id: str, day: str | None, title: str, text: str, **changes: Any) -> Document:
    """A postmortem that somebody wrote, of a day."""
    at = datetime.fromisoformat(f"{day}T23:59:59+00:00") if day else None
    return Document(id=doc_id, source="", title=title, text=text, tier=Tier.PAST_INCIDENT, occurred_at=at, **changes)
