"""Retrieval quality on your own documents and questions: ours beside four plain ways, in one run.

    python -m benchmarks.retrieval --corpus FOLDER --queries QUERIES.jsonl [--index FOLDER] [--chart quality.png]

QUERIES: a line each of `{"query_id", "text", "relevant": [document id…], "difficulty"?, "kind"?, "source"?}`; ids are paths
relative to the folder, with or without the suffix and the first folder. The repository ships no such files.

Does: ingest the folder, ask every question in each way over the same index, and print quality by difficulty, kind and source with
bootstrap intervals of the difference to plain fusion, what each stage adds, how sure answers are, milliseconds, and memory of each
way in a process of its own. With `--tell ID`, single questions in full.
Does not: tune anything, or write outside `--index` (a temporary folder unless it is given, to be used again), `--json` and `--chart`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apart import apart, peak_mb
from benchmarks.retrieval_measures import MEASURES, Query, compared, curve, draw, measures, point
from benchmarks.retrieval_told import tell
from benchmarks.retrieval_ways import (
    STAGES,
    Remembering,
    Way,
    by_meaning,
    by_words,
    llama_index,
    ours,
    plain_fusion,
    surety,
)
from core.model import Document
from core.store import open_store
from ingest.sources import open_source
from ingest.sync import Ingestor
from retrieval.answering import ANSWERS
from retrieval.embedding import open_embedder
from retrieval.index import EdgeIndex

OURS, WORDS, FUSION, LLAMA = "rundown", "BM25, words split", "plain fusion (RRF 60)", "LlamaIndex default"
#: Questions asked a second time, for the time without embedding.
_TIMED = 200


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one way gave: a row of `MEASURES` a question, and milliseconds."""

    rows: Any
    #: Of each question when it was first asked; and of some, asked again, when the model need not read them.
    asked_ms: tuple[float, ...]
    again_ms: tuple[float, ...]


