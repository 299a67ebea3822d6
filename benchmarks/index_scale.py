"""What a search costs as the index grows: the embedded engine beside qdrant-client's local mode.

    python -m benchmarks.index_scale [--sizes 1000 10000 100000] [--keep FOLDER] [--local-100k] [--json FILE]

Does: generate pieces (vectors around centres, words from a Zipf vocabulary, access lists, tiers, services, times), store them,
and time whole searches (`Retriever.look`) with filters on, with and without the model's reading of the question. Each index is
built in one process and searched in a fresh one, so that memory is that of opening and searching alone.
Does not: measure quality; the texts mean nothing (`python -m benchmarks.retrieval` does).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.apart import apart, peak_mb
from core.access import Audience
from core.model import Tier
from retrieval.chunk import Chunk, Vectors, space_of
from retrieval.embedding import Embedder, open_embedder
from retrieval.index import EdgeIndex, ServerIndex, VectorIndex
from retrieval.retriever import Retriever
from retrieval.sparse import encode_name, encode_piece

#: Of the generated world: words in the vocabulary, words a piece, pieces a document, centres, services.
_VOCABULARY, _WORDS, _PIECES, _CENTRES, _SERVICES = 20_000, 80, 5, 200, 30
#: How far a vector lies from its centre: cosines to the centre come out around 0.7.
_NOISE = 1.0
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = (
    "ba",
    "co",
    "di",
    "fe",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "zu",
)
#: Lists of readers: most pages are for everyone, the rest for one of some groups and people.
_READERS = (
    *[("*",)] * 20,
    *[(f"group:team-{number}",) for number in range(12)],
    *[(f"group:team-{number}", f"user:lead-{number}@example.org") for number in range(8)],
)
_AUDIENCE = Audience.of(
    ("group:team-1", "group:team-2", "user:anna@example.org"),
    ("group:team-1", "group:team-3", "user:ben@example.org"),
    ("group:team-1", "user:lead-2@example.org"),
)
_TIERS = (Tier.RUNBOOK, Tier.WIKI, Tier.PAST_INCIDENT)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one engine cost at one size. Times are of whole searches."""

    engine: str
    pieces: int
    build_s: float
    disk_mb: float
    #: Without and with the model's reading of the question.
    p50_ms: float
    p95_ms: float
    model_p50_ms: float
    model_p95_ms: float
    #: CPU time of a search without the model, all threads together, in the mean.
    cpu_ms: float
    #: Peak resident memory of the process that searched, before and after it loaded the model.
    memory_mb: float
    model_memory_mb: float
    #: Documents a search found, in the mean: a search that finds nothing is fast.
    found: float


class Stand:
    """An embedder whose vectors lie near the generated centres; it may spend the real model's time on them.

    Args:
        model: what reads the texts, its vectors thrown away; None for nothing.
    """

    name, dimension, floor = "all-MiniLM-L6-v2", 384, 0.35

    def __init__(self, model: Embedder | None = None) -> None:
        self._model = model
        self._centres = _centres(self.dimension)

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector near one of the centres for each text, the same for the same text."""
        if self._model is not None:
            self._model.embed_queries(texts)
        return [self._near(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """As `embed_queries`."""
        return self.embed_queries([text])[0]

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """As `embed_queries`, by no model."""
        return [self._near(text) for text in texts]

    def _near(self, text: str) -> list[float]:
        import numpy as np

        seed = random.Random(text).getrandbits(32)
        rng = np.random.default_rng(seed)
        vector = self._centres[seed % _CENTRES] + _NOISE * rng.standard_normal(self.dimension) / self.dimension**0.5
        return [float(value) for value in vector / np.linalg.norm(vector)]


def _centres(dimension: int) -> Any:
    import numpy as np

    found = np.random.default_rng(7).standard_normal((_CENTRES, dimension))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Texts:
    """Random texts: words by Zipf's law, a few of them names of several parts.

    Args:
        seed: the same gives the same texts.
    """

    def __init__(self, seed: int) -> None:
        spell = random.Random(1)
        words = dict.fromkeys("".join(spell.choices(_SYLLABLES, k=spell.randint(2, 4))) for _ in range(2 * _VOCABULARY))
        self._words = list(words)[:_VOCABULARY]
        self._random = random.Random(seed)
        self._cumulated: list[float] = []
        for rank in range(1, len(self._words) + 1):
            self._cumulated.append((self._cumulated[-1] if self._cumulated else 0.0) + 1 / rank)

    def words(self, count: int) -> list[str]:
        """So many words."""
        return self._random.choices(self._words, cum_weights=self._cumulated, k=count)

    def name(self) -> str:
        """An alert's name."""
        return "".join(word.capitalize() for word in self.words(3))

    def metric(self) -> str:
        """A metric's name."""
        return "_".join((*self.words(3), "total"))


