"""What is done about one incident: gather, rank, draft. The same steps for the server, the demo and the command line.

Does: each step from an incident and what earlier steps found; a part that does not answer becomes a gap, not a failure.
Does not: remember, post, or know how it is run (`bot/workflow.py` makes it durable, `rundown investigate` runs it plainly).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bot.past import with_endings, with_recurrence
from core.access import PUBLIC, Audience
from core.errors import RundownError, Unavailable
from core.model import Draft, Evidence, Incident, Ranking, Section, Tier, from_json, to_json
from core.redaction import redact_json
from core.text import strip_hidden
from ranking.events import ChangeEvent
from retrieval.places import STRENGTH, place_keys, same_place, section_key
from retrieval.recall import recall
from retrieval.similar import Similar, find_similar
from retrieval.story import areas_of

if TYPE_CHECKING:
    from prompts.drafter import Drafter
    from ranking.ranker import Ranker
    from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How much is shown: enough to act on, little enough to read at night.
GUIDES, PAST, STORY = 4, 3, 3
#: Where it is written what to do.
_GUIDE_TIERS = (Tier.RUNBOOK, Tier.WIKI)
#: A section shorter than so many characters holds a date or a name, not a story.
WORDS = 40
#: Probabilities of answering that are no further apart count as alike: one in ten is less than the search can tell.
REACH = 0.1

#: Headings under which runbooks of every house say what to do.
_ACTION = re.compile(
    r"mitigat|resol|remed|recover|fix|repair|what to do|steps|procedure|diagnos|troubleshoot", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What the gather step found."""

    evidence: tuple[Evidence, ...] = ()
    #: What is told of incidents like this one, each sentence citing the evidence by its id.
    past: tuple[Section, ...] = ()
    #: How often the same alert fired for the same service before.
    seen_before: int = 0
    gaps: tuple[str, ...] = ()
    #: Whether every part that is configured answered: if not, it is worth asking again later.
    whole: bool = True
    #: Whether it was known who will read it; if not, nothing was looked for.
    audience_known: bool = True
    seconds: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether it need not be gathered again: whole, and of each thing found it is known where it was read."""
        return self.whole and self.traced

    @property
    def traced(self) -> bool:
        """Whether all evidence names its piece; what an older release found does not, and cannot be shown."""
        return all(item.piece for item in self.evidence)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Deploys, flags and settings that were told of the time before an incident."""

    events: tuple[ChangeEvent, ...] = ()
    gaps: tuple[str, ...] = ()
    #: Whether every source answered: if not, it is worth asking again later.
    whole: bool = True


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """What the rank step found. `ranking` is None when no repository could be read."""

    ranking: Ranking | None = None
    gaps: tuple[str, ...] = ()
    whole: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drafted:
    """What the draft step wrote."""

    summary: Draft
    mitigation: Draft
    #: Evidence id to the piece that it named when this was written: gathered again, "E1" may be another document.
    pieces: Mapping[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0


class Investigator:
    """The three steps over their parts.

    Args:
        documents: gives the search over documents, or None when none are configured; may wait for it to open, and raises
            `core.errors.Unavailable` when it is down.
        commits: the same for the ranker.
        drafter: words.
        window_days: days before the incident in which commits are candidates.
    """

    def __init__(
        self,
        *,
        documents: Callable[[], Retriever | None],
        commits: Callable[[], Ranker | None],
        drafter: Drafter,
        window_days: float = 14.0,
    ) -> None:
        self.drafter = drafter
        self._documents, self._commits, self._window_days = documents, commits, window_days

    def gather(self, incident: Incident, audience: Audience = PUBLIC) -> Gathered:
        """Runbook sections, wiki pages and past incidents that may help, best first, as of the incident's time.

        Args:
            audience: who will see the result: a document is used only if all of them may read it.
        """
        started = time.monotonic()
        incident = clean(incident)
        guides, gap, whole = self.search(
            incident.text,
            incident,
            tiers=_GUIDE_TIERS,
            limit=GUIDES,
            before=incident.created_at,
            audience=audience,
        )
        guides, named_gap = self._named_first(guides, incident, audience)
        guides = self._completed(guides[:GUIDES], incident, audience)
        gap = gap or named_gap
        similar, past_gap = attempt("search for similar incidents", lambda: self._similar(incident, audience))
        found = Gathered(
            evidence=tuple(replace(item, id=f"E{place}") for place, item in enumerate(guides, start=1)),
            gaps=tuple(dict.fromkeys(filter(None, (gap, None if gap else past_gap)))),
            whole=whole and named_gap is None and past_gap is None,
        )
        found = self._with_past(found, similar, incident, audience) if similar else found
        return replace(found, seconds=time.monotonic() - started)

    def compare(self, incident: Incident, gathered: Gathered, ranked: Ranked, audience: Audience = PUBLIC) -> Gathered:
        """What was gathered, its past incidents looked for anew by the folders of the commit that is suspected now.

        Doing it twice changes nothing. What was gathered stands where nothing is suspected, or the index does not answer.

        Args:
            audience: as in `gather`.
        """
        ranking = ranked.ranking
        suspected = ranking.culprits[:1] if ranking and not ranking.abstained else ()
        areas = [area for culprit in suspected for area in areas_of(culprit.commit)]
        if not areas or not gathered.audience_known:
            return gathered
        incident = clean(incident)
        similar, _ = attempt("search for similar incidents", lambda: self._similar(incident, audience, areas))
        return self._with_past(gathered, similar, incident, audience) if similar else gathered

    def _similar(self, incident: Incident, audience: Audience, areas: Sequence[str] = ()) -> Similar | None:
        retriever = self._documents()
        return find_similar(retriever, incident, audience=audience, limit=PAST, areas=areas) if retriever else None

    def _with_past(self, gathered: Gathered, similar: Similar, incident: Incident, audience: Audience) -> Gathered:
        """What was gathered, with these past incidents in the place of any others."""
        guides = tuple(item for item in gathered.evidence if item.kind is not Tier.PAST_INCIDENT)
        past = {item.id: item for item in self._completed(list(similar.evidence), incident, audience)}
        ids = {piece: f"E{place}" for place, piece in enumerate(past, start=len(guides) + 1)}
        return replace(
            gathered,
            evidence=(*guides, *(replace(item, id=ids[piece]) for piece, item in past.items())),
            past=recall(similar, incident.created_at, ids),
            seen_before=similar.recurrence.times if similar.recurrence else 0,
        )

    def search(
        self,
        words: str,
        incident: Incident | None,
        *,
        limit: int,
        audience: Audience,
        tiers: tuple[Tier, ...] | None = None,
        before: datetime | None = None,
    ) -> tuple[list[Evidence], str | None, bool]:
        """Passages worth showing, best first and by trust where they are about as good; what was not searched, in words; and
        whether every configured part answered.
        """
        service = incident.service if incident else None

        def act() -> list[Evidence] | None:
            retriever = self._documents()
            return (
                retriever.search(
                    words,
                    limit=limit,
                    service=service,
                    before=before,
                    audience=audience,
                    tiers=tiers,
                    floor=True,
                    fold=True,
                )
                if retriever
                else None
            )

        found, gap = attempt("document search", act)
        if found is None and gap is None:
            return [], "No documents are configured: set RUNDOWN_DOCS, or run `rundown ingest FOLDER`", True
        return by_trust(found or []), gap, gap is None

    def readable(self, pieces: Sequence[str], audience: Audience) -> frozenset[str]:
        """Which of these pieces of the index are still held, and may be read by all of the audience now.

        Raises:
            core.errors.Unavailable: the index does not answer.
        """
        retriever = self._documents() if pieces else None
        return retriever.readable(pieces, audience) if retriever else frozenset()

    def _named_first(
        self, found: list[Evidence], incident: Incident, audience: Audience
    ) -> tuple[list[Evidence], str | None]:
        """With the page that the alert itself names first, whether the search found it or not; and what was not looked up.

        Somebody wrote that address down for this very alert. Of thirty pages that read alike the search may miss the one.
        """

        def act() -> list[Evidence]:
            retriever, url = self._documents(), incident.runbook_url
            bounds: dict[str, Any] = {"before": incident.created_at, "audience": audience, "tiers": _GUIDE_TIERS}
            return retriever.named(url, **bounds) if retriever and url else []

        sections, gap = attempt("reading the runbook that the alert names", act)
        if not sections:
            return sorted(found, key=lambda item: not _is_named(item, incident)), gap
        pieces = {item.id for item in sections}
        own = [item for item in found if item.id in pieces]
        return [_opening(sections, own, incident), *(item for item in found if item.id not in pieces)], gap

    def _completed(self, found: list[Evidence], incident: Incident, audience: Audience) -> list[Evidence]:
        """The first document found with the sections that tell what to do, or what helped.

        The search finds the section that reads like the alert: how it shows, or how it began. The responder needs the one after.
        """

        def act() -> list[Evidence]:
            retriever = self._documents()
            return retriever.sections(found[0].id, before=incident.created_at, audience=audience) if retriever else []

        if not found or found[0].tier is Tier.WIKI:
            return found
        story, _ = attempt("reading the document", act)
        rest = [
            item
            for item in story or []
            if item.section and item.section != found[0].section and len(item.text) >= WORDS
        ]
        if found[0].tier is Tier.RUNBOOK:
            rest = [item for item in rest if _ACTION.search(item.section[-1])]
        return [found[0], *rest[-STORY:], *found[1:]]

    def rank(self, incident: Incident, changes: Changes | None = None) -> Ranked:
        """Commits that may have caused it, best first, secrets taken out of what is shown of them.

        Args:
            changes: what was deployed and switched before it.
        """
        changes = changes or Changes()
        started = time.monotonic()

        stale: list[str] = []

        def act() -> Ranking | None:
            ranker = self._commits()
            if ranker is None:
                return None
            stale.extend(ranker.refresh())  # the culprit may have landed a minute ago
            return ranker.rank(clean(incident), window_days=self._window_days, events=changes.events)

        ranking, gap = attempt("commit ranking", act)
        spent = time.monotonic() - started
        if ranking is not None:
            gaps = (*ranking.gaps, *stale, *changes.gaps)
            ranking = from_json(Ranking, redact_json(to_json(replace(ranking, gaps=gaps))))
            return Ranked(ranking=ranking, gaps=ranking.gaps, whole=not stale and changes.whole, seconds=spent)
        if gap is None:
            return Ranked(
                gaps=("No repositories are configured: set RUNDOWN_REPOS to look for the commit",), seconds=spent
            )
        return Ranked(gaps=(gap,), whole=False, seconds=spent)

    def draft(self, incident: Incident, gathered: Gathered, ranked: Ranked) -> Drafted:
        """The words of the card. Never fails for want of a model: the extractive drafter stands in."""
        started = time.monotonic()
        incident = clean(incident)
        summary = self.drafter.summary(incident, gathered.evidence, ranked.ranking)
        summary = with_recurrence(summary, gathered.past, gathered.evidence, counted=gathered.seen_before > 0)
        mitigation = self.drafter.mitigation(incident, gathered.evidence, ranked.ranking)
        mitigation = with_endings(mitigation, gathered.past, counted=gathered.seen_before > 0)
        pieces = {item.id: item.piece for item in gathered.evidence}
        return Drafted(summary=summary, mitigation=mitigation, pieces=pieces, seconds=time.monotonic() - started)


def by_trust(found: Sequence[Evidence]) -> list[Evidence]:
    """Evidence in its order, but for what answers about as well as something of a lower tier before it: that goes first.

    Args:
        found: best first, scored by the probability that each answers.
    """
    tiers = list(Tier)
    kept: list[Evidence] = []
    for item in found:
        place = len(kept)
        while (
            place
            and tiers.index(kept[place - 1].tier) > tiers.index(item.tier)
            and kept[place - 1].score - item.score <= REACH
        ):
            place -= 1
        kept.insert(place, item)
    return kept


def clean(incident: Incident) -> Incident:
    """The incident without the secrets somebody pasted into it, and without what is not there to be read."""
    return from_json(Incident, _shown(redact_json(to_json(incident))))


def _shown(value: Any) -> Any:
    """The value with hidden characters and control sequences taken out of every text."""
    if isinstance(value, str):
        return strip_hidden(value)
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return {name: _shown(item) for name, item in value.items()} if isinstance(value, dict) else value


def attempt(what: str, act: Callable[[], T]) -> tuple[T | None, str | None]:
    """Do something that may be unavailable: its result, or a gap in words for the card.

    A failure that nobody foresaw is a gap too: one broken part never silences an incident. It is logged with its trace.
    """
    try:
        return act(), None
    except Unavailable as error:
        log.warning("%s is unavailable: %s", what, error)
        return None, f"{what.capitalize()} is unavailable: {error.why or error.what}"
    except RundownError as error:
        log.warning("%s failed: %s", what, error)
        return None, f"{what.capitalize()} failed: {error}"
    except Exception as error:
        log.exception("%s failed in a way nobody foresaw", what)
        return None, f"{what.capitalize()} failed: {type(error).__name__}"


def _opening(sections: Sequence[Evidence], found: Sequence[Evidence], incident: Incident) -> Evidence:
    """The section of the named page to show first: the one that the address points at, or that was found, or that tells something."""
    meant = section_key(incident.runbook_url or "")
    pointed = [item for item in sections if meant and item.section and section_key(item.section[-1]) == meant]
    told = [item for item in sections if len(item.text) >= WORDS]
    return (*pointed, *found, *told, *sections)[0]


def _is_named(item: Evidence, incident: Incident) -> bool:
    """Whether the alert itself names this document as its runbook."""
    named, doc_id = place_keys(incident.runbook_url or ""), item.doc_id or ""
    by_id = place_keys(doc_id)
    # A name alone proves it of a document that has no folder to tell it apart by.
    return same_place(named, (*place_keys(item.url or ""), *by_id)) >= STRENGTH["path"] or (
        "/" not in doc_id and same_place(named, by_id) > 0
    )