def read_queries(file: Path) -> list[Query]:
    """The questions of a file, those left out whose line names documents to `exclude`, as the scorer does."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Query(
            id=str(line["query_id"]),
            text=line["text"],
            difficulty=line.get("difficulty", "all"),
            kind=line.get("kind", "all"),
            source=line.get("source", "all"),
            relevant=frozenset(line["relevant"]),
        )
        for line in lines
        if not line.get("exclude")
    ]


def run(way: Way, queries: Sequence[Query]) -> Run:
    """Ask everything once, and some of it again."""
    rows, asked = [], []
    for query in queries:
        started = time.perf_counter()
        found = way(query.text)
        asked.append(1000 * (time.perf_counter() - started))
        rows.append(measures(found, query.relevant))
    again = []
    for query in queries[:: max(len(queries) // _TIMED, 1)]:
        started = time.perf_counter()
        way(query.text)
        again.append(1000 * (time.perf_counter() - started))
    return Run(rows=np.array(rows), asked_ms=tuple(asked), again_ms=tuple(again))


def ways(index: EdgeIndex, model: Any, documents: Sequence[Document], home: Path) -> dict[str, Callable[[], Way]]:
    """Each way to look, opened when it is its turn, with a memory of its own so that each pays for its embedding."""
    return {
        OURS: lambda: ours(index, Remembering(model)),
        WORDS: lambda: by_words(index),
        f"{model.name} alone": lambda: by_meaning(index, Remembering(model)),
        FUSION: lambda: plain_fusion(index, Remembering(model)),
        LLAMA: lambda: llama_index(documents, Remembering(model), home),
    }


def ladder() -> dict[str, tuple[str, ...]]:
    """Ours built up stage by stage, then whole but for one."""
    up = {f"+ {stage}" if number else stage: STAGES[: number + 1] for number, stage in enumerate(STAGES)}
    return up | {f"without {stage}": tuple(other for other in STAGES if other != stage) for stage in STAGES}


def split(
    rows: Mapping[str, Any], queries: Sequence[Query], by: Callable[[Query], str], against: str
) -> dict[str, Any]:
    """`compared` for each group of questions."""
    groups = [by(query) for query in queries]
    return {
        group: compared(rows, np.array([other == group for other in groups]), against) for group in sorted(set(groups))
    }


def _group(name: str, query: Query) -> str:
    return f"{getattr(query, name)} {query.difficulty}"


def print_quality(title: str, groups: Mapping[str, Any], wanted: Sequence[str] = MEASURES) -> None:
    """A block for each group: every way, each measure with its difference and the interval of that."""
    for group, table in groups.items():
        count = next(iter(table.values()))["n"]
        heads = "".join(f"{measure:30}" for measure in wanted)
        print(f"\n{f'{title} {group} (n {count})':40}{heads}".rstrip())
        for way, cells in table.items():
            print(f"  {way:38}" + "".join(_cell(cells[measure]) for measure in wanted).rstrip())


def _cell(cell: Mapping[str, Any]) -> str:
    low, high = cell["difference_interval"]
    told = "" if low == high == 0 else f"{cell['difference']:+.3f} [{low:+.3f} {high:+.3f}]"
    return f"{cell['mean']:.3f} {told}".ljust(30)


def print_answers(points: Sequence[Mapping[str, float]], chosen: Mapping[str, float]) -> None:
    """How right answers are, by how many questions are answered."""
    print(
        "\nanswers: share of questions answered, of those first right and one of five right; share answered of the same questions"
        "\nwith their right documents taken out, and with all of those documents' folders; share right if every second question has"
        "\nits right documents taken out"
    )
    print(f"{'':2}{'from':>8}{'answered':>10}{'first':>8}{'five':>8}{'taken out':>11}{'folders out':>13}{'mixed':>8}")
    for number, at in enumerate((*points, chosen)):
        mark = "* in use" if number == len(points) else ""
        print(
            f"{'':2}{at['threshold']:8.3f}{at['coverage']:10.3f}{at['first']:8.3f}{at['five']:8.3f}{at['false']:11.3f}"
            f"{at['strangers']:13.3f}{at['mixed']:8.3f}  {mark}".rstrip()
        )


def print_cost(runs: Mapping[str, Run], memory: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Milliseconds and memory of each way; the same as a table."""
    print(
        f"\n{'milliseconds a question':32}{'p50':>8}{'p95':>8}   without embedding{'p50':>8}{'p95':>8}   peak MB alone"
    )
    table = {}
    for way, done in runs.items():
        cells = {
            "p50_ms": statistics.median(done.asked_ms),
            "p95_ms": float(np.percentile(done.asked_ms, 95)),
            "without_p50_ms": statistics.median(done.again_ms),
            "without_p95_ms": float(np.percentile(done.again_ms, 95)),
            "memory_mb": memory[way],
        }
        one, two, three, four, peak = cells.values()
        print(f"  {way:30}{one:8.1f}{two:8.1f}{'':20}{three:8.1f}{four:8.1f}{peak:16.0f}")
        table[way] = cells
    return table


def memory_of(way: str, corpus: Path, home: Path, model_name: str | None, texts: Sequence[str]) -> float:
    """Peak MB of a process that looks in one way alone; the index must be closed in every other.

    Args:
        home: where the corpus was indexed.
        texts: what it asks.
    """
    index, model = EdgeIndex(home / "index"), open_embedder(model_name)
    documents = _documents(corpus) if way == LLAMA else ()
    look = ways(index, model, documents, home)[way]()
    for text in texts:
        look(text)
    index.close()
    return peak_mb()


def _documents(corpus: Path) -> list[Document]:
    return [item for item in open_source(corpus).documents({}) if isinstance(item, Document)]


