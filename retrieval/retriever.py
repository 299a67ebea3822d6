"""The search over documents: a text in, evidence out.

Does: look in several ways at once, within bounds that are part of the query; add up what they say of each document; let an
alert rule speak for the runbook that it names; say how likely it is that the first answers at all.
Does not: write, rank commits, or know who is asking: the caller names the audience.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.access import PUBLIC, Audience
from core.model import Evidence, Tier
from retrieval.answering import ANSWERS, is_related, likelihood
from retrieval.beside import side_by_side, skip_bigrams
from retrieval.chunk import DEPTH, Chunk, Scope, Seen, View, is_piece_id, refuse_other_space, space_of
from retrieval.embedding import Embedder
from retrieval.fusion import LOWEST, Standing, also_heard, fuse
from retrieval.index import VectorIndex
from retrieval.places import place_keys, section_url, telling, which_page
from retrieval.question import Question, take_apart
from retrieval.rerank import RERANKED, Reranker
from retrieval.signals import Signal, fold_alike, signals_of
from retrieval.sparse import encode_query, gist, identifiers

#: Documents that are read, and weighed by what they hold, before the wanted ones are cut off.
CONSIDERED = 30
#: Where only runbooks are wanted: pieces of rules that each view lists, and rules that may then speak for a runbook. The one
#: that fired stands among the first, however many are like it.
_RULES_LISTED, _RULES_HEARD = 10, 5
#: What a document of the affected service gains at most beside one that stands out by everything else.
_SERVICE = 0.5
#: What rules speak for.
_GUIDES = frozenset((Tier.RUNBOOK, Tier.WIKI))
#: What words side by side count beside the words themselves, set by hand (learning/LOG.md).
_SIDE_BY_SIDE = 0.5


@dataclass(frozen=True, kw_only=True)
class Found:
    """A document that was found, how sure it is that it has to do with the text, and why it stands where it stands."""

    evidence: Evidence
    source: str
    #: Cosine between the text and the document's best section: compare with `Embedder.floor`.
    closeness: float
    #: Names of several parts that both hold: metrics, alerts, hosts, error codes.
    shared: frozenset[str]
    #: Whether it has to do with the text at all. Without, it only came first among strangers.
    related: bool
    #: What each view said of it, and what moved it afterwards.
    standing: Standing
    signals: tuple[Signal, ...] = ()
    #: Documents that say the same, left out in its favour.
    alike: tuple[Evidence, ...] = field(default=())
    #: The class that gave it its place, where settings name one; else the place follows from the standing and the signals.
    placed_by: str = ""


class Retriever:
    """Search over one index.

    Args:
        index: where documents are.
        embedder: the one they were stored with.
        opinions: document id to what people's thumbs said of it before a time, in [-1, 1]; asked at each search.
        reranker: takes a second look at the first documents.
    """

    def __init__(
        self,
        index: VectorIndex,
        embedder: Embedder,
        opinions: Callable[[datetime | None], Mapping[str, float]] = lambda before: {},
        reranker: Reranker | None = None,
    ) -> None:
        self._index, self._embedder, self._opinions, self._reranker = index, embedder, opinions, reranker

    @property
    def own(self) -> Retriever:
        """Rundown's own search, whatever settings put in its place."""
        return self

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        service: str | None = None,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
        floor: bool = False,
        fold: bool = False,
    ) -> list[Evidence]:
        """Documents that may help, best first, each by its best section.

        Args:
            text: a question, an alert, an incident's title and description, a query expression.
            limit: how many documents at most.
            service: documents of this service, and those that name it, come forward. It fences nothing off.
            before: only what existed before this time: nothing from an incident's future.
            audience: who will see the result: only documents that all of them may read. Nobody known, nothing found.
            tiers: only these; None for all.
            floor: leave out what is not related (see `look`), so that an empty list means "I found nothing on this".
            fold: of documents that say the same, only the best.

        Returns:
            Evidence whose id is the piece's (see `sections`) and whose score is the probability that it answers, as far as
            that can be told. It never rises down the list.

        Raises:
            IndexUnavailable: the index does not answer, or was made with another embedding model.
            ModelUnavailable: the embedding model fails.
        """
        found = self.look(text, limit=limit, service=service, before=before, audience=audience, tiers=tiers, fold=fold)
        return [item.evidence for item in found if item.related or not floor]

    def look(
        self,
        text: str,
        *,
        limit: int = 10,
        service: str | None = None,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
        fold: bool = False,
    ) -> list[Found]:
        """As `search`, with what tells related documents from strangers, and why each stands where it stands."""
        if not text.strip():
            return []
        refuse_other_space(self._index.space(), space_of(self._embedder))
        question = take_apart(text)
        views = self._views(question, service)
        scope = Scope(audience=audience, tiers=None if tiers is None else tuple(tiers), before=before)
        read = self._read(self._standings(views, scope, max(CONSIDERED, 2 * limit)))
        read = self._side_by_side(question, views, read)
        read = self._spoken_for(read, scope)
        read = [(item, chunk) for item, chunk in read if tiers is None or chunk.tier in tiers]
        weighed = self._weighed(read, before)
        # What cannot be among those told needs no evidence, and no vector read for it.
        most = None if fold else limit if self._reranker is None else max(limit, RERANKED)
        found = self._looked_at_again(text, self._as_found(views, weighed[:most]))
        return never_rising(self._told(question, fold_alike(found, limit) if fold else found[:limit]))

    def rate(self, text: str, pieces: Sequence[Chunk], *, service: str | None, scope: Scope) -> list[Found]:
        """What the ways of looking say of pieces that something else found, in the order given: one that none of them lists is
        rated by how near it is in meaning alone.

        Args:
            text, service: as in `search`.
            pieces: one of a document, within the scope.
        """
        refuse_other_space(self._index.space(), space_of(self._embedder))
        question = take_apart(text)
        views = self._views(question, service)
        listed = {item.key: item for item in self._standings(views, scope, None)}
        read = []
        for chunk in pieces:
            silence = Standing(source=chunk.source, doc_id=chunk.doc_id, piece=chunk.id, score=LOWEST, voices=())
            read.append((replace(listed.get(silence.key, silence), piece=chunk.id), chunk))
        read = self._side_by_side(question, views, read)
        found = self._as_found(views, self._weighed(read, scope.before))
        told = {item.evidence.id: item for item in self._told(question, found)}
        return [told[chunk.id] for chunk in pieces]

    def sections(
        self, evidence_id: str, *, before: datetime | None = None, audience: Audience = PUBLIC
    ) -> list[Evidence]:
        """All sections of the document that a search found, in reading order.

        Args:
            evidence_id: the id `search` gave; renumbered evidence cannot be looked up.
            before, audience: the bounds, as in `search`.

        Returns:
            Nothing if the document is gone or outside the bounds, or the id is no piece's.
        """
        held = self._index.pieces([evidence_id]) if is_piece_id(evidence_id) else []
        if not held:
            return []
        piece = held[0]
        scope = Scope(audience=audience, before=before, document=(piece.source, piece.doc_id))
        return [evidence_of(chunk, 0.0) for chunk in self._index.document(scope)]

    def named(
        self,
        url: str,
        *,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
    ) -> list[Evidence]:
        """All sections of the page that an address names, in reading order. Nothing is searched for.

        Args:
            url: for example an alert's `runbook_url`, in whatever form; what follows "#" is left out.
            before, audience, tiers: the bounds, as in `search`.

        Returns:
            Nothing if no such page is held, it is outside the bounds, or several could be meant.
        """
        scope = Scope(audience=audience, tiers=None if tiers is None else tuple(tiers), before=before)
        page = self._pages_at([url], scope).get(url)
        if page is None:
            return []
        whole = self._index.document(replace(scope, document=(page.source, page.doc_id)))
        return [evidence_of(chunk, 0.0) for chunk in whole]

    def readable(self, pieces: Sequence[str], audience: Audience) -> frozenset[str]:
        """Which of these pieces are still held, and may be read by all of the audience now.

        Args:
            pieces: ids that `search` gave.
        """
        held = self._index.pieces([piece for piece in pieces if is_piece_id(piece)])
        return frozenset(chunk.id for chunk in held if audience.may_read(chunk.readers))

    def warm(self) -> None:
        """Load the model and open the index, so that the first incident does not wait for them."""
        self._embedder.embed_query("ready")
        self._index.warm()

    def _views(self, question: Question, service: str | None) -> list[View]:
        """The ways of looking."""
        # An expression in words holds the words around it too. So its meaning is looked for instead of the text's, and
        # counts for both, as words and names are looked for twice.
        meaning = self._embedder.embed_query(gist(question.expression or question.text))
        weight = 2.0 if question.expression else 1.0
        views = [View(by="meaning", vector=tuple(meaning), label="what it means", weight=weight)]
        views += _by_words(f"{question.text}\n{service or ''}", "its words")
        if question.expression:
            views += _by_words(question.expression, "its metrics")
        if question.errors:
            views += [
                replace(view, weight=_SERVICE) for view in _by_words(question.errors, "what the machine said")[:1]
            ]
        if service:
            views.append(replace(views[0], label=f"documents of {service}", weight=_SERVICE, service=service))
        return views

    def _standings(self, views: Sequence[View], scope: Scope, most: int | None) -> list[Standing]:
        """What the views say of the documents in scope, best first; where runbooks alone are wanted, the first rules among them.

        Rules are looked for even there: they speak for runbooks. But a company has hundreds that read alike, and each reads like
        its alert. So they are cut off by themselves, and where they fill half of a full list, the wanted documents are asked for
        once more without them.
        """
        if scope.tiers is None or Tier.ALERT in scope.tiers or _GUIDES.isdisjoint(scope.tiers):
            return fuse(views, self._index.search(views, scope), most)
        lists = self._index.search(views, replace(scope, tiers=(*scope.tiers, Tier.ALERT)))
        rules = [[seen for seen in found if seen.tier == Tier.ALERT.value] for found in lists]
        if any(len(found) >= DEPTH and 2 * len(ruled) > len(found) for found, ruled in zip(lists, rules, strict=True)):
            # Measured together, as a rule's score becomes that of the page it names.
            lists = [
                sorted((*mine, *theirs[:_RULES_LISTED]), key=lambda seen: -seen.score)
                for mine, theirs in zip(self._index.search(views, scope), rules, strict=True)
            ]
        guests = {seen.document for found in rules for seen in found}
        return fuse(views, lists, most, guests=guests, most_guests=_RULES_HEARD)

    def _read(self, standings: Sequence[Standing]) -> list[tuple[Standing, Chunk]]:
        """Each with its best piece; one that went away meanwhile is left out."""
        held = {chunk.id: chunk for chunk in self._index.pieces([item.piece for item in standings])}
        return [(item, held[item.piece]) for item in standings if item.piece in held]

    def _side_by_side(
        self, question: Question, views: Sequence[View], read: list[tuple[Standing, Chunk]]
    ) -> list[tuple[Standing, Chunk]]:
        """In the order after one more view, whose answer is in the texts read: which hold the question's words side by side."""
        asked = skip_bigrams(question.prose)
        if not asked:
            return read
        worths = side_by_side(asked, [chunk.told for _, chunk in read])
        seen = [Seen(item.piece, item.key, worth) for (item, _), worth in zip(read, worths, strict=True) if worth > 0]
        view = View(by="words", vector=(), label="its words side by side", weight=_SIDE_BY_SIDE)
        chunks = {item.key: chunk for item, chunk in read}
        return [(item, chunks[item.key]) for item in also_heard([item for item, _ in read], views, view, seen)]

    def _spoken_for(self, read: list[tuple[Standing, Chunk]], scope: Scope) -> list[tuple[Standing, Chunk]]:
        """Rules that name a runbook give their place to it; nothing is fetched that is not in scope."""
        rules = [(item, chunk.runbook_url or "") for item, chunk in read if chunk.tier is Tier.ALERT]
        pages = self._pages_at([url for _, url in rules], scope)
        named: dict[tuple[str, str], Standing] = {}
        for item, url in rules:
            if page := pages.get(url):
                spoken = replace(item, source=page.source, doc_id=page.doc_id, piece=page.id)
                named.setdefault(spoken.key, spoken)
        if not named:
            return read
        own = {item.key: item for item, _ in read}
        better = {key: item for key, item in named.items() if key not in own or own[key].score < item.score}
        merged = [replace(item, piece=own[key].piece if key in own else item.piece) for key, item in better.items()]
        rest = [item for item, _ in read if item.key not in better]
        return self._read(sorted((*rest, *merged), key=lambda item: (-item.score, item.key)))

    def _pages_at(self, urls: Sequence[str], scope: Scope) -> dict[str, Chunk]:
        """Of each address that names one page in scope, that page's first piece."""
        places = dict.fromkeys(place for url in urls for place in telling(place_keys(url)))
        if not places:
            return {}
        held = sorted(self._index.at_places(list(places), scope), key=lambda page: (page.source, page.doc_id))
        keys = [(*place_keys(page.url or ""), *place_keys(page.doc_id)) for page in held]
        which = {url: which_page(url, keys) for url in dict.fromkeys(urls)}
        return {url: held[place] for url, place in which.items() if place is not None}

    def _looked_at_again(self, text: str, found: list[Found]) -> list[Found]:
        if self._reranker is None:
            return found
        first = found[:RERANKED]
        order = self._reranker.order(text, [item.evidence for item in first])
        return [*(first[place] for place in order), *found[RERANKED:]]

    def _told(self, question: Question, found: Sequence[Found]) -> list[Found]:
        """With the names in common, and as score the probability that each answers."""
        names, told = identifiers(question.text), list[Found]()
        for item in found:
            evidence = item.evidence
            words = "\n".join((evidence.doc_id or "", evidence.title, *evidence.section, evidence.text))
            shared = identifiers(words, names) if names else names
            probability = likelihood(evidence.score, item.closeness, self._embedder.floor)
            related = is_related(item.closeness, self._embedder.floor, shared)
            # Among a handful of documents a stranger stands out too: it is no answer for that.
            probability = probability if related else min(probability, ANSWERS / 2)
            told.append(replace(item, evidence=replace(evidence, score=probability), shared=shared, related=related))
        return told

    def _weighed(self, read: Sequence[tuple[Standing, Chunk]], now: datetime | None) -> list[_Weighed]:
        """Everything read, in the order after what documents themselves tell: freshness, review, thumbs."""
        opinions = self._opinions(now)
        found = []
        for item, chunk in read:
            signals = signals_of(chunk, opinions.get(item.doc_id, 0.0), now)
            score = item.score + sum(signal.weight for signal in signals)
            found.append(_Weighed(score=score, standing=item, chunk=chunk, signals=signals))
        return sorted(found, key=lambda item: (-item.score, item.standing.key))

    def _as_found(self, views: Sequence[View], weighed: Sequence[_Weighed]) -> list[Found]:
        """With evidence, and how near each is in meaning: the best cosine that a view told, or its best section's."""
        heard = {
            item.chunk.id: [voice.score for voice in item.standing.voices if voice.by == "meaning"] for item in weighed
        }
        unheard = self._index.meanings([piece for piece, scores in heard.items() if not scores])
        # A service's own view asks for the same meaning again.
        asked = dict.fromkeys(v.vector for v in views if v.by == "meaning" and isinstance(v.vector, tuple))
        for piece, vector in unheard.items():
            heard[piece] = [sum(map(operator.mul, one, vector)) for one in asked]
        return [
            Found(
                evidence=evidence_of(item.chunk, item.score),
                source=item.chunk.source,
                # A piece that went away in between is near to nothing.
                closeness=max(heard[item.chunk.id], default=0.0),
                shared=frozenset(),
                related=False,
                standing=item.standing,
                signals=item.signals,
            )
            for item in weighed
        ]


