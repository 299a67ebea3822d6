"""Texts into vectors: one door, the model carried in a package, any other by setting, and the fake.

Does: choose between the default (`core.minilm`), any Hugging Face id or folder, each loaded on first use, and a class that settings
name. Ships the fake, `HashEmbedder`.
Does not: adapt LlamaIndex's (`retrieval.llamaindex`), split texts, cache vectors, or reach a model hub for the default.
"""

from __future__ import annotations

import math
import statistics
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import IndexUnavailable, SettingsError
from core.minilm import MiniLM
from core.named import build_named, is_mark
from core.once import Once
from core.words import split_identifiers

if TYPE_CHECKING:
    from core.settings import Settings

_BATCH = 32
#: Longer texts are cut before the tokenizer sees them: a model reads a few hundred tokens, an alert may hold a megabyte.
MAX_CHARS = 20_000


class Embedder(Protocol):
    """Anything that turns texts into vectors whose dot product tells how alike in meaning they are."""

    @property
    def name(self) -> str:
        """Identifies the vector space: vectors of two embedders with different names are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        ...

    @property
    def floor(self) -> float:
        """The cosine below which two texts are strangers. What came first below it came first by chance."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 for each text, in order.

        Raises:
            SettingsError: the configured model cannot be loaded.
            ModelUnavailable: the model fails.
        """
        ...

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for; raises as `embed_documents` does."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for, of several ways to say one question; raises as `embed_documents` does."""
        ...


def open_embedder(model: str | None = None) -> Embedder:
    """The embedder a setting names. Nothing is loaded before its first use.

    Args:
        model: a Hugging Face id or a folder; None for the MiniLM carried in a package; "hash" for the fake,
            which needs no weights and knows no meaning.
    """
    if model is None:
        return MiniLM()
    return HashEmbedder() if model == "hash" else NamedModel(model)


def open_configured(settings: Settings, name: str | None) -> Embedder:
    """The embedder that an index was made with, or is to be made with.

    Args:
        name: of it: `Settings.embedding`, or what that was when the index was made.

    Raises:
        IndexUnavailable: it was a class, or options of one, that the settings do not name any more.
        SettingsError: the class cannot be used.
    """
    if name is None or not is_mark(name):
        return open_embedder(name)
    if name != settings.embedding:
        raise IndexUnavailable(
            "the index cannot be used",
            why=f"it was made with {name}, and {settings.embedding or 'the default'} is configured",
            way_out="run `rundown index rebuild`, which makes a new one, or set RUNDOWN_EMBEDDING_CLASS and its options back",
        )
    from llama_index.core.base.embeddings.base import BaseEmbedding

    from retrieval.llamaindex import LlamaIndexEmbedder

    embedding = build_named(
        settings.embedding_class or "",
        settings.embedding_options,
        kind=BaseEmbedding,
        what="embedding",
        setting="RUNDOWN_EMBEDDING_CLASS",
        example="llama_index.embeddings.ollama.OllamaEmbedding",
    )
    return LlamaIndexEmbedder(embedding, name)


