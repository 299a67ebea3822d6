"""What the index holds and what may be asked of it, in words that no engine owns.

Does: define a stored piece (`Chunk`, `Vectors`), what was found (`Hit`), what to look for (`View`) and within which bounds
(`Scope`), and turn a piece into the payload that both engines store, and back.
Does not: talk to Qdrant.
"""

from __future__ import annotations

import functools
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, NamedTuple

from core.access import Audience
from core.errors import IndexUnavailable
from core.model import Tier, from_unix
from retrieval.embedding import Embedder
from retrieval.places import place_keys
from retrieval.sparse import VERSION, Sparse

#: How many pieces each view lists.
DEPTH = 100
#: Pieces a single write carries.
WRITE_BATCH = 256

#: The time of day that stands for a whole day.
_DAYS_END = time(23, 59, 59)

#: Namespace of point ids, so that a piece has the same id whenever and wherever it is stored.
_POINTS = uuid.UUID("6f2c8a4e-0b51-4a53-9a39-3f5d1f6f7b11")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One piece of one document, as the index keeps it."""

    source: str
    doc_id: str
    #: Place in the document, from 0, and how many pieces the document has.
    number: int
    of: int
    title: str
    #: The heading path inside the document, outermost first.
    section: tuple[str, ...]
    text: str
    #: Its document's.
    tier: Tier
    #: What the document's content was when this was stored; the same for all its pieces.
    digest: str
    #: What made the vectors (see `space_of`).
    space: str
    url: str | None = None
    service: str | None = None
    updated_at: datetime | None = None
    occurred_at: datetime | None = None
    readers: tuple[str, ...] = ()
    reviewed_at: datetime | None = None
    runbook_url: str | None = None
    #: The tier of what it repeats, where that is trusted less than its document. Searches go by the document's.
    own_tier: Tier | None = None

    @functools.cached_property
    def id(self) -> str:
        """The point's id: the same for the same place in the same document, so storing twice stores once."""
        return piece_id(self.source, self.doc_id, self.number)

    @property
    def told(self) -> str:
        """What words are looked for in: title, heading path and text."""
        return "\n".join((self.title, *self.section, self.text))


def piece_id(source: str, doc_id: str, number: int) -> str:
    """The `Chunk.id` of a place in a document, whether it is stored or not."""
    return str(uuid.uuid5(_POINTS, f"{source}\n{doc_id}\n{number}"))


def is_piece_id(text: str) -> bool:
    """Whether a text could be a `Chunk.id`."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What a piece is found by."""

    #: What it means, by the embedding model.
    meaning: tuple[float, ...]
    #: The words in its title, heading path and text.
    words: Sparse
    #: The words of the document's title and id, on its first piece: an alert is most often the name of its runbook. On every
    #: piece, one long document would fill the list of that view.
    name: Sparse | None


class Seen(NamedTuple):
    """A piece that one view listed, as little of it as ordering needs. A search makes hundreds: a plain tuple is cheapest."""

    #: `Chunk.id`.
    piece: str
    #: Its document, by source and id.
    document: tuple[str, str]
    #: A cosine, or a sum of BM25 weights: higher is better, comparable within one list only.
    score: float
    #: The tier of its document, as it is stored.
    tier: str = ""

    @property
    def doc_id(self) -> str:
        """The document's id in its source."""
        return self.document[1]


