"""The one place that builds clients and wires parts together.

Does: open each part from settings, close them in reverse, and run everything of `rundown serve` in one process.
Does not: decide anything about incidents.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.investigation import attempt
from core.errors import UsageError
from core.llm import open_model
from core.settings import Settings
from core.store import Store

if TYPE_CHECKING:
    from bot.library import LiveLibrary
    from ingest.sync import Ingestor
    from prompts.drafter import Drafter
    from ranking.history import History
    from ranking.llama import CulpritModel
    from ranking.ranker import Ranker
    from ranking.scorer import Weighing
    from retrieval.embedding import Embedder
    from retrieval.index import VectorIndex
    from retrieval.retriever import Retriever

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Library:
    """Documents: the index, the search over it, and what fills it."""

    index: VectorIndex
    retriever: Retriever
    ingestor: Ingestor


@contextmanager
def open_library(
    settings: Settings, store: Store, *, folder: Path | None = None, embedder: Any = None
) -> Iterator[Library]:
    """Open the index of documents: the generation that answers.

    Args:
        folder: where an embedded index without generations lives, for documents that were given to one command.
        embedder: any `retrieval.embedding.Embedder`; the configured one unless told otherwise.

    Raises:
        IndexUnavailable: another process holds the embedded index, or the server does not answer.
        SettingsError: the embedding, the retriever, the splitter or the reranker cannot be used.
    """
    from ingest.chunking import open_cutter
    from ingest.sync import Ingestor
    from retrieval.embedding import open_configured
    from retrieval.index import EdgeIndex

    if folder is None:
        with open_live(settings, store, embedder=embedder) as live:
            yield live.current()
        return
    embedder = embedder or open_configured(settings, settings.embedding)
    index = EdgeIndex(folder)
    try:
        yield Library(
            index=index,
            retriever=make_retriever(settings, store, index, embedder),
            ingestor=Ingestor(store, index, embedder, cutter=open_cutter(settings)),
        )
    finally:
        index.close()


def open_live(settings: Settings, store: Store, *, embedder: Any = None) -> LiveLibrary:
    """The library over whichever generation of the index answers; opened with its first use.

    Args:
        embedder: any `retrieval.embedding.Embedder`; the one each generation was made with unless told otherwise.
    """
    from bot.library import LiveLibrary

    return LiveLibrary(settings, store, open_model=(lambda _: embedder) if embedder else None)


def make_retriever(settings: Settings, store: Store, index: VectorIndex, embedder: Embedder) -> Retriever:
    """The search over an index, with people's thumbs, the configured reranker, and the retriever that settings put in its place.

    Raises:
        SettingsError: the reranker or the retriever cannot be used.
    """
    from retrieval.named_retriever import open_retriever
    from retrieval.opinions import Opinions
    from retrieval.rerank import open_reranker
    from retrieval.retriever import Retriever

    opinions = Opinions(store.feedback, lambda: store.thumbs)
    return open_retriever(settings, Retriever(index, embedder, opinions, open_reranker(settings)))


def open_ranker(
    settings: Settings, repos: Sequence[str | Path] | None = None, *, serving: bool = False
) -> Ranker | None:
    """The ranker over the configured or given repositories; None without any.

    Args:
        serving: a team's own weights that cannot be read are a gap that every ranking tells, and those that ship rank.

    Raises:
        RepositoryError: none of them can be read. When some can, the others are gaps that every ranking tells.
        UsageError: the team's own weights cannot be read.
    """
    from ranking.history import open_histories

    paths = [str(path) for path in (repos if repos is not None else settings.repos)]
    if not paths:
        return None
    histories, gaps = open_histories(paths, home=settings.home)
    weighing: Weighing | None = None
    try:
        weighing = open_weighing(settings)
    except UsageError as error:
        if not serving:
            raise
        gaps = (*gaps, f"Ranked by the weights that ship: {error}")
    return make_ranker(settings, histories, gaps, weighing)


def make_ranker(
    settings: Settings, histories: Sequence[History], gaps: Sequence[str], weighing: Weighing | None = None
) -> Ranker:
    """The ranker over these histories, with the small Llama, and the large one when it is configured.

    Args:
        weighing: the weights that ship unless given.
    """
    from ranking.meaning import open_readers
    from ranking.ranker import Ranker

    return Ranker(
        histories,
        readers=open_readers(),
        model=open_culprit_model(settings),
        weighing=weighing,
        service_repos=settings.service_repos,
        gaps=gaps,
    )


def own_weights(settings: Settings) -> Path:
    """Where the weights lie that `rundown train ranker` fitted to a team's own incidents."""
    return settings.home / "ranker" / "weights.json"


def open_weighing(settings: Settings) -> Weighing:
    """What each feature counts: the team's own weights when there are some, else those that ship.

    Raises:
        UsageError: the team's own weights cannot be read.
    """
    from ranking.scorer import SHIPPED, read_weighing

    own = own_weights(settings)
    return read_weighing(own if own.exists() else SHIPPED)


def open_culprit_model(settings: Settings) -> CulpritModel | None:
    """The Llama that ranks culprits, when one is configured."""
    if not settings.ranker_model:
        return None
    from ranking.llama import LlamaVoter

    return LlamaVoter(settings.ranker_model, adapter=settings.ranker_adapter)


def open_drafter(settings: Settings) -> Drafter:
    """What writes: the configured model behind its checks, or the extractive drafter alone."""
    from prompts.drafter import Drafter

    return Drafter(open_model(settings), timeout_s=settings.llm_timeout_s)


class Every:
    """A thread that calls something every so many seconds, and survives its failures.

    Nothing in it needs to outlive a kill: what it calls reads the store and starts over.
    """

    def __init__(self, seconds: float, act: Callable[[], object], name: str) -> None:
        self._seconds, self._act, self._name = seconds, act, name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Call it now, and then every `seconds`."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the call under way, and make no more."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            attempt(self._name, self._act)
            self._stop.wait(self._seconds)
