"""Retrieval quality on your own documents and questions, ours beside three plain ways.

    python -m benchmarks.retrieval --corpus FOLDER --queries QUERIES.jsonl [--index FOLDER] [--model NAME]

QUERIES: a line each of `{"query_id", "text", "difficulty"?, "relevant": [document id…]}`; ids are paths relative to the
folder, with or without the suffix and the first folder. The repository ships no such files.

Does: ingest the folder, ask every question in four ways over the same index, and print hit@1, hit@5 and mean reciprocal
rank for each difficulty, with the milliseconds a question took.
Does not: tune anything, or write outside `--index` (a temporary folder unless it is given, to be used again).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from core.access import PUBLIC
from core.store import open_store
from ingest.sources import open_source
from ingest.sync import Ingestor
from retrieval.chunk import Scope, View
from retrieval.embedding import Embedder, open_embedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever
from retrieval.sparse import encode_query

Way = Callable[[str], list[str]]


def ways(index: EdgeIndex, embedder: Embedder) -> dict[str, Way]:
    """Each way to look, from a question's text to document ids, best first."""
    retriever = Retriever(index, embedder)

    def plain(views: Callable[[str], list[View]]) -> Way:
        def look(text: str) -> list[str]:
            hits = index.search(views(text), Scope(audience=PUBLIC), limit=200)
            return list(dict.fromkeys(hit.chunk.doc_id for hit in hits))[:10]

        return look

    def words(text: str) -> View:
        return View(by="words", vector=encode_query(text))

    def meaning(text: str) -> View:
        return View(by="meaning", vector=tuple(embedder.embed_query(text)))

    return {
        "words alone (BM25, split)": plain(lambda text: [words(text)]),
        f"meaning alone ({embedder.name})": plain(lambda text: [meaning(text)]),
        "plain fusion of the two": plain(lambda text: [words(text), meaning(text)]),
        "rundown": lambda text: [str(item.doc_id) for item in retriever.search(text, limit=10)],
    }


def rank_of_first(found: Sequence[str], relevant: set[str]) -> int | None:
    """Place of the first right answer, from 1; None if it is not among them."""
    return next((place for place, doc_id in enumerate(found, start=1) if not relevant.isdisjoint(names(doc_id))), None)


def names(doc_id: str) -> set[str]:
    """What a question file may call a document: its path, without its suffix, without its first folder."""
    path = PurePosixPath(doc_id)
    below = PurePosixPath(*path.parts[1:]) if len(path.parts) > 1 else path
    return {str(path), str(path.with_suffix("")), str(below), str(below.with_suffix(""))}


def measure(way: Way, queries: Sequence[dict[str, Any]]) -> tuple[dict[str, str], float]:
    """A cell for each difficulty, and the milliseconds a question took."""
    places: dict[str, list[int | None]] = defaultdict(list)
    started = time.perf_counter()
    for query in queries:
        places[query.get("difficulty", "all")].append(rank_of_first(way(query["text"]), set(query["relevant"])))
    seconds = time.perf_counter() - started
    cells = {}
    for difficulty, found in places.items():
        hit1, hit5 = (sum(place is not None and place <= top for place in found) / len(found) for top in (1, 5))
        mrr = sum(1 / place for place in found if place) / len(found)
        cells[difficulty] = f"{hit1:.3f} {hit5:.3f} {mrr:.3f}"
    return cells, 1000 * seconds / len(queries)


def main() -> None:
    """Ingest, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder or git repository of documents")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines of questions with right answers")
    parser.add_argument("--index", type=Path, help="keep the index here and use it again")
    parser.add_argument("--model", help="embedding model; the carried MiniLM by default")
    args = parser.parse_args()
    queries = [json.loads(line) for line in args.queries.read_text(encoding="utf-8").splitlines() if line.strip()]

    with tempfile.TemporaryDirectory() as scratch:
        home = args.index or Path(scratch)
        store, index, embedder = (
            open_store(f"sqlite:///{home / 'store.sqlite'}"),
            EdgeIndex(home / "index"),
            open_embedder(args.model),
        )
        started, worked = time.perf_counter(), time.process_time()
        report = Ingestor(store, index, embedder).sync(open_source(args.corpus))
        wall, cpu = time.perf_counter() - started, time.process_time() - worked
        print(f"{report.seen} documents, {index.count()} pieces: {wall:.0f} s, {cpu:.0f} s of them computing")
        difficulties = sorted({query.get("difficulty", "all") for query in queries})
        counts = {name: sum(query.get("difficulty", "all") == name for query in queries) for name in difficulties}
        print(
            f"{'hit@1 hit@5 MRR':40}" + "".join(f"{name} (n {counts[name]})".ljust(20) for name in difficulties) + "ms"
        )
        for name, way in ways(index, embedder).items():
            cells, ms = measure(way, queries)
            print(f"{name:40}" + "".join(cells[key].ljust(20) for key in difficulties) + f"{ms:.1f}", flush=True)
        index.close()
        store.close()


if __name__ == "__main__":
    main()