@dataclass(frozen=True, kw_only=True)
class View:
    """One way of looking: what is nearest to a vector, by one of the three that pieces have."""

    by: Literal["meaning", "words", "name"]
    vector: tuple[float, ...] | Sparse
    #: What people call it, where a search is explained.
    label: str = ""
    #: How much it counts beside the others.
    weight: float = 1.0
    #: Look among this service's documents only.
    service: str | None = None

    def within(self, wanted: dict[str, list[str]]) -> dict[str, list[str]]:
        """What `Scope.wanted` says, and this view's own bound."""
        return wanted | {"service": [self.service]} if self.service else wanted


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The bounds of a search. They are part of the query: nothing outside them is ever fetched."""

    #: Who will see what is found: a document is seen only if all of them may read it. Nobody known, nothing seen.
    audience: Audience
    #: Only these tiers; None for all.
    tiers: tuple[Tier, ...] | None = None
    #: Only what existed before this time: a document that tells of something at or after it, or was changed at or after
    #: it, is left out. One that tells no time is taken to have existed.
    before: datetime | None = None
    #: Only this document, by source and id.
    document: tuple[str, str] | None = None

    def wanted(self, accesses: Iterable[str]) -> dict[str, list[str]]:
        """Payload field to the values of which it must hold one.

        Args:
            accesses: the values of "access" that the index holds. A piece whose value is not among them, because it has
                none or a new one, is not seen.
        """
        wanted = {"access": [value for value in accesses if self.audience.may_read(value.split("\n"))]}
        if self.tiers is not None:
            wanted["tier"] = [tier.value for tier in self.tiers]
        if self.document is not None:
            wanted["source"], wanted["doc_id"] = [self.document[0]], [self.document[1]]
        return wanted


def allows(scope: Scope, chunk: Chunk) -> bool:
    """Whether a piece that was not searched for, but read by its id, is within the bounds: what the engines' filters say in a query."""
    known_at = _known_at(chunk)
    return (
        scope.audience.may_read(chunk.readers)
        and (scope.tiers is None or chunk.tier in scope.tiers)
        and (scope.before is None or known_at is None or known_at < scope.before)
        and scope.document in (None, (chunk.source, chunk.doc_id))
    )


def other_tiers(wanted: Sequence[str] | None) -> list[str]:
    """The tiers that a scope leaves out: a filter that excludes these few is a third faster than one that names the wanted.

    Args:
        wanted: the tiers allowed; None for all.
    """
    return [] if wanted is None else [tier.value for tier in Tier if tier.value not in wanted]


#: Payload fields that filters use, with the kind of index each needs.
INDEXED = {
    "source": "keyword",
    "doc_id": "keyword",
    "number": "integer",
    "tier": "keyword",
    "service": "keyword",
    "access": "keyword",
    "places": "keyword",
    "known_at": "float",
}


def to_payload(chunk: Chunk) -> dict[str, Any]:
    """What is stored beside the vectors. `known_at` is the first moment at which the piece could have been read."""
    times = {"updated_at": chunk.updated_at, "occurred_at": chunk.occurred_at}
    seconds = {name: at.timestamp() for name, at in times.items() if at is not None}
    known_at = _known_at(chunk)
    payload: dict[str, Any] = {
        "source": chunk.source,
        "doc_id": chunk.doc_id,
        "number": chunk.number,
        "of": chunk.of,
        "title": chunk.title,
        "section": list(chunk.section),
        "text": chunk.text,
        "tier": chunk.tier.value,
        "digest": chunk.digest,
        "space": chunk.space,
        # One value for a whole list of readers: a search asks for the few lists that its audience may read, however many
        # people are in the channel.
        "access": "\n".join(sorted(set(chunk.readers))),
        **seconds,
    }
    optional = {
        "url": chunk.url,
        "service": chunk.service,
        "known_at": None if known_at is None else known_at.timestamp(),
        "reviewed_at": None if chunk.reviewed_at is None else chunk.reviewed_at.timestamp(),
        "runbook_url": chunk.runbook_url,
        "own_tier": None if chunk.own_tier is None else chunk.own_tier.value,
    }
    if chunk.number == 0:
        # Once a document: an alert's runbook_url is looked up by them.
        payload["places"] = list(dict.fromkeys((*place_keys(chunk.url or ""), *place_keys(chunk.doc_id))))
    return payload | {name: value for name, value in optional.items() if value is not None}


def _known_at(chunk: Chunk) -> datetime | None:
    """The first moment at which a piece could have been read.

    A page that tells only the day it was changed bears that day's last second (`ingest.postmortem.as_time`): taken as it is, a
    runbook reviewed today would be hidden from all of today's incidents. It counts from the day's start. Not a report, which
    stays hidden to the day's end: an incident of that day must never find its own.
    """
    updated = chunk.updated_at
    if updated is not None and chunk.tier is not Tier.PAST_INCIDENT and updated.astimezone(UTC).time() == _DAYS_END:
        updated += timedelta(seconds=1) - timedelta(days=1)
    return max((at for at in (updated, chunk.occurred_at) if at is not None), default=None)


#: What `document_of` needs of a piece.
DOCUMENT_FIELDS = ["source", "doc_id", "tier"]


def document_of(payload: Mapping[str, Any]) -> tuple[tuple[str, str], str]:
    """The document that a piece belongs to, by source and id; and its tier.

    Raises:
        IndexUnavailable: the piece is damaged.
    """
    try:
        return (payload["source"], payload["doc_id"]), payload["tier"]
    except KeyError as error:
        raise _damaged(f"a piece has lost its {error}") from error