def report(
    index: EdgeIndex, model: Any, documents: Sequence[Document], queries: Sequence[Query], home: Path, args: Any
) -> None:
    """Ask, print, and write what was asked for. The index is closed when memory is measured."""
    runs = {}
    for name, opened in ways(index, model, documents, home).items():
        print(f"asking {len(queries)} questions: {name}", file=sys.stderr)
        runs[name] = run(opened(), queries)
    rows = {name: done.rows for name, done in runs.items()}
    told = {"difficulty": split(rows, queries, lambda query: query.difficulty, FUSION)}
    print_quality("difficulty", told["difficulty"])
    few = {name: rows[name] for name in (OURS, FUSION, LLAMA)}
    for name in ("kind", "source"):
        told[name] = split(few, queries, partial(_group, name), FUSION)
        print_quality(name, told[name], ("hit@5", "nDCG@10"))

    remembering = Remembering(model)
    if args.stages:
        print(
            "\nstages: what each adds, built up from the first; then the whole without one. Differences are to the whole"
        )
        steps = {OURS: rows[OURS]}
        for name, stages in ladder().items():
            print(f"asking {len(queries)} questions: {name}", file=sys.stderr)
            way = ours(index, remembering, stages)
            steps[name] = np.array([measures(way(query.text), query.relevant) for query in queries])
        told["stages"] = split(steps, queries, lambda query: query.difficulty, OURS)
        print_quality("difficulty", told["stages"], ("hit@5", "nDCG@10", "MRR"))

    print(f"asking {len(queries)} questions with and without their answers", file=sys.stderr)
    sureties = [surety(index, remembering, query) for query in queries]
    told["answers"] = {"curve": curve(sureties), "in_use": point(sureties, ANSWERS)}
    print_answers(told["answers"]["curve"], told["answers"]["in_use"])
    for query in queries:
        if query.id in args.tell:
            print("", *tell(index, remembering, query), sep="\n")
    index.close()
    some = [query.text for query in queries[:: max(len(queries) // _TIMED, 1)]]
    memory = {way: apart(memory_of, way, args.corpus, home, args.model, some) for way in runs}
    told["cost"] = print_cost(runs, memory)
    if args.json:
        args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if args.chart:
        draw(args.chart, told["difficulty"], sureties, ANSWERS)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.retrieval --corpus ~/runbooks --queries cases.jsonl --index /tmp/i --chart q.png",
    )
    parser.add_argument("--corpus", type=Path, required=True, help="folder or git repository of documents")
    parser.add_argument("--queries", type=Path, required=True, help="JSON lines of questions with right answers")
    parser.add_argument("--index", type=Path, help="keep the index here and use it again")
    parser.add_argument("--model", help="embedding model; the carried MiniLM by default")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--chart", type=Path, help="draw a chart here, .png or .svg")
    parser.add_argument(
        "--tell", action="append", default=[], metavar="ID", help="tell this question in full; may be repeated"
    )
    parser.add_argument("--no-stages", dest="stages", action="store_false", help="leave out what each stage adds")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ingest, ask, print."""
    args = parse(arguments)
    queries = read_queries(args.queries)
    with tempfile.TemporaryDirectory() as args.scratch:
        home = args.index or Path(args.scratch)
        home.mkdir(parents=True, exist_ok=True)
        model = open_embedder(args.model)
        store, index = open_store(f"sqlite:///{home / 'store.sqlite'}"), EdgeIndex(home / "index")
        source = open_source(args.corpus)
        started, worked = time.perf_counter(), time.process_time()
        done = Ingestor(store, index, model).sync(source)
        wall, cpu = time.perf_counter() - started, time.process_time() - worked
        print(f"{done.seen} documents, {index.count()} pieces: {wall:.0f} s, {cpu:.0f} s of them computing")
        print(f"Differences are to {FUSION}, with 95 % intervals by paired bootstrap.")
        model.embed_query("ready")  # loading it is nobody's first question
        report(index, model, _documents(args.corpus), queries, home, args)
        store.close()


if __name__ == "__main__":
    main()