@dataclass(frozen=True, kw_only=True)
class _Weighed:
    """A document that was read, and what it comes to with its signals."""

    score: float
    standing: Standing
    chunk: Chunk
    signals: tuple[Signal, ...]


def never_rising(found: Sequence[Found]) -> list[Found]:
    """What stands behind another is told to be at most as likely to answer."""
    told: list[Found] = []
    for item in found:
        rises = bool(told) and item.evidence.score > told[-1].evidence.score
        told.append(replace(item, evidence=replace(item.evidence, score=told[-1].evidence.score)) if rises else item)
    return told


def _by_words(text: str, label: str) -> list[View]:
    vector = encode_query(text)
    if not vector.indices:
        return []
    return [View(by="words", vector=vector, label=label), View(by="name", vector=vector, label=f"{label} in names")]


def evidence_of(chunk: Chunk, score: float) -> Evidence:
    """A piece of the index as evidence."""
    return Evidence(
        id=chunk.id,
        tier=chunk.own_tier or chunk.tier,
        within=chunk.tier if chunk.own_tier else None,
        title=chunk.title,
        text=chunk.text,
        section=chunk.section,
        doc_id=chunk.doc_id,
        url=section_url(chunk.url, chunk.title, chunk.section),
        score=score,
        updated_at=chunk.updated_at,
        occurred_at=chunk.occurred_at,
        piece=chunk.id,
    )