class NamedModel:
    """Any Hugging Face id or folder, pooled and prompted as its own sentence-transformers configuration says.

    Args:
        model: the id or folder. Code inside a model repository is never run.
    """

    def __init__(self, model: str) -> None:
        self.name = model
        self._model = Once(self._load)
        self._floor = Once(lambda: estimate_floor(self))

    @property
    def dimension(self) -> int:
        """Length of every vector, as the model tells."""
        return int(self._model().get_embedding_dimension())

    @property
    def floor(self) -> float:
        """The cosine below which two texts are strangers to this model."""
        return self._floor()

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text."""
        return self._embed("encode_document", [text[:MAX_CHARS] for text in texts])

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for, with the model's own query prompt if it has one."""
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for."""
        return self._embed("encode_query", [text[:MAX_CHARS] for text in texts])

    def _embed(self, encode: str, texts: list[str]) -> list[list[float]]:
        model = self._model()
        found = getattr(model, encode)(
            texts, batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        vectors: list[list[float]] = found.astype("float32").tolist()
        return vectors

    def _load(self) -> Any:
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self.name, trust_remote_code=False)
        except Exception as error:  # the hub's client, the tokenizer and torch each raise their own
            raise SettingsError(
                f"cannot load the embedding model {self.name!r}",
                why=str(error).split("\n")[0],
                way_out="set RUNDOWN_EMBEDDING_MODEL to a folder or a reachable Hugging Face id, or unset it",
            ) from error


class HashEmbedder:
    """The fake: words and their letter triples hashed into a vector. No weights, the same on every machine.

    Texts that share words or parts of words are near each other; it knows no synonyms.

    Args:
        dimension: length of every vector.
    """

    floor = 0.2

    def __init__(self, dimension: int = 512) -> None:
        self.dimension = dimension
        self.name = f"hash-{dimension}"

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text."""
        return [self.embed_query(text) for text in texts]

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for."""
        return self.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for."""
        vector = [0.0] * self.dimension
        for word in split_identifiers(text[:MAX_CHARS]):
            if word in _COMMON:
                continue
            triples = [f"^{word}$"[at : at + 3] for at in range(len(word))]
            for part, weight in ((word, 1.0), *((triple, 0.2) for triple in triples)):
                code = zlib.crc32(part.encode())
                vector[code % self.dimension] += weight if code & 0x8000_0000 else -weight
        length = math.sqrt(sum(value * value for value in vector))
        return [value / length for value in vector] if length else [1.0, *([0.0] * (self.dimension - 1))]


_FUNCTION_WORDS = (
    "a an and are as at be by can do does for from had has have he her his how i if in is it its me my no not of on or "
    "our she so that the their them then there they this to two was we were what when where which while who why will "
    "with you your"
)
_COMMON = frozenset(_FUNCTION_WORDS.split())


def estimate_floor(embedder: Embedder) -> float:
    """Where a model's cosine stops telling anything, from how near it puts sentences that have nothing in common.

    Returns:
        The mean plus 5.5 standard deviations over 144 pairs of an operations sentence and one of everyday life. For
        MiniLM that is 0.35: of the right answers to 1,608 real queries 99% pass `Retriever.look`'s test with it, and 23
        of 30 questions that have nothing to do with operations find nothing at all in 13,330 sections.
    """
    work, life = (embedder.embed_documents(texts) for texts in (_WORK, _LIFE))
    cosines = [sum(a * b for a, b in zip(one, other, strict=True)) for one in work for other in life]
    return min(statistics.fmean(cosines) + 5.5 * statistics.pstdev(cosines), 0.95)


_WORK = (
    "The primary database failed over and writes were rejected for two minutes.",
    "Restart the ingress controller if certificates have expired.",
    "kubectl rollout undo deployment/checkout",
    "Disk usage on the message broker is above ninety percent.",
    "The queue consumer falls behind when partitions are rebalanced.",
    "Escalate to the network team if packet loss persists.",
    "A bad configuration was deployed to the load balancer.",
    "Memory of the cache process grows until the kernel kills it.",
    "The scheduler cannot place pods because nodes are tainted.",
    "Increase the connection pool size and redeploy the service.",
    "Alert fires when the error rate exceeds five percent for ten minutes.",
    "DNS lookups time out inside the cluster.",
)
_LIFE = (
    "The recipe needs two eggs and a cup of flour.",
    "Our holiday in the mountains was sunny and quiet.",
    "The museum opens at ten and closes at six.",
    "She plays the violin in a string quartet.",
    "Penguins live in the southern hemisphere.",
    "He scored twice in the second half of the match.",
    "The novel tells of a family in nineteenth century Russia.",
    "Please water the plants while I am away.",
    "The train to the coast leaves every hour.",
    "Autumn leaves cover the path through the park.",
    "This wine goes well with fish.",
    "Children learn to swim at the age of five.",
)
