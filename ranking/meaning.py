"""Who reads what candidates mean: the small Llama, MiniLM beside it, and before a page who reads page and change together.

Does: name the readers that a ranking asks by the features they fill; adapt the carried MiniLM to commits.
Does not: decide which candidates are read (`ranking.ranker`), or what a reader's word is worth (`ranking.scorer`).

Two that learnt differently err differently: MiniLM from a billion pairs of anything, the Llama from incidents and their culprits.
What each is worth is told in docs/ranking.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.minilm import MiniLM
from core.model import Commit
from ranking.cause import CauseMiniLM, CauseReader
from ranking.small.model import CommitReader, KeptVectors, SmallLlama
from ranking.small.texts import INCIDENT_LIMIT, plain, tell

#: Characters of a commit, and tokens of anything, that MiniLM reads. With half as many of either it is worth half as much, with twice
#: as many tokens too (learning/LOG.md): it was trained on 128.
_COMMIT_LIMIT, _TOKENS = 600, 128


class MiniLMReader:
    """The carried embedding model as a reader of commits. Loaded at the first use. Safe to share between threads."""

    name = MiniLM.name

    def __init__(self) -> None:
        self._model, self._kept = MiniLM(tokens=_TOKENS), KeptVectors()

    def closeness(self, incident: str, commits: Sequence[Commit]) -> list[float]:
        """See `ranking.small.CommitReader.closeness`."""
        import numpy as np

        if not commits:
            return []

        def read(unread: Sequence[Commit]) -> list[Any]:
            vectors = self._model.embed_documents([tell(commit, _COMMIT_LIMIT) for commit in unread])
            return list(np.array(vectors, np.float32))

        query = np.array(self._model.embed_query(plain(incident)[:INCIDENT_LIMIT]), np.float32)
        return [float(query @ vector) for vector in self._kept.of(commits, read)]


@dataclass(frozen=True, kw_only=True)
class Readers:
    """Who reads candidates for a ranking."""

    #: Feature -> who fills it by comparing what candidates and incidents mean, in the order they are asked.
    meaning: Mapping[str, CommitReader] = field(default_factory=dict)
    #: Who says of the best candidates of a page whether their change would explain it.
    cause: CauseReader | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called in a release."""
        return (*(reader.name for reader in self.meaning.values()), *([self.cause.name] if self.cause else []))


def open_readers() -> Readers:
    """The readers that the weights that ship were fitted with: the Llama first, as it is the faster.

    Nothing is loaded before its first use.
    """
    return Readers(meaning={"closeness": SmallLlama(), "likeness": MiniLMReader()}, cause=CauseMiniLM())
