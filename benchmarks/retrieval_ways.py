"""Ways to look for documents that the retrieval benchmark compares: ours whole and in parts, and four plain ones.

Does: turn an index, an embedder and documents into functions from a question to document ids.
Does not: measure them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.retrieval_measures import TOP, Query, Surety, measures, names
from core.access import PUBLIC
from core.model import Document
from retrieval.answering import likelihood
from retrieval.chunk import DEPTH, Chunk, Scope, Seen, View
from retrieval.embedding import Embedder
from retrieval.fusion import Standing
from retrieval.index import VectorIndex
from retrieval.question import Question
from retrieval.retriever import Found, Retriever
from retrieval.sparse import encode_query

Way = Callable[[str], list[str]]
#: What a search is made of, in the order in which it is built up.
STAGES = ("meaning", "words", "names", "pairs", "expression", "errors", "signals")
#: Reciprocal rank fusion's constant (Cormack, Clarke and Büttcher 2009).
_RRF = 60


class Remembering:
    """An embedder that reads each text once, so that what is timed the second time is everything else.

    Args:
        embedder: what reads.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self._held = embedder, dict[str, list[float]]()
        self.name, self.dimension, self.floor = embedder.name, embedder.dimension, embedder.floor

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Asked each time: documents are read once anyway."""
        return self._embedder.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for."""
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for."""
        new = [text for text in dict.fromkeys(texts) if text not in self._held]
        if new:
            self._held.update(zip(new, self._embedder.embed_queries(new), strict=True))
        return [self._held[text] for text in texts]


class Staged(Retriever):
    """Ours with some of its stages only: what a stage adds is the difference to the search without it.

    Args:
        stages: of `STAGES`, those that stay.
    """

    def __init__(self, index: VectorIndex, embedder: Embedder, stages: Iterable[str]) -> None:
        super().__init__(index, embedder)
        self._stages = frozenset(stages)

    def _views(self, question: Question, service: str | None) -> list[View]:
        question = replace(
            question,
            expression=question.expression if "expression" in self._stages else "",
            errors=question.errors if "errors" in self._stages else "",
        )
        stage_of = {"meaning": "meaning", "words": "words", "name": "names"}
        # Without weight instead of left out: how near a document is in meaning is told beside its place.
        views = super()._views(question, service)
        return [view if stage_of[view.by] in self._stages else replace(view, weight=0.0) for view in views]

    def _side_by_side(
        self, question: Question, views: Sequence[View], read: list[tuple[Standing, Chunk]]
    ) -> list[tuple[Standing, Chunk]]:
        return super()._side_by_side(question, views, read) if "pairs" in self._stages else read


class Timeless:
    """An index whose pieces tell nothing but what they say, so that no signal moves them.

    Args:
        index: where they are.
    """

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def pieces(self, piece_ids: Sequence[str]) -> list[Chunk]:
        """As the index has them, without when they were changed or reviewed."""
        return [replace(chunk, updated_at=None, reviewed_at=None) for chunk in self._index.pieces(piece_ids)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)


#: How many times as many pieces are listed where whole folders are hidden: most of a list may be theirs.
_FOLDER_DEPTH = 12


@dataclass(frozen=True, kw_only=True)
class Without:
    """An index in which some documents are not: what a question finds to which there is no answer."""

    index: VectorIndex
    #: By any of their `names`.
    hidden: frozenset[str]
    #: Outermost folders that are hidden as a whole.
    folders: frozenset[str] = frozenset()

    def search(self, views: Sequence[View], scope: Scope, *, limit: int = DEPTH) -> list[list[Seen]]:
        """As the index does, the hidden documents' places taken by the next ones."""
        lists = self.index.search(views, scope, limit=(_FOLDER_DEPTH if self.folders else 2) * limit)
        return [[item for item in found if not self._hides(item.doc_id)][:limit] for found in lists]

    def at_places(self, places: Sequence[str], scope: Scope) -> list[Chunk]:
        """As the index does, without the hidden: no rule brings one back."""
        return [page for page in self.index.at_places(places, scope) if not self._hides(page.doc_id)]

    def _hides(self, doc_id: str) -> bool:
        told = names(doc_id)
        return not self.hidden.isdisjoint(told) or any(_outermost(name) in self.folders for name in told)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)