def meaning_from(vectors: Mapping[str, Any]) -> tuple[float, ...]:
    """The vector of meaning of a point that an engine read.

    Raises:
        IndexUnavailable: the point is damaged.
    """
    if "meaning" not in vectors:
        raise _damaged("a piece has lost its vector")
    return tuple(vectors["meaning"])


def from_payload(payload: Mapping[str, Any]) -> Chunk:
    """The piece that `to_payload` wrote.

    Raises:
        IndexUnavailable: the payload is damaged.
    """
    try:
        return _from_payload(payload)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(f"a piece cannot be read: {type(error).__name__} {error}") from error


def _damaged(why: str) -> IndexUnavailable:
    return IndexUnavailable(
        "the index is damaged", why=why, way_out="delete it and run `rundown ingest`: it is rebuilt from the sources"
    )


def _from_payload(payload: Mapping[str, Any]) -> Chunk:
    times = {
        name: from_unix(payload[name])
        for name in ("updated_at", "occurred_at", "reviewed_at")
        if payload.get(name) is not None
    }
    return Chunk(
        source=payload["source"],
        doc_id=payload["doc_id"],
        number=int(payload["number"]),
        of=int(payload["of"]),
        title=payload["title"],
        section=tuple(payload["section"]),
        text=payload["text"],
        tier=Tier(payload["tier"]),
        digest=payload["digest"],
        space=payload["space"],
        readers=tuple(reader for reader in payload["access"].split("\n") if reader),
        reviewed_at=times.get("reviewed_at"),
        runbook_url=payload.get("runbook_url"),
        own_tier=Tier(payload["own_tier"]) if payload.get("own_tier") else None,
        url=payload.get("url"),
        service=payload.get("service"),
        updated_at=times.get("updated_at"),
        occurred_at=times.get("occurred_at"),
    )


#: Different lists of readers that an index may hold; documents with further ones are not found.
MAX_ACCESSES = 100_000
#: What `digests_of` needs of each piece.
DIGEST_FIELDS = ["doc_id", "digest", "of"]


def digests_of(payloads: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Document id to digest, "" where the pieces held are not one whole version of the document.

    Args:
        payloads: of every piece of a source, at least the fields of `DIGEST_FIELDS`.
    """
    versions: dict[str, Counter[tuple[str, int]]] = {}
    for payload in payloads:
        versions.setdefault(payload["doc_id"], Counter())[payload["digest"], int(payload["of"])] += 1
    found: dict[str, str] = {}
    for doc_id, held in versions.items():
        (digest, of), count = next(iter(held.items()))
        found[doc_id] = digest if len(held) == 1 and count == of else ""
    return found


def space_of(embedder: Embedder) -> str:
    """What makes vectors comparable: the model, its dimension, and how words are taken apart."""
    return f"{embedder.name}/{embedder.dimension}/{VERSION}"


def refuse_other_space(held: str | None, wanted: str) -> None:
    """Keep vectors that cannot be compared apart.

    Args:
        held: the space of what the index holds, None if it is empty.
        wanted: the space of what is to be stored or looked for.

    Raises:
        IndexUnavailable: they differ.
    """
    if held not in (None, wanted):
        raise IndexUnavailable(
            "the index cannot be used",
            why=f"it was made with {held}, and {wanted} is configured",
            way_out="run `rundown ingest` on every source to rebuild it, or set RUNDOWN_EMBEDDING_MODEL or RUNDOWN_EMBEDDING_CLASS back",
        )


def refuse_other_length(pieces: Sequence[tuple[Chunk, Vectors]], dimension: int | None) -> None:
    """Keep vectors of another length out.

    Args:
        dimension: what the index was prepared for, None if it was not.

    Raises:
        IndexUnavailable: it was not prepared, or a vector has another length.
    """
    if dimension is None:
        raise IndexUnavailable("cannot write to the index", why="it was not prepared for vectors")
    for chunk, vectors in pieces:
        if len(vectors.meaning) != dimension:
            raise IndexUnavailable(
                f"cannot store {chunk.doc_id!r}",
                why=f"its vector has {len(vectors.meaning)} numbers, and the index was made for {dimension}",
                way_out="run `rundown ingest` to rebuild it for the configured embedding model",
            )