def pieces(count: int) -> Iterator[tuple[Chunk, Vectors]]:
    """So many pieces of documents, the same each time."""
    texts, chance, stand = Texts(2), random.Random(3), Stand()
    space = space_of(stand)
    for start in range(0, count, _PIECES):
        title, readers = texts.name(), chance.choice(_READERS)
        tier, service = chance.choice(list(Tier)), f"service-{chance.randrange(_SERVICES)}"
        changed = _NOW - timedelta(days=chance.uniform(0, 1000))
        doc_id, of = f"docs/{start}/{title}.md", min(_PIECES, count - start)
        for number in range(of):
            text = " ".join((*texts.words(_WORDS), texts.metric()))
            chunk = Chunk(
                source="folder:/docs",
                doc_id=doc_id,
                number=number,
                of=of,
                title=title,
                section=(f"Part {number}",),
                text=text,
                tier=tier,
                digest=str(start),
                space=space,
                service=service,
                updated_at=changed,
                readers=readers,
            )
            name = encode_name(f"{title}\n{doc_id}") if number == 0 else None
            yield chunk, Vectors(meaning=tuple(stand.embed_query(text)), words=encode_piece(text), name=name)


def questions(count: int) -> list[str]:
    """Alerts: a third by name and description, a third with an error, a third an expression."""
    texts = Texts(4)
    found = []
    for number in range(count):
        if number % 3 == 2:
            found.append(f'sum(rate({texts.metric()}{{job="{texts.words(1)[0]}"}}[5m])) by (pod) > 0.05')
        else:
            error = f"\nerror: {' '.join(texts.words(5))}" if number % 3 else ""
            found.append(f"{texts.name()}\n{' '.join(texts.words(15))}{error}")
    return found


def _fill(index: VectorIndex, count: int) -> float:
    """Store them; seconds spent in the engine, as generating and encoding are no engine's cost."""
    spent, batch = 0.0, []
    started = time.perf_counter()
    index.prepare(space_of(Stand()), Stand.dimension)
    spent += time.perf_counter() - started
    for piece in pieces(count):
        batch.append(piece)
        if len(batch) == 1024:
            spent, batch = spent + _put(index, batch), []
    return spent + (_put(index, batch) if batch else 0.0)


def _put(index: VectorIndex, batch: list[tuple[Chunk, Vectors]]) -> float:
    started = time.perf_counter()
    index.put(batch)
    return time.perf_counter() - started


def _build(folder: Path, count: int) -> float:
    index = EdgeIndex(folder)
    spent = _fill(index, count)
    started = time.perf_counter()
    index.settle()
    spent += time.perf_counter() - started
    index.close()
    return spent