def surety(index: VectorIndex, embedder: Embedder, query: Query) -> Surety:
    """How sure ours is of a question, with its right answers there, without them, and without all that lies in their folders."""
    found = Retriever(index, embedder).look(query.text, limit=TOP)
    page: Any = Without(index=index, hidden=query.relevant)
    project: Any = replace(page, folders=frozenset(map(_outermost, query.relevant)))
    left, strangers = (
        _probability(Retriever(lacking, embedder).look(query.text, limit=1), embedder) for lacking in (page, project)
    )
    first, five, _, _ = measures([str(item.evidence.doc_id) for item in found], query.relevant)
    return Surety(
        score=_probability(found, embedder), first=first > 0, five=five > 0, without=left, strangers=strangers
    )


def _outermost(name: str) -> str:
    return name.partition("/")[0]


def _probability(found: Sequence[Found], embedder: Embedder) -> float:
    """That the first one answers."""
    if not found:
        return 0.0
    score = found[0].standing.score + sum(signal.weight for signal in found[0].signals)
    return likelihood(score, found[0].closeness, embedder.floor)


def ours(index: VectorIndex, embedder: Embedder, stages: Iterable[str] = STAGES) -> Way:
    """Our search with these stages; with all of them, as it is."""
    held: Any = index if "signals" in stages else Timeless(index)
    whole = set(stages) == set(STAGES)
    retriever = Retriever(held, embedder) if whole else Staged(held, embedder, stages)
    return lambda text: [str(item.doc_id) for item in retriever.search(text, limit=TOP)]


def by_words(index: VectorIndex) -> Way:
    """BM25 over sections, identifiers split."""
    return lambda text: _documents(index, View(by="words", vector=encode_query(text)))[:TOP]


def by_meaning(index: VectorIndex, embedder: Embedder) -> Way:
    """The embedding model alone, over sections."""
    return lambda text: _documents(index, View(by="meaning", vector=tuple(embedder.embed_query(text))))[:TOP]


def plain_fusion(index: VectorIndex, embedder: Embedder) -> Way:
    """Reciprocal rank fusion of the two."""

    def look(text: str) -> list[str]:
        views = (
            View(by="words", vector=encode_query(text)),
            View(by="meaning", vector=tuple(embedder.embed_query(text))),
        )
        scores: dict[str, float] = {}
        for view in views:
            for place, doc_id in enumerate(_documents(index, view), start=1):
                scores[doc_id] = scores.get(doc_id, 0.0) + 1 / (_RRF + place)
        return sorted(scores, key=lambda doc_id: (-scores[doc_id], doc_id))[:TOP]

    return look


def _documents(index: VectorIndex, view: View) -> list[str]:
    """Documents by their best section, best first; equals in order of their names."""
    best: dict[str, float] = {}
    for item in index.search([view], Scope(audience=PUBLIC))[0]:
        best[item.doc_id] = max(best.get(item.doc_id, item.score), item.score)
    return sorted(best, key=lambda doc_id: (-best[doc_id], doc_id))


def llama_index(documents: Iterable[Document], embedder: Embedder, home: Path) -> Way:
    """LlamaIndex's default pipeline: its sentence splitter, its vector index in memory, our embedding model.

    Args:
        home: where the vectors are kept, to be used again for the same documents.
    """
    from llama_index.core import Document as LlamaDocument
    from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
    from llama_index.core.node_parser import SentenceSplitter

    from retrieval.llamaindex import as_llama_embedding

    logging.getLogger("llama_index").setLevel(logging.ERROR)
    # As SimpleDirectoryReader gives a file: its text, and its path as metadata.
    given = [LlamaDocument(id_=item.id, text=_whole(item), metadata={"file_path": item.id}) for item in documents]
    model = as_llama_embedding(embedder)
    digest = hashlib.sha256("\0".join((embedder.name, *(f"{item.id_}\0{item.text}" for item in given))).encode())
    kept = home / f"llamaindex-{digest.hexdigest()[:16]}"
    if kept.exists():
        index = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(kept)), embed_model=model)
    else:
        index = VectorStoreIndex(SentenceSplitter().get_nodes_from_documents(given), embed_model=model)
        index.storage_context.persist(persist_dir=str(kept))
    retriever = index.as_retriever(similarity_top_k=DEPTH)

    def look(text: str) -> list[str]:
        found = retriever.retrieve(text)
        best: dict[str, float] = {}
        for item in found:
            doc_id = str(item.node.ref_doc_id)
            best[doc_id] = max(best.get(doc_id, item.score), item.score)
        return sorted(best, key=lambda doc_id: (-best[doc_id], doc_id))[:TOP]

    return look


def _whole(document: Document) -> str:
    """Its text with its title, which a file has on top."""
    return document.text if document.title in document.text[:200] else f"# {document.title}\n\n{document.text}"
