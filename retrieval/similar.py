"""Incidents that were like this one: how they are alike, how they ended, and how often it has happened.

Does: search past incidents before a time, compare them literally (`retrieval.alike`), fold what tells of one incident into
one, and count how often the same alert fired for the same service.
Does not: word a card (`retrieval.recall`), decide who may read (the search does), or call a likeness what neither text holds.

The score of a past incident is a binary number, so that no sum of lesser likenesses outweighs a greater one, and a fraction:

    8 · same alert  +  4 · same symptoms  +  2 · same culprit area  +  1 · same service  +  standing in [0, 1)

Symptoms are an error text or a name that both hold, or an alert that a report names; what over a quarter of all that was looked
at holds too is none. Standing falls by 1/21 with each place in the search by the incident's words, and then by its alert; the
search's own score would move with whatever else the index holds, be it of the future. Incidents of the same alert and service with
the same whole number are told latest first. One that shares none of the first three is kept only if the search calls it related.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.access import Audience
from core.model import Evidence, Incident, Tier
from retrieval.alike import (
    alert_key,
    alert_name,
    areas_in,
    names_word,
    rule_in,
    shared_areas,
    shared_errors,
    shared_names,
)
from retrieval.ending import Ending, endings
from retrieval.retriever import Found, Retriever
from retrieval.sparse import identifiers
from retrieval.story import ALERT, DEDUP, Told, read

#: Documents looked at for likeness, and for counting how often it happened: where that many fit, there may be more.
LOOKED_AT, COUNTED = 20, 100
#: Fewer documents than this are never cut off.
_MANY = 20
#: Somewhere on earth the day of a report began so much earlier, or ends so much later, than in UTC.
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
#: A shorter key may stand in any text by chance.
_LONG_KEY = 6
#: A name that so many hold, or this part of all, tells none of them apart.
_FEW, _COMMON = 2, 0.25


@dataclass(frozen=True, kw_only=True)
class PastIncident:
    """An incident before this one, from every document that tells of it."""

    title: str
    #: When it began, or the last second of its day where only the day is told; None where not even that is.
    at: datetime | None
    #: How it is alike, each literally true: "same alert", "same service", 'same error text "pool exhausted"'.
    alike: tuple[str, ...]
    ending: Ending | None
    #: Its best section, the one that tells how it ended, and the best of each other document that tells of it.
    evidence: tuple[Evidence, ...]
    #: See the module's formula.
    score: float


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """How often the same alert fired for the same service before."""

    #: Incidents before this one, at least 1.
    times: int
    #: Whether there may be more than were looked at.
    at_least: bool
    since: datetime
    #: The first and the last of them; what is said of how often rests on both.
    first: PastIncident
    last: PastIncident


@dataclass(frozen=True, kw_only=True)
class Similar:
    """What was found of the past, best first; empty where nothing is similar."""

    incidents: tuple[PastIncident, ...] = ()
    recurrence: Recurrence | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Everything that may be cited, each once, the nearest incident's first."""
        told = (*self.incidents, *((self.recurrence.last, self.recurrence.first) if self.recurrence else ()))
        return tuple({item.id: item for past in told for item in past.evidence}.values())