def _search(folder: Path | None, count: int, asked: int, model: str | None) -> Cost:
    """Open, search, tell. Without a folder: qdrant-client's local mode, which is filled first, in this same process."""
    warnings.simplefilter(
        "ignore"
    )  # the local mode warns that it is slow beyond 20,000 points; that is what is measured
    build_s, disk_mb = 0.0, 0.0
    if folder is None:
        from qdrant_client import QdrantClient

        index: VectorIndex = ServerIndex(QdrantClient(":memory:"), "rundown")
        build_s = _fill(index, count)
    else:
        index = EdgeIndex(folder)
        disk_mb = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e6
    without, cpu_ms, found = _times(index, Stand(), asked)
    memory = peak_mb()
    with_model, _, _ = _times(index, Stand(open_embedder(model)), asked)
    index.close()
    return Cost(
        engine="qdrant-client local mode" if folder is None else "embedded engine",
        pieces=count,
        build_s=build_s,
        disk_mb=disk_mb,
        p50_ms=statistics.median(without),
        p95_ms=_p95(without),
        model_p50_ms=statistics.median(with_model),
        model_p95_ms=_p95(with_model),
        cpu_ms=cpu_ms,
        memory_mb=memory,
        model_memory_mb=peak_mb(),
        found=found,
    )


def _times(index: VectorIndex, embedder: Embedder, asked: int) -> tuple[list[float], float, float]:
    """Milliseconds of each search, the first ones left out, the mean CPU time, and the mean number of documents found."""
    retriever, times, cpu, found = Retriever(index, embedder), [], [], []
    retriever.warm()  # as `rundown serve` does when it starts
    for number, text in enumerate(questions(asked + 5)):
        started, worked = time.perf_counter(), time.process_time()
        seen = retriever.look(
            text,
            service=f"service-{number % _SERVICES}",
            audience=_AUDIENCE,
            tiers=_TIERS,
            before=_NOW - timedelta(days=100),
        )
        times.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (time.process_time() - worked))
        found.append(len(seen))
    return times[5:], statistics.fmean(cpu[5:]), statistics.fmean(found)


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(int(0.95 * len(times)), len(times) - 1)]


def costs(
    sizes: Sequence[int], home: Path, *, asked: int, local_up_to: int, model: str | None = None
) -> Iterator[Cost]:
    """Every engine at every size.

    Args:
        home: where indexes are built; one that is there is used again, and tells no build seconds.
        asked: searches that are timed.
        local_up_to: the largest size at which the local mode is measured.
        model: what reads the questions, as in `open_embedder`.
    """
    for size in sizes:
        folder = home / f"scale-{size}"
        build_s = 0.0 if folder.exists() else apart(_build, folder, size)
        cost = apart(_search, folder, size, asked, model)
        yield Cost(**(asdict(cost) | {"build_s": build_s}))
        if size <= local_up_to:
            yield apart(_search, None, size, max(asked // 4, 1), model)


def main() -> None:
    """Build, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.epilog = "example: python -m benchmarks.index_scale --sizes 1000 10000 --keep /tmp/scale --json scale.json"
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="pieces")
    parser.add_argument("--asked", type=int, default=200, help="searches timed; a quarter of them in the local mode")
    parser.add_argument("--keep", type=Path, help="keep the indexes here and use them again")
    parser.add_argument("--model", help="what reads the questions; the carried MiniLM by default")
    parser.add_argument("--local-100k", action="store_true", help="the local mode beyond 10,000 pieces too; it is slow")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    print(
        f"{'engine':26}{'pieces':>8}{'build s':>9}{'disk MB':>9}{'p50 ms':>8}{'p95 ms':>8}"
        f"{'+model p50':>12}{'p95':>7}{'CPU ms':>8}{'MB':>7}{'+model MB':>11}{'found':>7}"
    )
    done = []
    with tempfile.TemporaryDirectory() as scratch:
        limit = max(args.sizes) if args.local_100k else 10_000
        for cost in costs(
            args.sizes, args.keep or Path(scratch), asked=args.asked, local_up_to=limit, model=args.model
        ):
            done.append(asdict(cost))
            print(
                f"{cost.engine:26}{cost.pieces:8d}{cost.build_s:9.1f}{cost.disk_mb:9.0f}{cost.p50_ms:8.1f}{cost.p95_ms:8.1f}"
                f"{cost.model_p50_ms:12.1f}{cost.model_p95_ms:7.1f}{cost.cpu_ms:8.1f}{cost.memory_mb:7.0f}{cost.model_memory_mb:11.0f}"
                f"{cost.found:7.1f}",
                flush=True,
            )
    if args.json:
        args.json.write_text(json.dumps(done, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
