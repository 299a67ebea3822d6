"""The nouns of an incident: frozen facts that every package speaks in.

Does: define them, and refuse a time without a zone. Each turns into JSON and back through `to_json` and `from_json`.
Does not: know Slack, Qdrant, git or the database.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from core.access import EVERYONE

T = TypeVar("T")


class Status(StrEnum):
    """Where an incident stands, in PagerDuty's words."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Tier(StrEnum):
    """How far a source is trusted, best first. Only RUNBOOK and WIKI may support a mitigation alone."""

    RUNBOOK = "runbook"
    WIKI = "wiki"
    PAST_INCIDENT = "incident"
    SLACK = "slack"
    COMMIT = "commit"
    ALERT = "alert"


class Confidence(StrEnum):
    """The word the card shows. Decided by `ranking`, never by a model."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    INCONCLUSIVE = "inconclusive"


class Vote(StrEnum):
    """What a person said of one item on a card."""

    UP = "up"
    DOWN = "down"
    CULPRIT = "culprit"


def _aware(name: str, value: datetime | None) -> None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} is {value!r}, a time without a zone: give one, for example datetime.now(UTC)")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A titled address taken from a source we trust to name one (PagerDuty, a document, a git remote)."""

    title: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """A remark a responder left on the incident."""

    at: datetime
    author: str
    text: str

    def __post_init__(self) -> None:
        _aware("Note.at", self.at)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One incident as known now: the fold of every event seen of it (see `core.incidents.fold`)."""

    #: "pd:Q1ABC" for PagerDuty, "local:…" for `rundown investigate`.
    id: str
    title: str
    created_at: datetime
    description: str = ""
    #: The name of the affected service, as PagerDuty or the caller gives it.
    service: str | None = None
    status: Status = Status.TRIGGERED
    #: PagerDuty's urgency: "high" or "low".
    urgency: str | None = None
    #: The priority's short name, for example "P1".
    priority: str | None = None
    #: The incident's page at its source.
    url: str | None = None
    number: int | None = None
    #: The runbook a link, custom field or alert annotation names.
    runbook_url: str | None = None
    links: tuple[Link, ...] = ()
    custom_fields: tuple[tuple[str, str], ...] = ()
    notes: tuple[Note, ...] = ()
    #: Display names, in order of acknowledging.
    acknowledged_by: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None

    def __post_init__(self) -> None:
        for name in ("created_at", "acknowledged_at", "resolved_at"):
            _aware(f"Incident.{name}", getattr(self, name))

    @property
    def paged(self) -> bool:
        """Whether a pager knows it, so that acknowledging means something; not so for what a person typed."""
        return self.id.startswith("pd:")

    @property
    def text(self) -> str:
        """What is known in words: title, description and custom fields, a line each."""
        return "\n".join(
            part
            for part in (self.title, self.description, *(f"{name}: {value}" for name, value in self.custom_fields))
            if part
        )


@dataclass(frozen=True, kw_only=True)
class IncidentEvent:
    """One thing that happened to an incident, normalised from its source.

    `changes` holds only the Incident fields that this event sets, as JSON values.
    """

    incident_id: str
    #: The source's own id of the event: the key it is deduplicated by, for ever.
    event_id: str
    #: "triggered", "acknowledged", "unacknowledged", "resolved", "reopened", "annotated", "priority", "updated", or the source's own word.
    kind: str
    occurred_at: datetime
    #: Who did it, as a display name; None for the monitoring itself.
    agent: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _aware("IncidentEvent.occurred_at", self.occurred_at)


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One path a commit touched."""

    path: str
    #: git's letter: A added, M modified, D deleted, T type changed.
    status: str = "M"


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit, as its repository tells it, at the moment as of which that is read. Nothing here comes from later."""

    sha: str
    #: The repository's name as given on the command line or in settings.
    repo: str
    author: str
    author_email: str
    authored_at: datetime
    committed_at: datetime
    subject: str
    body: str = ""
    files: tuple[FileChange, ...] = ()
    #: The commit's page, when the repository's remote is a known forge.
    url: str | None = None
    #: When a merge brought it to the branch that is read; None where it was committed there, or nothing is known of a merge.
    merged_at: datetime | None = None
    #: Whether it was on that branch at all by that moment.
    landed: bool = True

    def __post_init__(self) -> None:
        _aware("Commit.authored_at", self.authored_at)
        _aware("Commit.committed_at", self.committed_at)

    @property
    def landed_at(self) -> datetime:
        """When it came to the branch, if it has `landed`: from then on it could break anything."""
        return self.merged_at or self.committed_at

    @property
    def short(self) -> str:
        """The first ten characters of the id, as the card shows it."""
        return self.sha[:10]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document as its source gives it, before chunking."""

    #: Stable within its source: a path relative to the folder, a page id.
    id: str
    #: The source it came from, for example "folder:/srv/runbooks".
    source: str
    title: str
    #: Markdown; every reader converts to it.
    text: str
    tier: Tier
    url: str | None = None
    service: str | None = None
    updated_at: datetime | None = None
    #: When the thing it tells of happened; for past incidents. Retrieval at time t reads only what existed before t.
    occurred_at: datetime | None = None
    #: Who may read it, as `core.access` writes principals: "*", "user:…", "group:…", a Slack channel id. Empty means nobody.
    readers: tuple[str, ...] = (EVERYONE,)
    #: The source's own mark of this state of it, its readers included: while it stays the same, nothing changed. None if it has none.
    version: str | None = None
    #: When somebody last vouched for what it says.
    reviewed_at: datetime | None = None
    #: The page that it names as its runbook; an alert rule does.
    runbook_url: str | None = None
    #: What was taken out of it because a reader of the page would not see it, a short line each.
    hidden: tuple[str, ...] = ()
    #: Headings under which it repeats what is trusted less than itself, with the tier of that: a remark stays a remark.
    repeats: tuple[tuple[str, Tier], ...] = ()

    def __post_init__(self) -> None:
        _aware("Document.updated_at", self.updated_at)
        _aware("Document.occurred_at", self.occurred_at)
        _aware("Document.reviewed_at", self.reviewed_at)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing found that a sentence may rest on."""

    #: "E1", "E2"… within one incident, or "C1"… for commits: what sentences cite.
    id: str
    #: How far its words are trusted.
    tier: Tier
    title: str
    text: str
    #: The heading path inside the document, outermost first.
    section: tuple[str, ...] = ()
    doc_id: str | None = None
    url: str | None = None
    score: float = 0.0
    updated_at: datetime | None = None
    occurred_at: datetime | None = None
    #: The piece of the index it was read from: what tells, later on, who may read it then. None: nobody can tell.
    piece: str | None = None
    #: The tier of the document it is a part of, where its own words are trusted less.
    within: Tier | None = None

    def __post_init__(self) -> None:
        _aware("Evidence.updated_at", self.updated_at)
        _aware("Evidence.occurred_at", self.occurred_at)

    @property
    def kind(self) -> Tier:
        """The tier of the document it is a part of: what sort of thing was found, whoever speaks there."""
        return self.within or self.tier


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a candidate stands where it stands: a sentence a person can check, and what it was worth."""

    feature: str
    text: str
    #: Its share in the score; negative counts against.
    weight: float


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """A candidate commit with its place in the ranking."""

    commit: Commit
    score: float
    #: Probability in [0, 1] that this commit caused the incident.
    confidence: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Candidates best first, and whether the first may be named."""

    culprits: tuple[Culprit, ...]
    confidence: Confidence
    #: How many commits were looked at, and in which repositories and hours: what "inconclusive" ruled out.
    considered: int
    repos: tuple[str, ...]
    window_from: datetime
    window_to: datetime
    #: What could not be looked at, in words: "repository 'web': not found".
    gaps: tuple[str, ...] = ()
    #: The release that ranked: "features-1" or a model's id.
    release: str = ""
    seconds: float = 0.0
    #: Whether the incident's words plainly tell of a cause that is no commit.
    elsewhere: bool = False

    @property
    def abstained(self) -> bool:
        """Whether no commit may be called the culprit."""
        return self.confidence is Confidence.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence and the evidence it rests on. One without evidence is never shown."""

    text: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and its sentences."""

    heading: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Words for people, each sentence with its source."""

    #: "summary", "answer", "mitigation" or "postmortem".
    task: str
    sections: tuple[Section, ...]
    #: "extractive", or the model that wrote it.
    author: str
    #: Sentences a model wrote that were thrown away, and why.
    rejected: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences in reading order."""
        return tuple(sentence for section in self.sections for sentence in section.sentences)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """One person's word on one item, with what they were judging."""

    incident_id: str
    #: "summary", "cause", "next", "answer:<key>" or "commit:<sha>".
    item: str
    #: "slack:<team>:<user>".
    person: str
    vote: Vote
    at: datetime
    #: The release whose work was judged.
    release: str
    #: The evidence ids and commits on show when they judged.
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _aware("Feedback.at", self.at)


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_json(value: Any) -> Any:
    """A noun as plain JSON values: what the store keeps and `--json` prints."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def from_json(kind: type[T], value: Any) -> T:
    """The noun that `to_json` wrote.

    Raises:
        pydantic.ValidationError: the value is not of that kind.
    """
    found: T = _adapter(cast(Any, kind)).validate_python(value)
    return found


def from_unix(seconds: float) -> datetime:
    """An aware UTC time from unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