def find_similar(
    retriever: Retriever, incident: Incident, *, audience: Audience, limit: int = 3, areas: Sequence[str] = ()
) -> Similar:
    """Incidents like this one, from strictly before it and never itself.

    Args:
        incident: what is asked about, as of `created_at`; what it later became is not read.
        audience: who will see it: only documents that all of them may read are looked at, and counted.
        limit: incidents to give; all that are found are counted.
        areas: folders of the commits that may have caused this one, as `retrieval.story.areas_of` writes them; those of files
            that the alert itself names are added.

    Raises:
        IndexUnavailable: the index does not answer.
        ModelUnavailable: the embedding model fails.
    """
    asked = _Asked.of(incident, areas)
    retriever = retriever.own  # what is counted must not hang on what a class leaves out
    near, all_same = _candidates(retriever, asked, audience)
    grouped = [_Group(asked, members) for members in fold(near)]
    _forget_common(grouped)
    best = sorted((group for group in grouped if group.similar), key=_Group.place)
    return Similar(
        incidents=tuple(group.told() for group in best[:limit]), recurrence=_recurrence(grouped, at_least=all_same)
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the incident is compared by."""

    id: str
    at: datetime
    title: str
    text: str
    service: str | None
    #: The rule that its text names as its own; that one, or else the one that its title names.
    given: str | None
    name: str | None
    #: What never changes in its title.
    key: str
    areas: tuple[str, ...]

    @classmethod
    def of(cls, incident: Incident, areas: Sequence[str]) -> _Asked:
        given = alert_name(incident.text)
        return cls(
            id=_plain_id(incident.id),
            at=incident.created_at,
            title=incident.title,
            text=incident.text,
            service=incident.service,
            given=given,
            name=given or rule_in(incident.title),
            key=alert_key(incident.title),
            areas=tuple(dict.fromkeys((*areas, *areas_in(incident.text)))),
        )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One document that may tell of an incident like this one."""

    doc_id: str
    title: str
    text: str
    found: Found
    sections: tuple[Evidence, ...]
    #: What it tells, if it is in our own form.
    told: Told | None
    #: When it began; for a report, what it gives. None where it does not tell.
    at: datetime | None
    ended: datetime | None
    #: Whether it gives a day alone.
    by_day: bool
    same_alert: bool
    #: Whether it is of the same service, and whether a report at least names it.
    same_service: bool
    names_service: bool

    @property
    def recurs(self) -> bool:
        """Whether it counts as the same thing happening again."""
        return self.at is not None and self.same_alert and (self.same_service or self.names_service)


def _candidates(retriever: Retriever, asked: _Asked, audience: Audience) -> tuple[list[Candidate], bool]:
    """Documents worth comparing, and whether what was looked at for counting fits to the last, so that there may be more."""
    found: dict[tuple[str, str], Found] = {}
    alike, counted = (
        retriever.look(
            words, limit=limit, service=asked.service, before=asked.at, audience=audience, tiers=(Tier.PAST_INCIDENT,)
        )
        for words, limit in ((asked.text, LOOKED_AT), (_opening(asked), COUNTED))
    )
    # What is near to the few words that are counted by is not for that alone near to the incident.
    for place, item in enumerate((*alike, *(replace(item, related=False) for item in counted)), 1):
        standing = max(0.0, 1 - place / (LOOKED_AT + 1))
        placed = replace(item, evidence=replace(item.evidence, score=standing))
        found.setdefault((item.source, item.evidence.doc_id or ""), placed)
    made = {key: _candidate(retriever, asked, item, audience) for key, item in found.items()}
    kept = {key: item for key, item in made.items() if item is not None}
    same = [kept.get((item.source, item.evidence.doc_id or "")) for item in counted]
    # Where strangers come last, everything of this alert was seen; the views of one search list only so many pieces.
    last = same[-max(1, len(same) // 10) :]
    full = len(same) >= min(_MANY, COUNTED) and any(item is not None and item.recurs for item in last)
    return list(kept.values()), full


def _opening(asked: _Asked) -> str:
    """Words like those with which stories of this alert open, so that each is found by that one piece."""
    return " ".join(
        part for part in (asked.title, asked.name, asked.service and f"incident on {asked.service}") if part
    )


def _candidate(retriever: Retriever, asked: _Asked, found: Found, audience: Audience) -> Candidate | None:
    """The document, compared; None for this incident's own, and for one that is not strictly before it."""
    sections = tuple(retriever.sections(found.evidence.id, before=asked.at, audience=audience)) or (found.evidence,)
    told, title, doc_id = read(sections), found.evidence.title, found.evidence.doc_id or ""
    text = "\n".join("\n".join((*item.section[-1:], item.text)) for item in sections)
    at = told.began if told else found.evidence.occurred_at
    if _plain_id(doc_id) == asked.id or (at is not None and at >= asked.at):
        return None
    return Candidate(
        doc_id=doc_id,
        title=title,
        text=text,
        found=found,
        sections=sections,
        told=told,
        at=at,
        ended=(told.ended if told else None) or at,
        by_day=told is None and at is not None and f"{at.astimezone(UTC):%H%M%S}" == "235959",
        same_alert=_same_alert(asked, told, title, text),
        same_service=bool(told and told.service and asked.service and _same(told.service, asked.service)),
        names_service=asked.service is None or (told is None and names_word(f"{title}\n{text}", asked.service)),
    )


def _same(one: str | None, other: str | None) -> bool:
    return (one or "").casefold() == (other or "").casefold()


def _same_alert(asked: _Asked, told: Told | None, title: str, text: str) -> bool:
    """Whether it was the same rule: by the names that both give, else by its key, else by titles without numbers and hosts.

    Where a text gives no name, the title's stands in, to find the rule in the other title; to differ there proves nothing.
    """
    marks = dict(told.alert) if told else {}
    given = marks.get(ALERT) if told else alert_name(text)
    if given and asked.given:
        return _same(given, asked.given)
    key = marks.get(DEDUP, "")
    if (asked.key and alert_key(title) == asked.key) or (len(key) >= _LONG_KEY and names_word(asked.text, key)):
        return True
    of_rule = [(given or rule_in(title), asked.title), (asked.name, title)]
    return any(rule is not None and bool(identifiers(rule)) and names_word(words, rule) for rule, words in of_rule)


# -- folding -----------------------------------------------------------------------------------------------------------


def fold(found: Iterable[Candidate]) -> list[list[Candidate]]:
    """What tells of one incident, together: a pager's record, our own, and a report of the same day, service and alert.

    Records come first, so that a report that gives no hour joins the record of its day, or else one that ran on that day in
    some time zone.
    """
    groups: list[list[Candidate]] = []
    order = sorted(found, key=lambda item: (item.told is None, item.by_day, item.at or _UNTOLD, item.doc_id))
    for item in order:
        fitting = [group for group in groups if any(_one(item, other) for other in group)]
        near = next((group for group in fitting if any(_same_date(item, other) for other in group)), None)
        home = near or next(iter(fitting), None)
        if home is None:
            groups.append([item])
        else:
            home.append(item)
    return groups


#: Sorts after every time there is.
_UNTOLD = datetime.max.replace(tzinfo=UTC)


def _one(item: Candidate, other: Candidate) -> bool:
    """Whether two documents tell of one incident."""
    if item.told and other.told and _plain_id(item.doc_id) == _plain_id(other.doc_id):
        return True
    if item.at is None or other.at is None or not _same_time(item, other):
        return False
    return _of_one_alert(item, other) and _of_one_service(item, other)


def _of_one_alert(item: Candidate, other: Candidate) -> bool:
    if item.same_alert and other.same_alert:
        return True
    if alert_key(item.title) and alert_key(item.title) == alert_key(other.title):
        return True
    both = ((item, other), (other, item))
    return any(
        record.told is not None
        and report.told is None
        and names_word(report.text, dict(record.told.alert).get(ALERT, ""))
        for record, report in both
    )


def _of_one_service(item: Candidate, other: Candidate) -> bool:
    services = [entry.told.service for entry in (item, other) if entry.told]
    if len(services) == 2:
        return _same(*services)
    report = item if item.told is None else other
    return not services or services[0] is None or names_word(f"{report.title}\n{report.text}", services[0])


def _same_time(item: Candidate, other: Candidate) -> bool:
    if _same_date(item, other):
        return True
    if item.told is not None and other.told is not None:
        return False
    record, report = (item, other) if other.told is None else (other, item)
    assert record.at and record.ended and report.at, "only what tells a time is compared by it"
    if not report.by_day:
        return record.at <= report.at <= record.ended
    day = report.at.replace(hour=0, minute=0, second=0)
    return record.at < day + timedelta(days=1) + _WEST and record.ended >= day - _EAST


def _same_date(item: Candidate, other: Candidate) -> bool:
    dates = [entry.at.astimezone(UTC).date() for entry in (item, other) if entry.at]
    return len(dates) == 2 and dates[0] == dates[1]


def _plain_id(doc_id: str) -> str:
    return doc_id.removeprefix("pd:")


# -- one incident --------------------------------------------------------------------------------------------------------


class _Group:
    """The documents that tell of one past incident, compared with what is asked."""

    def __init__(self, asked: _Asked, members: Sequence[Candidate]) -> None:
        self._members = sorted(members, key=lambda item: (not item.recurs, -item.found.evidence.score))
        text = "\n".join(f"{item.title}\n{item.text}" for item in members)
        self.same_alert = any(item.same_alert for item in members)
        self._service = bool(asked.service) and any(item.same_service for item in members)
        self._named = bool(asked.service) and any(item.names_service for item in members)
        known = [asked.service or "", *((asked.title, asked.name or "") if self.same_alert else ())]
        self.errors = shared_errors(asked.text, text, known=known)
        names = (asked.service or "", asked.name or "", asked.title)
        self.names = shared_names(asked.text, text, known=names)
        self._mention = next(
            (
                name
                for name in (asked.name, asked.title)
                if name and identifiers(name) and not self.same_alert and names_word(text, name)
            ),
            None,
        )
        self._areas = shared_areas(asked.areas, text)
        self.recurs = any(item.recurs for item in members)
        self.at = next((item.at for item in self._by_precision() if item.at), None)

    @property
    def similar(self) -> bool:
        """Whether it is worth telling at all."""
        return bool(self.same_alert or self._symptoms or self._areas) or any(
            item.found.related for item in self._members
        )

    @property
    def score(self) -> float:
        """See the module's formula."""
        standing = max(item.found.evidence.score for item in self._members)
        flags = (self.same_alert, bool(self._symptoms), bool(self._areas), self._service or self._named)
        return sum(weight * flag for weight, flag in zip((8, 4, 2, 1), flags, strict=True)) + standing

    def place(self) -> tuple[int, float, float]:
        """What groups are sorted by: see the module's formula."""
        latest = -self.at.timestamp() if self.recurs and self.at else 0.0
        return -int(self.score), latest, -self.score

    def told(self) -> PastIncident:
        """What is told of it."""
        ending = self._ending()
        sections = {item.id: item for member in self._members for item in member.sections}
        cited = [member.found.evidence for member in self._members]
        if ending is not None:
            cited.insert(1, replace(sections[ending.evidence], score=cited[0].score))
        return PastIncident(
            title=self._members[0].title,
            at=self.at,
            alike=self._alike(),
            ending=ending,
            evidence=tuple({item.id: item for item in cited}.values()),
            score=self.score,
        )

    @property
    def _symptoms(self) -> bool:
        return bool(self.errors or self.names or self._mention)

    def _by_precision(self) -> list[Candidate]:
        return sorted(self._members, key=lambda item: (item.told is None, item.by_day))

    def _alike(self) -> tuple[str, ...]:
        kinds = [
            "same alert" if self.same_alert else f"names the alert {self._mention}" if self._mention else "",
            "same service" if self._service else "names the service" if self._named else "",
            *(f'same error text "{text}"' for text in self.errors),
            *(f"both name {name}" for name in self.names),
            *(f"same culprit area {area}" for area in self._areas),
        ]
        return tuple(kind for kind in kinds if kind)

    def _ending(self) -> Ending | None:
        """The surest words on how it ended: people's in its record, a report's, people's in Slack, then the last anybody said."""
        found = [ending for member in self._by_precision() for ending in endings(member.told, member.sections)]
        return min(found, key=lambda ending: (not ending.mitigated, not ending.recorded), default=None)


def _forget_common(groups: Sequence[_Group]) -> None:
    """Take out of every group the names and error texts that many hold which are not the same alert: they tell nothing apart."""
    held = Counter(word for group in groups if not group.same_alert for word in (*group.errors, *group.names))
    common = {word for word, times in held.items() if times > max(_FEW, len(groups) * _COMMON)}
    for group in groups:
        group.errors = tuple(word for word in group.errors if word not in common)
        group.names = tuple(word for word in group.names if word not in common)


def _recurrence(groups: Iterable[_Group], *, at_least: bool) -> Recurrence | None:
    again = sorted(((group.at, group) for group in groups if group.recurs and group.at), key=lambda item: item[0])
    if not again:
        return None
    return Recurrence(
        times=len(again), at_least=at_least, since=again[0][0], first=again[0][1].told(), last=again[-1][1].told()
    )
